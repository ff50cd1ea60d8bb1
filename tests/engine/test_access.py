"""Access: who has which role, by name, by secret, by what an identity provider vouches for."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine import access
from sedi_engine.access import LONGEST_NAME, ROLES, AccessConfig, Person
from sedi_engine.errors import AccessError, ConfigError, InputError
from tests.secrets_file import ANNOTATOR, BY_SECRET, RESEARCHER, use

WITH_SECRETS = AccessConfig(login="secret", secrets={"annotator": ANNOTATOR, "researcher": RESEARCHER})


@given(st.sampled_from(ROLES), st.sampled_from(ROLES))
def test_a_role_may_what_those_before_it_may(own: Any, needed: Any) -> None:
    assert Person("ana", own).may(needed) == (ROLES.index(own) >= ROLES.index(needed))


@given(st.text(max_size=200))
def test_a_name_is_printable_bounded_and_not_the_programs_own(text: str) -> None:
    try:
        name = access.checked_name(text)
    except InputError:
        return
    assert 1 <= len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip()
    assert name.casefold() != "rule" and access.checked_name(name) == name


@pytest.mark.parametrize("text", ["", "  ", "a" * 121, "a\nb\x00", "‮ana", "rule", " Rule "])
def test_what_is_no_name_is_refused_in_words(text: str) -> None:
    with pytest.raises(InputError):
        access.checked_name(text)


def test_without_a_table_everybody_here_is_a_researcher_and_elsewhere_a_viewer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, "[keys]\n")
    config = access.configured()
    assert access.by_own_word(config, "ana", here=True) == Person("ana", "researcher")
    assert access.by_own_word(config, "ana", here=False) == Person("ana", "viewer")


def test_roles_by_name_in_any_case(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, tmp_path, '[access]\neverybody_else = "viewer"\n[access.roles]\nAna = "annotator"\n')
    config = access.configured()
    assert [access.by_own_word(config, name, here=True).role for name in ("ana", "ANA", "ben")] == [
        "annotator",
        "annotator",
        "viewer",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[access]\nlogin = "password"\n', "access.login"),
        ('[access]\nwho = "ana"\n', "access.who"),
        ("access = 3\n", "access"),
        ('[access]\nlogin = "secret"\n', "a secret for each role"),
        ('[access]\nlogin = "secret"\n[access.secrets]\nadmin = "hidden-hidden-9"\n', "access.secrets.admin"),
        ('[access]\nlogin = "secret"\n[access.secrets]\nviewer = "hidden"\n', "at least 12 characters"),
        ('[access]\nlogin = "secret"\n[access.secrets]\nviewer = 123456789012\n', "access.secrets.viewer"),
        (
            '[access]\nlogin = "secret"\n[access.secrets]\nviewer = "hidden-hidden-9"\nannotator = "hidden-hidden-9"\n',
            "two roles have the same secret",
        ),
        ('[access.secrets]\nviewer = "hidden-hidden-9"\n', "secrets are for login = secret"),
        ('[access]\nlogin = "oidc"\n[access.roles]\n"a@b.test" = "owner"\n', "access.roles"),
        ('[access]\nguests = "viewer"\n', "nobody is a guest"),
        (f'{BY_SECRET}[access.roles]\nana = "researcher"\n', "the secret gives the role"),
        ("[access\n", "no TOML"),
    ],
)
def test_a_wrong_table_is_told_without_its_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, said: str
) -> None:
    path = use(monkeypatch, tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        access.configured()
    assert str(path) in str(refused.value) and said in str(refused.value)
    assert "hidden" not in str(refused.value) and ANNOTATOR not in str(refused.value)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in AccessConfig.model_fields.values())


@given(st.text(max_size=40), st.sampled_from(ROLES))
def test_only_the_secret_of_a_role_gives_it(text: str, role: Any) -> None:
    wanted = {ANNOTATOR: "annotator", RESEARCHER: "researcher"}
    for secret in (text, text + ANNOTATOR, ANNOTATOR[:-1], ANNOTATOR, RESEARCHER):
        found = access.by_secret(WITH_SECRETS, "ana", secret)
        assert found == (Person("ana", wanted[secret]) if secret in wanted else None)


@pytest.mark.parametrize("secret", ["", "x", "x" * 400, ANNOTATOR, RESEARCHER, "\ud800é"])
def test_every_secret_is_compared_in_constant_time_over_equal_lengths(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    compared, real = [], hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: compared.append((one, other)) or real(one, other))
    access.by_secret(WITH_SECRETS, "ana", secret)
    assert len(compared) == len(WITH_SECRETS.secrets)
    assert {len(part) for pair in compared for part in pair} == {32}


def test_secrets_are_not_shown() -> None:
    assert ANNOTATOR not in repr(WITH_SECRETS) and ANNOTATOR not in WITH_SECRETS.model_dump_json()


def test_whom_a_provider_vouches_for() -> None:
    config = AccessConfig(login="oidc", roles={"Ana@Example.org": "annotator"})
    info = {"is_logged_in": True, "email": "ANA@example.org", "email_verified": True, "name": "Ana"}
    assert access.by_user_info(config, info) == Person("ana@example.org", "annotator")
    assert access.by_user_info(config, {**info, "email": "b@example.org"}) == Person("b@example.org", "viewer")
    assert access.by_user_info(config, {"is_logged_in": False}) is None
    assert access.by_user_info(config, {}) is None


@pytest.mark.parametrize(
    "info", [{}, {"email": ""}, {"email": None}, {"email": "ana@example.org", "email_verified": False}]
)
def test_without_a_verified_address_nobody_gets_in(info: dict[str, Any]) -> None:
    with pytest.raises(AccessError, match="no e-mail address"):
        access.by_user_info(AccessConfig(login="oidc"), {"is_logged_in": True, **info})

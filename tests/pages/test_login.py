"""Who is at the page: by name, by secret, by what the server's secrets say; and what a viewer finds there."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sedi_engine.access import own_name
from sedi_engine.service import Service
from store.connection import fetch
from tests.engine.test_desk import everything
from tests.pages.builder import in_review, on_map
from tests.pages.conftest import Open
from tests.secrets_file import ANNOTATOR, BY_SECRET, RESEARCHER, use

PROMOTE = "r1-promote-r1-0-0-1"
SCREENS = (
    ("overview", {}, "overview_start_demo"),
    ("generate", {}, "generate_start"),
    ("diversity", {"item": "candidate:r1-0-0"}, "map_accept"),
    ("training", {}, "training_cancel"),
    ("seeds", {"seeds_part": "Proposals"}, "seeds_resume"),
    ("runs", {"runs_section": "History"}, "runs_cancel"),
    ("runs", {"runs_section": "Templates"}, "runs_template_save"),
)
PAGES = ("overview", "generate", "diversity", "batches", "training", "seeds", "runs")


def texts(app: AppTest) -> list[str]:
    return [one.value for one in app.text]


def deciders(service: Service) -> list[str]:
    return [row["by"] for row in service.store.read(fetch, 'SELECT "by" FROM decision ORDER BY decision_id')]


def enter(app: AppTest, name: str, secret: str) -> AppTest:
    app.text_input(key="login_name").input(name)
    app.text_input(key="login_secret").input(secret)
    return app.button(key="login_enter").click().run()


def test_a_name_given_on_the_page_goes_under_decisions_and_into_the_address(show: Open, service: Service) -> None:
    in_review(service)
    app = show("seeds", seeds_part="Proposals")
    assert f"{own_name()} · researcher" in texts(app) and "me" not in app.query_params
    app.text_input(key="shell_name").input(" ana ").run()
    assert "ana · researcher" in texts(app) and app.query_params["me"] == "ana"
    app.button(key=f"seeds_accept_{PROMOTE}").click().run()
    app.text_input(key="shell_name").input("ben").run()
    app.button(key=f"seeds_undo_{PROMOTE}").click().run()
    assert deciders(service) == ["ana", "ben"]
    app.switch_page("pages/runs.py").run()
    assert "ben · researcher" in texts(app) and app.query_params["me"] == "ben"


@pytest.mark.parametrize("name", ["rule", "x" * 200, "a\u202eb"])
def test_an_address_with_no_name_in_it_is_told_and_the_own_name_stands(show: Open, service: Service, name: str) -> None:
    in_review(service)
    app = show("overview", me=name)
    assert f"{own_name()} · researcher" in texts(app)
    assert any("name" in text for text in texts(app) if "Next:" in text)


def test_a_name_is_text_wherever_it_is_shown(show: Open, service: Service) -> None:
    in_review(service)
    app = show("overview", me="<b>a</b> ![x](//evil)")
    shown = [one for one in app.main if "//evil" in str(getattr(one, "proto", ""))]
    assert {one.type for one in shown} == {"text", "text_input"}


def test_roles_by_name(show: Open, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, tmp_path, '[access]\neverybody_else = "viewer"\n[access.roles]\nana = "annotator"\n')
    in_review(service)
    app = show("seeds", seeds_part="Proposals", me="ana")
    assert not app.button(key=f"seeds_accept_{PROMOTE}").disabled
    resume = app.button(key="seeds_resume")
    assert resume.disabled and resume.help == "Going on with a run takes a researcher; you are an annotator."
    app = show("seeds", seeds_part="Proposals", me="ben")
    assert app.button(key=f"seeds_accept_{PROMOTE}").disabled


@pytest.mark.parametrize("page", PAGES)
def test_without_the_secret_no_page_shows_anything(
    show: Open, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, page: str
) -> None:
    use(monkeypatch, tmp_path, BY_SECRET)
    in_review(service)
    app = show(page, run="r1")
    assert app.text_input(key="login_secret").proto.type == app.text_input(key="login_secret").proto.PASSWORD
    assert not any("r1" in one.value for one in app.text) and len(app.selectbox) == 0


def test_wrong_secret_then_right_secret_then_out(
    show: Open, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = use(monkeypatch, tmp_path, BY_SECRET)
    in_review(service)
    app = show("seeds", seeds_part="Proposals")
    enter(app, "ana", ANNOTATOR[:-1])
    assert any("That is not the secret of any role." in text for text in texts(app))
    assert app.text_input(key="login_secret").value == "" and app.text_input(key="login_name").value == "ana"
    enter(app, "ana", ANNOTATOR)
    assert "ana · annotator" in texts(app)
    app.button(key=f"seeds_accept_{PROMOTE}").click().run()
    assert deciders(service) == ["ana"]
    assert app.button(key="seeds_resume").disabled
    assert ANNOTATOR not in f"{app.session_state} {app.query_params}"
    app.button(key="shell_logout").click().run()
    assert app.text_input(key="login_secret")
    enter(app, "cyd", RESEARCHER)
    assert "cyd · researcher" in texts(app)
    path.write_text(BY_SECRET.replace(RESEARCHER, "another-secret-99"))
    assert app.run().text_input(key="login_secret")


def test_too_many_wrong_secrets_have_to_wait(
    show: Open, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, BY_SECRET)
    app = show("overview")
    for number in range(5):
        enter(app, "ana", f"wrong {number}")
    enter(app, "ana", ANNOTATOR)
    assert any("There were too many failed logins." in text and "seconds" in text for text in texts(app))
    assert not any("ana ·" in text for text in texts(app))


def test_a_wrong_table_is_a_card_and_nobody_gets_in(
    show: Open, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = use(monkeypatch, tmp_path, '[access]\nlogin = "none"\n')
    in_review(service)
    app = show("seeds", seeds_part="Proposals")
    assert any("access.login" in text and str(path) in text for text in texts(app))
    assert len(app.button) == 0 and not any("r1" in text for text in texts(app))


def test_a_provider_without_its_package_is_told(
    show: Open, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, '[access]\nlogin = "oidc"\n')
    app = show("overview")
    assert any('pip install "streamlit[auth]==' in text for text in texts(app))


def test_guests_see_what_the_table_says(
    show: Open, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    in_review(service)
    use(monkeypatch, tmp_path, BY_SECRET.replace("[access]", '[access]\nguests = "viewer"', 1))
    app = show("seeds", seeds_part="Proposals")
    assert "guest · viewer" in texts(app) and app.button(key=f"seeds_accept_{PROMOTE}").disabled
    assert "ana · annotator" in texts(enter(app, "ana", ANNOTATOR))
    use(monkeypatch, tmp_path, BY_SECRET.replace("[access]", '[access]\nguests = "presentation"', 1))
    story = show("overview", overview_present="true")
    assert not any(one.key == "login_enter" for one in story.button)
    for page in PAGES[1:]:
        assert any(one.key == "login_enter" for one in show(page, overview_present="true").button), page
    assert any(one.key == "login_enter" for one in show("overview").button)


def test_a_viewer_who_opens_the_map_does_not_bring_it_up_to_date(
    show: Open, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, '[access]\neverybody_else = "viewer"\n')
    in_review(service)
    before = everything(service.store)
    app = show("diversity")
    assert any("are not on the map yet" in one.value for one in app.caption)
    assert service.maps.progress.doing is None and everything(service.store) == before


@pytest.mark.parametrize(("page", "address", "some"), SCREENS)
@pytest.mark.parametrize("who", [{"me": "ana"}, {"me": "cyd", "overview_present": "true"}], ids=str)
def test_a_forged_press_of_a_dimmed_button_does_nothing(
    show: Open,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    who: dict[str, str],
    page: str,
    address: dict[str, str],
    some: str,
) -> None:
    use(monkeypatch, tmp_path, '[access]\neverybody_else = "viewer"\n[access.roles]\ncyd = "researcher"\n')
    in_review(service)
    on_map(service.store, "r1")
    before = everything(service.store)
    app = show(page, run="r1", **who, **address)
    dimmed = {one.key for one in app.button if one.disabled and "you are a viewer" in one.help}
    assert some in dimmed or (page == "overview" and "overview_present" in who)
    for key in dimmed:
        app.button(key=key)._value = True  # what a person sends who takes the dimming away in the browser
        assert not app.run().exception
    assert everything(service.store) == before

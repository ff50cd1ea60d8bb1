"""Keys: a page can use only what the server lists, for the one origin that it is listed with; nobody repeats a key."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine import keys, process
from sedi_engine.config import GeneratorConfig, RunConfig
from sedi_engine.errors import ConfigError

SECRET = "sk-never-to-be-seen-77"
NAME = "VLLM_KEY"
HOME = "https://llm.example.org"


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A server whose secrets lie in a folder of the test's."""
    monkeypatch.setattr(keys, "ROOT", tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(NAME, SECRET)
    monkeypatch.setenv("PRIVATE", SECRET)
    monkeypatch.setenv(keys.LIST_VARIABLE, f"{NAME}={HOME}")
    (tmp_path / ".streamlit").mkdir()
    return tmp_path / ".streamlit" / "secrets.toml"


def asking(name: str | None, address: str) -> GeneratorConfig:
    return GeneratorConfig(kind="endpoint", base_url=address, api_key_env=name)


def test_a_listed_key_goes_to_its_origin() -> None:
    assert keys.servers(asking(NAME, f"{HOME}/v1")) == SECRET
    assert keys.servers(asking(NAME, "https://LLM.example.org:443/other/v1")) == SECRET
    assert keys.servers(asking(None, "https://anywhere.test/v1")) is None


@pytest.mark.parametrize(
    "address",
    [
        "http://llm.example.org/v1",
        "https://llm.example.org:8443/v1",
        "https://llm.example.org.evil.test/v1",
        "https://evil.test/llm.example.org/v1",
        "https://llm.example.org@evil.test/v1",
        "https://evil.test\\@llm.example.org/v1",
        "https://evil.test#@llm.example.org/v1",
        "https://xllm.example.org/v1",
        "//llm.example.org/v1",
        "",
    ],
)
def test_a_listed_key_goes_nowhere_else(address: str) -> None:
    with pytest.raises(ConfigError, match=f"{NAME} may be sent to {HOME} alone") as refused:
        keys.servers(asking(NAME, address))
    assert SECRET not in str(refused.value)


@given(host=st.from_regex(r"[a-z0-9.-]{1,30}", fullmatch=True), port=st.integers(1, 65535))
def test_no_other_host_has_the_origin_of_a_listed_one(host: str, port: int) -> None:
    same = (host.rstrip("."), port) == ("llm.example.org", 443)
    assert (keys.origin(f"https://{host}:{port}/v1") == HOME) == same


@pytest.mark.parametrize("name", ["PRIVATE", "HOME", "PATH", "NOT_THERE"])
def test_a_page_cannot_name_another_variable_but_a_command_can(name: str) -> None:
    with pytest.raises(ConfigError, match="not on this server's list of keys") as refused:
        keys.servers(asking(name, f"{HOME}/v1"))
    assert SECRET not in str(refused.value)
    if name == "PRIVATE":
        assert keys.callers_own(asking(name, "https://anywhere.test/v1")) == SECRET


def test_secrets_of_the_server_are_on_the_list_and_in_no_words(server: Path) -> None:
    server.write_text(f'[keys.OTHER]\norigin = "http://127.0.0.1:8000"\nkey = "{SECRET}"\n')
    assert keys.servers(asking("OTHER", "http://127.0.0.1:8000/v1")) == SECRET
    assert SECRET not in repr(keys.allow_list())
    for wrong in (f'[keys.OTHER]\nkey = "{SECRET}"\n', f'[keys.OTHER\nkey = "{SECRET}"\n'):
        server.write_text(wrong)
        with pytest.raises(ConfigError, match=r"secrets\.toml") as refused:
            keys.allow_list()
        assert SECRET not in str(refused.value) + refused.value.next_step


def test_a_list_that_is_wrong_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keys.LIST_VARIABLE, "A=https://a.test B")
    with pytest.raises(ConfigError, match="'B', which is not NAME=ORIGIN"):
        keys.allow_list()


def test_a_worker_is_started_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    monkeypatch.delenv("PRIVATE")
    with process.spawn("http.server", "--bind", "127.0.0.1", "0", log=tmp_path / "log") as worker:
        assert worker.stdout is not None
        worker.stdout.readline()  # it serves, so its environment is its own
        found = psutil.Process(worker.pid).environ()
        worker.kill()
    assert SECRET not in found.values()
    assert not {"OPENAI_ORG_ID", NAME, keys.LIST_VARIABLE} & set(found)
    assert "PATH" in found


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (f"https://me:{SECRET}@llm.example.org/v1", "holds a user name or a password"),
        (f"https://llm.example.org/v1?key={SECRET}", r"goes on after a \? or #"),
        ("llm.example.org/v1", "no http address with a host"),
        ("ftp://llm.example.org/v1", "no http address with a host"),
        ("https://:8000/v1", "no http address with a host"),
        ("https://llm.example.org:99999999/v1", "is no address"),
        ("https://[::1/v1", "is no address"),
    ],
)
def test_an_address_holds_no_key_and_is_one(address: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        RunConfig.load("quick", {"generator.kind": "endpoint", "generator.base_url": address})
    assert SECRET not in str(refused.value)

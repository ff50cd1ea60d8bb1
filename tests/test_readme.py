"""What the README says is so: its commands, options, settings, files and pins are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import get_args

import pytest

from sedi_engine import access
from sedi_engine.config import parse_settings
from sedi_engine.logins import FAILURES_EACH, FAILURES_IN_ALL, LONGEST_S, WINDOW_S
from tests.commands import sedi
from tests.secrets_file import use

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"python -m sedi_engine ([a-z ]+?)(?: [A-Z-]|`|$)", README, re.MULTILINE)))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_it_names_exists(command: str) -> None:
    assert "Usage" in sedi(*command.split(), "--help").stdout


def test_it_names_every_command_there_is() -> None:
    listed = re.findall(r"^│ ([a-z]+) ", sedi("--help").stdout, re.MULTILINE)
    assert len(listed) >= 12
    assert {name for name in listed if name != "bench"} <= set(COMMANDS)


def test_the_options_it_shows_are_options() -> None:
    for line in re.findall(r"python -m sedi_engine ([^`\n]*--[^`\n]*)", README):
        command, *words = shlex.split(line)
        known = sedi(command, *(["filter"] if command == "bench" else []), "--help").stdout
        assert all(word in known for word in words if word.startswith("--")), line


def test_the_settings_it_shows_are_settings() -> None:
    shown = re.findall(r"--set (\S+=\S+)", README) + re.findall(r"`([a-z_]+\.[a-z_]+=[a-z]+)`", README)
    assert len(shown) >= 4
    parse_settings(shown)


def test_what_it_points_to_is_there() -> None:
    pointed = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README) + re.findall(r"`((?:store|sedi_engine)/[\w./]+)`", README)
    tree = re.findall(r"^(app\.py|[a-z_]+/) ", README, re.MULTILINE)
    assert len(tree) == 5
    assert [path for path in (*pointed, *tree) if not (ROOT / path).exists()] == []


def test_the_access_it_shows_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (table,) = re.findall(r"```toml\n(\[access\].*?)```", README, re.DOTALL)
    use(monkeypatch, tmp_path, table)
    config = access.configured()
    secret = config.secrets["researcher"].get_secret_value()
    assert access.by_secret(config, "ana", secret) == access.Person("ana", "researcher")
    fields = access.AccessConfig.model_fields
    assert all(f"`{word}`" in README or word in table for word in get_args(fields["login"].annotation))
    assert all(word in table for word in get_args(fields["guests"].annotation))
    assert re.findall(r"^\| (\w+) \| (?:look|also)", README, re.MULTILINE) == list(access.ROLES)
    assert f"After {FAILURES_EACH} failures in a minute from one address, or {FAILURES_IN_ALL} in all" in README
    assert (WINDOW_S, LONGEST_S) == (60, 12 * 3600) and f"at least {access.SHORTEST_SECRET} characters" in table


def test_the_extra_package_it_names_is_of_the_pinned_version() -> None:
    pin = re.search(r"^streamlit==(.+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)[1]
    extra = f'"streamlit[auth]=={pin}"'
    assert extra in README and extra in (ROOT / "pyproject.toml").read_text()


def test_it_installs_from_the_pinned_file() -> None:
    pins = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    assert "pip install -r requirements.txt" in README
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)

"""The commands on endpoints and prompts, as a person runs them: alone, and through the owner of an open store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sedi_engine.config import RunConfig
from sedi_engine.service import Service
from store import probes
from store.database import Store
from tests.commands import last_json, sedi
from tests.loopback import KEY, Asked, Fault, LoopbackServer

KEY_NAME = "LOOPBACK_KEY"
TASKS = json.dumps({"tasks": [{"instruction": f"Tell me about the river \x1b[31m number {n}."} for n in range(2)]})


def able(asked: Asked) -> str:
    return TASKS if "response_format" in asked.body else "one, two, three"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_NAME, KEY)


def at(server: LoopbackServer) -> list[str]:
    dotted = {"generator.base_url": server.base_url, "generator.api_key_env": KEY_NAME, "generator.model": "small"}
    return [word for name, value in dotted.items() for word in ("--set", f"{name}={value}")]


def test_a_connection_is_tested_and_the_exit_code_says_whether_it_can_be_used(folder: Path) -> None:
    with LoopbackServer(able, models=["small"]) as server:
        good = sedi("endpoint", *at(server), "--store", folder, "--json")
    with LoopbackServer(lambda _: Fault("status", 500)) as server:
        bad = sedi("endpoint", *at(server), "--store", folder, expect=1)
    found = last_json(good)
    assert (found["usable"], found["calls"], found["cost_usd"]) == (True, 3, None)
    assert [one["subject"] for one in found["findings"]][:2] == ["address", "models"]
    assert "NO  chat" in bad.stdout
    store = Store(folder)
    rows = store.read(probes.recent, 10)
    store.close()
    assert len(rows) == 5
    assert {row["by"] for row in rows} == {"command"}


def test_a_template_is_saved_listed_and_printed(folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "mine.txt"
    text.write_text("Of these:\n{{list}}\ncome up with {{count}} more.\n", encoding="utf-8")
    saved = sedi("templates", "mine", "--save", text, "--stage", "instructions", "--store", folder, "--json")
    assert last_json(saved) == {"saved": "instruction_list_mine.v1"}
    listed = sedi("templates", "--store", folder).stdout.splitlines()
    assert [line.split()[-1] for line in listed if " saved " in line] == ["instruction_list_mine.v1"]
    assert sedi("templates", "instruction_list_mine.v1", "--store", folder).stdout == text.read_text(encoding="utf-8")
    text.write_text("{{nothing}}", encoding="utf-8")
    bad = sedi("templates", "mine", "--save", text, "--stage", "instructions", "--store", folder, expect=2)
    assert "{{nothing}} is no marker" in bad.stderr
    assert "no template" in sedi("templates", "output_x.v9", "--store", folder, expect=2).stderr


@pytest.fixture
def service(folder: Path) -> Iterator[Service]:
    opened = Service(folder)
    yield opened
    opened.close()


def test_any_prompt_of_a_run_is_shown_and_sent_again_while_the_store_is_open(service: Service, folder: Path) -> None:
    with LoopbackServer(lambda asked: able(asked) if asked.number else Fault("status", 500)) as server:
        config = RunConfig.load(
            "quick",
            {
                "generator.kind": "endpoint",
                "generator.base_url": server.base_url,
                "generator.api_key_env": KEY_NAME,
                "train.model": "none",
                "feedback.mode": "off",
                "budget.max_calls": 4,
            },
        )
        run_id = service.manager.start(config, KEY)
        assert service.manager.wait(run_id, 60)
        sent = [asked.prompt for asked in server.asked]
        shown = last_json(sedi("prompt", run_id, "0", "--store", folder, "--json"))
        tried = sedi("prompt", run_id, "0", "--send", "--store", folder)
        gone = sedi("prompt", run_id, "99", "--store", folder, expect=2)
        again = server.asked[-1].prompt
    assert shown["request"]["prompt"][0][1] == again
    assert again in sent
    assert "1. Tell me about the river \ufffd[31m number 0." in tried.stdout
    assert "6 missing" in tried.stdout
    assert "no such call 99" in gone.stderr
    assert [row["purpose"] for row in service.store.read(probes.recent, 10)] == ["trial"]


def test_the_prompt_of_settings_is_shown_before_a_run(folder: Path) -> None:
    shown = sedi("prompt", "--set", "demos.count=2", "--store", folder).stdout
    assert shown.startswith("instruction_list.v1, completion")
    assert shown.rstrip().endswith("3.")

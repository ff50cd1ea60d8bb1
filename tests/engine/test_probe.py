"""Test connection and trials: what an endpoint can do is told in sentences, and every call that costs is entered."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sedi_engine import probe
from sedi_engine.config import RunConfig
from sedi_engine.errors import ConfigError, GeneratorError, InputError, StudioError
from sedi_engine.examine import Examination, Finding, examine
from sedi_engine.generator.client import Client
from sedi_engine.generator.request import Reply, Request
from sedi_engine.generator.templates import Templates
from sedi_engine.probe import Prober
from sedi_engine.rendering import preview, sample
from sedi_engine.seeds import library_seeds
from store import probes
from store.database import Store
from tests.commands import wait_until
from tests.loopback import KEY, Answer, Asked, Fault, LoopbackServer

PRICES = {"generator.price_in_usd_per_mtok": 3.0, "generator.price_out_usd_per_mtok": 15.0}
SECOND = {
    "generator.output_model": "large",
    "generator.output_price_in_usd_per_mtok": 10,
    "generator.output_price_out_usd_per_mtok": 20,
}
CLOSE = {"connection": "close"}
SEEDS = library_seeds()
TASKS = json.dumps({"tasks": [{"instruction": f"Name river {n}."} for n in range(2)]})


def endpoint(server: LoopbackServer, **more: Any) -> RunConfig:
    dotted = {name.replace("__", "."): value for name, value in more.items()}
    return RunConfig.load(
        "quick",
        {
            "generator.kind": "endpoint",
            "generator.base_url": server.base_url,
            "generator.model": "small",
            "generator.api_key_env": "LOOPBACK",
            "generator.timeout_s": 10,
            **PRICES,
            **dotted,
        },
    )


def able(asked: Asked) -> str:
    """An endpoint that does all it can be asked."""
    return TASKS if "response_format" in asked.body else "one, two, three"


def looked_at(server: LoopbackServer, **more: Any) -> tuple[Examination, dict[str, Finding], list[Request]]:
    """An examination in this process, its findings by subject, and what was sent."""
    config, sent = endpoint(server, **more), []

    async def look() -> Examination:
        key, generator = server.api_key, config.generator
        async with Client(
            generator.base_url or "", generator.model, api_key=key, timeout_s=generator.timeout_s, max_concurrency=1
        ) as client:

            async def send(request: Request, _stage: str) -> Reply:
                sent.append(request)
                return await client.send(request)

            return await examine(client, send, config)

    found = asyncio.run(look())
    return found, {one.subject: one for one in found.findings}, sent


def test_an_endpoint_that_can_do_everything_is_found_to() -> None:
    with LoopbackServer(able, models=["other", "small"]) as server:
        found, by_subject, sent = looked_at(server, **SECOND)
        models = [asked.body["model"] for asked in server.asked]
    assert {one.state for one in found.findings} == {"ok"}
    assert found.usable
    assert len(by_subject) == 9
    assert models == ["small", "small", "small", "large"]
    assert sum(request.max_tokens for request in sent) <= 512


@pytest.mark.parametrize(
    ("said", "state", "words"),
    [
        (Fault("status", 400, "response_format is not supported"), "no", "refuses"),
        ("Sure! Here are two tasks.", "no", "does not follow"),
        ('{"tasks": [{"instruction": 1}]}', "no", "does not follow"),
        ('{"tasks": "none"}', "no", "does not follow"),
        ("[" * 5000, "no", "does not follow"),
        (Answer('{ "tasks": [{"instru', finish_reason="length"), "ok", "follows"),
        (Fault("status", 500), "unknown", "500"),
    ],
)
def test_a_schema_is_obeyed_refused_or_ignored(said: Any, state: str, words: str) -> None:
    with LoopbackServer(lambda asked: said if "response_format" in asked.body else "one") as server:
        found, by_subject, _ = looked_at(server)
    assert (by_subject["json_schema"].state, found.usable) == (state, True)
    assert words in by_subject["json_schema"].found


@pytest.mark.parametrize("models", [["smal", "large"], [], None])
def test_a_name_that_is_not_listed_may_answer_all_the_same(models: list[str] | None) -> None:
    with LoopbackServer(able, models=models) as server:
        found, by_subject, _ = looked_at(server)
    assert (by_subject["models"].state, found.usable) == ("unknown", True)
    assert ("'smal'" in by_subject["models"].next_step) == bool(models)


def test_an_unknown_model_is_offered_the_nearest() -> None:
    with LoopbackServer(lambda _: Fault("status", 404), models=["smaller", "x\x1b[31m\n"]) as server:
        found, by_subject, _ = looked_at(server)
    assert (by_subject["models"].state, by_subject["chat"].state, found.usable) == ("no", "no", False)
    assert by_subject["models"].next_step.startswith("Nearest: 'smaller'")
    assert all(one.found.isprintable() and one.next_step.isprintable() for one in found.findings)


def test_a_completion_is_needed_where_the_settings_say_so() -> None:
    def chat_alone(asked: Asked) -> str | Fault:
        return Fault("status", 404) if asked.kind == "completion" else able(asked)

    with LoopbackServer(chat_alone) as server:
        chatting, by_chat, _ = looked_at(server)
        completing, by_completion, _ = looked_at(server, generator__api="completion")
    assert (chatting.usable, completing.usable) == (True, False)
    assert "do not need it" in by_chat["completion"].next_step
    assert "set generator.api to chat" in by_completion["completion"].next_step


def test_usage_that_is_not_told_is_said_to_be_estimated() -> None:
    with LoopbackServer(lambda asked: Answer(able(asked), usage=None)) as server:
        _, by_subject, _ = looked_at(server)
    assert by_subject["usage"].state == "no"
    assert "estimated" in by_subject["usage"].found


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (Fault("raw", message="<html>Sign in</html>", headers=CLOSE), "web page"),
        (Fault("raw", message='{"data": 5}', headers=CLOSE), None),
        (Fault("raw", message='{"data": [{"id": 5}]}', headers=CLOSE), None),
        (Fault("large", size=11_000_000), None),
    ],
)
def test_an_odd_list_of_models_is_no_crash(models: Fault, words: str | None) -> None:
    with LoopbackServer(able, models=models) as server:
        found, by_subject, _ = looked_at(server)
    assert by_subject["chat"].state == "ok"
    assert found.usable
    assert words is None or words in by_subject["address"].found


def test_a_host_that_is_gone_is_told_before_anything_is_sent() -> None:
    with LoopbackServer(able) as server:
        pass  # it was there once
    found, by_subject, sent = looked_at(server)
    assert (found.usable, sent) == (False, [])
    assert "cannot be reached" in by_subject["address"].found
    assert by_subject["address"].next_step


@pytest.fixture
def prober(store: Store) -> Iterator[Prober]:
    opened = Prober(store)
    yield opened
    opened.close()


def test_every_call_of_a_test_is_entered_with_its_cost(prober: Prober, store: Store, folder: Path) -> None:
    with LoopbackServer(able, models=["small"]) as server:
        config = endpoint(server, **SECOND)
        found = prober.examine(config, KEY, "page").result()
    rows = store.read(probes.recent, 10)
    assert found.usable
    assert found.calls == len(rows) == len(server.asked) == 4
    cost = sum(row["cost_usd"] for row in rows)
    assert cost == pytest.approx((3 * (7 * 3 + 5 * 15) + 7 * 10 + 5 * 20) / 1e6)
    assert found.cost_usd == pytest.approx(cost)
    assert {(row["purpose"], row["by"], row["error"]) for row in rows} == {("connection", "page", None)}
    assert not [path for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_a_wrong_key_is_told_in_the_clients_words(prober: Prober, store: Store) -> None:
    with LoopbackServer(able, models=["small"]) as server:
        found = prober.examine(endpoint(server), "wrong-key", "page").result()
    assert not found.usable
    assert "does not accept the key" in found.findings[0].found
    assert "wrong-key" not in repr(found)
    assert store.read(probes.recent, 10) == []


def test_a_trial_is_entered_and_read_as_a_run_would_read_it(prober: Prober, store: Store, folder: Path) -> None:
    with LoopbackServer(lambda _: TASKS) as server:
        config = endpoint(server)
        trial = prober.trial(config, KEY, sample("instructions", config, SEEDS, Templates(folder)), "page").result()
    assert [item.instruction for item in trial.items] == ["Name river 0.", "Name river 1."]
    assert (trial.failed, trial.surplus) == ({"missing": 6}, 0)
    (row,) = store.read(probes.recent, 10)
    assert (row["purpose"], row["raw_reply"]) == ("trial", TASKS)
    assert row["cost_usd"] == trial.probe.cost_usd == pytest.approx((7 * 3 + 5 * 15) / 1e6)
    assert json.loads(row["request"])["prompt"][0][1] == server.asked[0].prompt


def test_a_draft_can_be_tried_before_it_is_saved(prober: Prober, folder: Path) -> None:
    with LoopbackServer(lambda _: " Lyon\nOutput: In France.") as server:
        config = endpoint(server, generator__api="completion")
        ask = preview("output", "{{examples}}Task: {{instruction}}\nInput:", config, SEEDS, folder)
        trial = prober.trial(config, KEY, ask, "page").result()
    (item,) = trial.items
    assert (item.input, item.output) == ("Lyon", "In France.")
    assert Templates(folder).names() == Templates().names()


def test_a_trial_goes_on_without_a_schema_that_is_refused(prober: Prober, store: Store, folder: Path) -> None:
    def answer(asked: Asked) -> str | Fault:
        return Fault("status", 400, "no json_schema here") if "response_format" in asked.body else TASKS

    with LoopbackServer(answer) as server:
        config = endpoint(server)
        trial = prober.trial(config, KEY, sample("instructions", config, SEEDS, Templates(folder)), "page").result()
    assert len(trial.items) == 2
    assert [row["error"] is None for row in store.read(probes.recent, 10)].count(False) == 1


def test_a_trial_that_fails_says_so_and_is_entered(prober: Prober, store: Store, folder: Path) -> None:
    with LoopbackServer(lambda _: Fault("status", 500)) as server:
        config = endpoint(server)
        trial = prober.trial(config, KEY, sample("instructions", config, SEEDS, Templates(folder)), "page").result()
    assert "500" in (trial.probe.error or "")
    assert (trial.items, trial.failed) == ((), {})
    assert store.read(probes.recent, 10)[0]["usage_source"] == "unknown"


def test_settings_that_nothing_can_be_sent_with_are_refused_at_once(prober: Prober, store: Store) -> None:
    stream = RunConfig.load("quick", {"generator.kind": "stream", "generator.stream_path": "x", "feedback.mode": "off"})
    with LoopbackServer(able) as server:
        for config, key, error in ((stream, None, InputError), (endpoint(server), None, ConfigError)):
            with pytest.raises(error):
                prober.examine(config, key, "page")
        with pytest.raises(GeneratorError, match="characters that no request can carry"):
            prober.examine(endpoint(server), "key\nkey", "page").result()
        assert server.asked == []


def test_closing_ends_what_is_under_way_and_what_was_sent_stays_entered(store: Store) -> None:
    prober = Prober(store)
    with LoopbackServer(lambda _: Fault("hang")) as server:
        config = endpoint(server)
        future = prober.trial(config, KEY, sample("output", config, SEEDS, Templates()), "page")
        wait_until(lambda: server.asked and store.read(probes.recent, 1))
        children = [child for child in psutil.Process(os.getpid()).children() if "sedi_engine.probe" in child.cmdline()]
        assert len(children) == 1
        prober.close()
    with pytest.raises(StudioError, match="ended unexpectedly"):
        future.result()
    (row,) = store.read(probes.recent, 10)
    assert (row["usage_source"], row["error"]) == ("unknown", probe.UNANSWERED)
    wait_until(lambda: not any(child.is_running() for child in children))

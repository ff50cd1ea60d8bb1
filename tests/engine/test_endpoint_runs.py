"""Whole runs over HTTP against a loopback server with faults: counts add up, the ledger is right, caps hold."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sedi_engine import keys, paths
from sedi_engine.config import RunConfig
from sedi_engine.errors import ConfigError, JobError, StudioError
from sedi_engine.generator import journal
from sedi_engine.jobs import Manager
from store import aims, candidates, runs, seeds
from store.connection import fetch
from store.database import Store
from store.replays import rows_for_replay
from tests.loopback import BROKEN, Answer, Asked, Fault, LoopbackServer
from tests.replies import answering, reply

KEY_NAME = "LOOPBACK_TEST_KEY"
PRICES = {"generator.price_in_usd_per_mtok": 3.0, "generator.price_out_usd_per_mtok": 15.0}


@pytest.fixture
def manager(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    monkeypatch.setenv(KEY_NAME, "loopback-key-5f1d")
    opened = Manager(store)
    yield opened
    opened.close()


def finish(manager: Manager, server: LoopbackServer, **settings: Any) -> dict[str, Any]:
    """Run to the end and return the summary, which must add up."""
    dotted = {name.replace("__", "."): value for name, value in settings.items()}
    config = RunConfig.load(
        "quick",
        {
            "generator.kind": "endpoint",
            "generator.base_url": server.base_url,
            "generator.api_key_env": KEY_NAME,
            "generator.timeout_s": 10,
            "train.model": "none",
            "feedback.mode": "off",
            **PRICES,
            **dotted,
        },
    )
    run_id = manager.start(config, keys.callers_own(config.generator))
    assert manager.wait(run_id, 120)
    summary = manager.store.read(runs.summary, run_id)
    assert summary is not None
    assert summary["asked"] == summary["parsed"] + summary["failed"]
    assert summary["failed"] == sum(summary["failed_by_cause"].values())
    assert summary["parsed"] == summary["kept"] + sum(summary["dropped"].values())
    return summary


@pytest.mark.parametrize("form", ["staged", "whole_task"])
@pytest.mark.parametrize("replies", ["auto", "text"])
def test_a_run_over_a_faulty_server_completes_and_the_ledger_is_what_it_charged(
    manager: Manager, form: str, replies: str
) -> None:
    charged = []

    def answer(asked: Asked) -> Answer | Fault:
        said = answering(0.3)(asked)
        if isinstance(said, Answer):
            charged.append(asked.number)
        return said

    with LoopbackServer(answer) as server:
        forms = {"generator__prompt_form": form, "generator__reply_form": replies}
        summary = finish(manager, server, generator__max_attempts=6, **forms)
    assert summary["status"] == "completed"
    assert summary["kept"] >= 16
    assert summary["prompt_tokens"] == 7 * len(charged)
    assert summary["completion_tokens"] == 5 * len(charged)
    assert summary["cost_usd"] == pytest.approx(len(charged) * (7 * 3 + 5 * 15) / 1e6)


def test_no_key_is_in_the_store_the_journal_or_the_log(manager: Manager, folder: Path) -> None:
    with LoopbackServer(answering()) as server:
        finish(manager, server)
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert len(written) >= 4
    assert not [path for path in written if b"loopback-key-5f1d" in path.read_bytes()]


@pytest.mark.parametrize("cap", [{"budget__max_calls": 5}, {"budget__max_tokens": 9_000}, {"budget__max_usd": 0.03}])
def test_caps_are_never_overshot(manager: Manager, cap: dict[str, float]) -> None:
    with LoopbackServer(answering()) as server:
        summary = finish(manager, server, iterations=50, generator__max_instruction_tokens=256, **cap)
        sent = len(server.asked)
    name = next(iter(cap)).removeprefix("budget__")
    assert (summary["status"], summary["cap"]) == ("capped", name)
    limit = next(iter(cap.values()))
    spent = {
        "max_calls": sent,
        "max_tokens": summary["prompt_tokens"] + summary["completion_tokens"],
        "max_usd": summary["cost_usd"],
    }[name]
    assert 0 < spent <= limit


def test_a_wrong_key_fails_at_once_in_words(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_NAME, "wrong")
    with LoopbackServer(answering()) as server:
        summary = finish(manager, server)
        assert len(server.asked) == 0
    assert summary["status"] == "failed"
    assert "does not accept the key" in summary["error"]
    assert "wrong" not in summary["error"]


def test_a_dead_endpoint_fails_at_once_in_words(manager: Manager) -> None:
    server = LoopbackServer(answering())
    with server:
        pass  # it was there once, and is gone
    summary = finish(manager, server, generator__max_attempts=1)
    assert summary["status"] == "failed"
    assert "cannot be reached" in summary["error"]
    assert summary["next_step"]


def test_a_key_that_is_not_set_is_told_before_anything_is_stored(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_NAME)
    with LoopbackServer(answering()) as server, pytest.raises(ConfigError, match=KEY_NAME):
        finish(manager, server)
    assert manager.store.read(runs.run_ids) == []


def test_a_generator_that_keeps_nothing_stalls_after_twenty_calls(manager: Manager) -> None:
    with LoopbackServer(lambda asked: Answer("1. no\n2. no")) as server:
        summary = finish(manager, server)
    assert summary["status"] == "stalled"
    assert summary["kept"] == 0


def test_a_refused_reply_counts_as_refused(manager: Manager) -> None:
    with LoopbackServer(lambda asked: Answer("", finish_reason="content_filter")) as server:
        summary = finish(manager, server)
    assert summary["failed_by_cause"]["refused"] == summary["asked"] > 0


def test_candidates_name_their_demonstrations_and_their_nearest(manager: Manager) -> None:
    with LoopbackServer(answering()) as server:
        run_id = finish(manager, server)["run_id"]
    with manager.store.cursor() as cursor:
        demos = fetch(cursor, "SELECT demo_seed_ids FROM call WHERE run_id = ? AND stage = 'instruction'", [run_id])
        near = fetch(cursor, "SELECT max_rouge_l, nearest_id FROM candidate WHERE max_rouge_l IS NOT NULL")
    assert all(len(set(row["demo_seed_ids"])) == 3 for row in demos)
    assert all(row["max_rouge_l"] >= 0.5 and row["nearest_id"] for row in near)


@pytest.mark.parametrize("form", ["staged", "whole_task"])
def test_calls_that_keep_failing_are_tried_again_behind_the_rest(manager: Manager, form: str) -> None:
    """The first three calls fail in every attempt until the others have come back; none is given up."""
    failing, lock = {}, threading.Lock()

    def answer(asked: Asked) -> Answer | Fault:
        with lock:
            if asked.prompt not in failing and len(failing) < 3:
                failing[asked.prompt] = 0
            if asked.prompt in failing and failing[asked.prompt] < 2:
                failing[asked.prompt] += 1
                return BROKEN
        return Answer(reply(asked.prompt, random.Random(asked.number)))

    with LoopbackServer(answer) as server:
        summary = finish(manager, server, generator__prompt_form=form, generator__max_attempts=2)
    assert set(failing.values()) == {2}
    assert (summary["status"], summary["calls_failed"]) == ("completed", 0)


def test_every_call_can_be_read_back_as_it_was_sent(manager: Manager, folder: Path) -> None:
    with LoopbackServer(answering(0.2)) as server:
        run_id = finish(manager, server)["run_id"]
    with manager.store.cursor() as cursor:
        rows = fetch(cursor, "SELECT * FROM call WHERE run_id = ?", [run_id])
    sent = {asked.prompt for asked in server.asked}
    assert len(rows) == len(server.asked)
    for row in rows:
        call, request = journal.request_at(paths.journal(folder, run_id), row["journal_offset"])
        assert (call.call_index, call.stage, call.attempt) == (row["call_index"], row["stage"], row["attempt"])
        assert "\n".join(content for _, content in request.prompt) in sent
        assert row["sent_at"] is not None
        assert row["last_decision"] == 0


def test_half_a_list_is_used_and_half_an_output_asked_for_again(manager: Manager) -> None:
    seen: set[str] = set()

    def answer(asked: Asked) -> Answer | Fault:
        text = reply(asked.prompt, random.Random(asked.number))
        if asked.prompt in seen:
            return Answer(text)
        seen.add(asked.prompt)
        half = json.dumps({"choices": [{"message": {"content": text}}]})
        return Fault("half", message=half[: len(half) * 3 // 4])

    with LoopbackServer(answer) as server:
        summary = finish(manager, server, generator__prompt_form="staged")
    with manager.store.cursor() as cursor:
        rows = fetch(cursor, "SELECT stage, attempt, finish_reason, usage_source, error FROM call")
    lists = [row for row in rows if row["stage"] == "instruction"]
    outputs = [row for row in rows if row["stage"] == "output"]
    assert summary["status"] == "completed"
    assert {(row["attempt"], row["finish_reason"], row["usage_source"]) for row in lists} == {(0, "cut", "estimated")}
    assert {(row["attempt"], row["finish_reason"]) for row in outputs} == {(0, "cut"), (1, "stop")}
    assert summary["failed_by_cause"]["missing"] + summary["dropped"].get("truncated", 0) > 0


def test_an_aimed_iteration_shows_its_own_seeds_alone_and_is_left_out_of_replays(manager: Manager) -> None:
    with LoopbackServer(answering()) as server:
        run_id = finish(manager, server, generator__prompt_form="whole_task")["run_id"]
        before = manager.store.read(rows_for_replay, run_id)
        active = [row["seed_id"] for row in manager.store.read(seeds.of_run, run_id) if row["status"] == "active"]
        kept = manager.store.read(candidates.pool, run_id)[0]["candidate_id"]
        aimed = (active[3], active[7], kept)
        manager.generate_here(run_id, aimed, "ann")
        with pytest.raises(JobError, match="it can be aimed when it has completed"):
            manager.generate_here(run_id, aimed, "ann")
        assert manager.wait(run_id, 120)
        with pytest.raises(JobError, match="nothing to show"):
            manager.generate_here(run_id, (), "ann")
    done = manager.store.read(runs.summary, run_id)
    assert (done["status"], done["iteration"], done["iterations"]) == ("completed", 2, 2)
    assert manager.store.read(aims.iterations, run_id) == [2]
    with manager.store.cursor() as cursor:
        calls = fetch(cursor, "SELECT * FROM call WHERE run_id = ? AND iteration = 2", [run_id])
    assert calls
    for call in calls:
        assert set(call["demo_seed_ids"]) == set(aimed[:2])
        assert call["demo_pool_ids"] == [kept]
    after = manager.store.read(rows_for_replay, run_id)
    sent_before = {call.call_index for call in after.calls}
    assert sent_before.isdisjoint(call["call_index"] for call in calls)
    assert {call.call_index for call in before.calls} <= sent_before


def test_an_aim_that_cannot_start_leaves_no_mark(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackServer(answering()) as server:
        run_id = finish(manager, server, generator__prompt_form="whole_task")["run_id"]
    monkeypatch.delenv(KEY_NAME)
    manager._keys.clear()
    active = [row["seed_id"] for row in manager.store.read(seeds.of_run, run_id)]
    with pytest.raises(StudioError):
        manager.generate_here(run_id, active[:3], "ann")
    assert manager.store.read(aims.iterations, run_id) == []
    assert manager.store.read(runs.summary, run_id)["status"] == "completed"

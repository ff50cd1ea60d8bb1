"""The batch API over a loopback provider: paid once whatever happens, and ended by a reply for every call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sedi_engine import keys, paths
from sedi_engine.config import RunConfig
from sedi_engine.generator.provider_batch import read_batch, read_result
from sedi_engine.jobs import Manager
from store import runs
from store.connection import fetch
from store.database import Store
from tests.commands import wait_until
from tests.loopback import KEY, Answer, Asked, Fault
from tests.loopback_batches import BatchProvider
from tests.replies import answering

KEY_NAME = "BATCH_TEST_KEY"
ENDED = ("completed", "failed", "stalled", "paused", "cancelled", "interrupted", "capped")


@pytest.fixture
def manager(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    monkeypatch.setenv(KEY_NAME, KEY)
    opened = Manager(store)
    yield opened
    opened.close()


def config(provider: BatchProvider, **settings: Any) -> RunConfig:
    return RunConfig.load(
        "quick",
        {
            "generator.kind": "endpoint",
            "generator.mode": "batch",
            "generator.base_url": provider.base_url,
            "generator.api_key_env": KEY_NAME,
            "generator.price_in_usd_per_mtok": 4.0,
            "generator.price_out_usd_per_mtok": 16.0,
            "generator.timeout_s": 10,
            "train.model": "none",
            "feedback.mode": "off",
            **{name.replace("__", "."): value for name, value in settings.items()},
        },
    )


def start(manager: Manager, provider: BatchProvider, **settings: Any) -> str:
    wanted = config(provider, **settings)
    return manager.start(wanted, keys.callers_own(wanted.generator))


def summary(manager: Manager, run_id: str, *statuses: str) -> dict[str, Any]:
    """The counts of a run once it stands still, which must add up and be what the provider charged."""
    assert manager.wait(run_id, 120)
    found = manager.store.read(runs.summary, run_id)
    assert found is not None
    assert found["status"] in statuses, found["error"]
    assert found["asked"] == found["parsed"] + found["failed"]
    assert found["parsed"] == found["kept"] + sum(found["dropped"].values())
    return found


def charged(provider: BatchProvider, share: float = 0.5) -> float:
    return share * (provider.charged[0] * 4.0 + provider.charged[1] * 16.0) / 1e6


@pytest.mark.parametrize("form", ["staged", "whole_task"])
def test_a_run_through_batches_ends_like_any_other_at_half_the_price(manager: Manager, form: str) -> None:
    with BatchProvider(answering()) as provider:
        run_id = start(manager, provider, generator__prompt_form=form, compose__batches_per_window=8)
        found = summary(manager, run_id, "completed")
    assert found["kept"] >= 32
    assert [found["prompt_tokens"], found["completion_tokens"]] == provider.charged
    assert found["cost_usd"] == pytest.approx(charged(provider))
    assert found["calls"] == len(provider.asked)
    # a batch for each wave of calls, not one for each call
    assert len(provider.batches) < len(provider.asked) / 3
    assert all(batch["completion_window"] == "24h" for batch in provider.batches.values())


def test_a_pause_waits_for_nothing_and_the_resumed_run_pays_nothing_twice(manager: Manager) -> None:
    with BatchProvider(answering(), status="in_progress") as provider:
        run_id = start(manager, provider)
        assert wait_until(lambda: any(batch["status"] == "in_progress" for batch in provider.batches.values()))
        manager.pause(run_id)
        assert summary(manager, run_id, "paused")["calls"] == 0
        assert len(provider.batches) == 1
        provider.status = "completed"
        manager.resume(run_id)
        found = summary(manager, run_id, "completed")
    asked = [json.dumps(one.body, sort_keys=True) for one in provider.asked]
    assert len(set(asked)) == len(asked)
    assert found["cost_usd"] == pytest.approx(charged(provider))


def test_a_worker_killed_before_it_knew_its_batch_finds_it_by_its_tag(manager: Manager, folder: Path) -> None:
    with BatchProvider(answering(), status="in_progress") as provider:
        run_id = start(manager, provider)
        assert wait_until(lambda: any(batch["status"] == "in_progress" for batch in provider.batches.values()))
        manager._worker.kill()
        assert manager.wait(run_id, 60)
        path = paths.batches(folder, run_id)
        made, known = path.read_text().splitlines()
        assert "batch-0" in known
        path.write_text(f'{made}\n{{"batch": "bat')  # as a kill between the two would leave it
        provider.status = "completed"
        manager.resume(run_id)
        found = summary(manager, run_id, "completed")
    prompts = [json.dumps(one.body, sort_keys=True) for one in provider.asked]
    assert len(set(prompts)) == len(prompts)
    assert found["cost_usd"] == pytest.approx(charged(provider))


def test_a_batch_that_was_never_made_is_sent_again(manager: Manager, folder: Path) -> None:
    with BatchProvider(answering(), status="in_progress") as provider:
        run_id = start(manager, provider)
        assert wait_until(lambda: any(batch["status"] == "in_progress" for batch in provider.batches.values()))
        manager._worker.kill()
        assert manager.wait(run_id, 60)
        path = paths.batches(folder, run_id)
        path.write_text(path.read_text().splitlines()[0])
        provider.batches.clear()
        provider.status = "completed"
        manager.resume(run_id)
        found = summary(manager, run_id, "completed")
    assert found["cost_usd"] == pytest.approx(charged(provider))


def test_cancelling_a_run_cancels_its_batch_and_what_was_done_is_used_later(manager: Manager) -> None:
    with BatchProvider(answering(), status="in_progress") as provider:
        run_id = start(manager, provider)
        assert wait_until(lambda: any(batch["status"] == "in_progress" for batch in provider.batches.values()))
        provider.lost_lines = 1
        manager.cancel(run_id)
        summary(manager, run_id, "cancelled")
        assert [batch["status"] for batch in provider.batches.values()] == ["cancelled"]
        provider.lost_lines, provider.status = 0, "completed"
        manager.resume(run_id)
        found = summary(manager, run_id, "completed")
    assert [found["prompt_tokens"], found["completion_tokens"]] == provider.charged


def test_results_that_are_errors_or_missing_are_asked_for_again(manager: Manager) -> None:
    seen: dict[str, int] = {}
    good = answering()

    def answer(asked: Asked) -> str | Answer | Fault:
        number = seen[asked.prompt] = seen.get(asked.prompt, 0) + 1
        return Fault("status", 500) if number == 1 and len(seen) % 3 == 0 else good(asked)

    with BatchProvider(answer) as provider:
        provider.lost_lines = 1
        run_id = start(manager, provider)
        assert wait_until(lambda: any(batch["status"] == "completed" for batch in provider.batches.values()))
        provider.lost_lines = 0
        found = summary(manager, run_id, "completed")
        (row,) = manager.store.read(fetch, "SELECT count(error) AS n FROM call WHERE run_id = ?", [run_id])
    assert row["n"] >= 2
    assert [found["prompt_tokens"], found["completion_tokens"]] == provider.charged


@pytest.mark.parametrize(
    ("status", "refused", "words"),
    [
        ("completed", {"/files": 401}, "does not accept the key"),
        ("completed", {"/files": 404}, "has no batch API; set generator.mode to live"),
        ("completed", {"/batches": 404}, "has no batch API; set generator.mode to live"),
    ],
)
def test_a_provider_that_takes_no_batch_is_told(
    manager: Manager, status: str, refused: dict[str, int], words: str
) -> None:
    with BatchProvider(answering(), status=status) as provider:
        provider.refused = refused
        run_id = start(manager, provider)
        assert words in summary(manager, run_id, "failed")["error"]
        provider.refused = {}
        manager.resume(run_id)
        found = summary(manager, run_id, "completed")
    assert found["cost_usd"] == pytest.approx(charged(provider))


def test_a_key_that_is_lost_in_between_leaves_the_batch_to_be_found(manager: Manager) -> None:
    with BatchProvider(answering(), status="in_progress") as provider:
        run_id = start(manager, provider)
        assert wait_until(lambda: any(batch["status"] == "in_progress" for batch in provider.batches.values()))
        provider.api_key = "another"
        assert "does not accept the key" in summary(manager, run_id, "failed")["error"]
        provider.api_key, provider.status = KEY, "completed"
        manager.resume(run_id)
        found = summary(manager, run_id, "completed")
    assert [found["prompt_tokens"], found["completion_tokens"]] == provider.charged


def test_a_batch_that_is_turned_down_fails_its_calls_in_the_providers_words(manager: Manager) -> None:
    with BatchProvider(answering(), status="failed") as provider:
        provider.errors = ["Line 1: the model <b>nobody</b> is not there"]
        run_id = start(manager, provider)
        summary(manager, run_id, *ENDED)
        (row, *_) = manager.store.read(fetch, "SELECT error FROM call WHERE run_id = ? AND error IS NOT NULL", [run_id])
    assert "did not take the batch batch-0. It says: Line 1" in row["error"]


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"custom_id": 7}', b"\xff", b"{" * 5000, b'"x"', b"null"])
def test_a_line_that_is_no_result_is_passed_over(line: bytes) -> None:
    assert read_result(line) is None


def test_an_id_that_could_lead_elsewhere_is_none() -> None:
    found = read_batch(b'{"id": "batch-1", "status": "completed", "output_file_id": "../../models", "metadata": []}')
    assert found.result_files == ()

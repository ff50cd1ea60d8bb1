"""The manager when things go wrong around it: a store that cannot be written, a review that nobody closes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from sedi_engine.config import RunConfig
from sedi_engine.jobs import Manager
from store import decisions, runs, writer
from store.database import Cursor, Store
from tests.commands import record_stream, wait_until
from tests.story import Story


@pytest.fixture
def manager(store: Store) -> Iterator[Manager]:
    opened = Manager(store)
    yield opened
    opened.close()


def streamed(path: Path) -> RunConfig:
    settings = {"generator.kind": "stream", "generator.stream_path": str(path), "feedback.mode": "off"}
    return RunConfig.load("quick", {**settings, "train.model": "none"})


def test_a_failure_that_cannot_be_stored_is_told_and_stored_later(
    manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = streamed(record_stream(tmp_path / "candidates.jsonl", 40))

    def full(cursor: Cursor, *args: object) -> None:
        raise duckdb.IOException("No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(writer, "take_in", full)
        disk.setattr(runs, "set_status", full)
        run_id = manager.start(config)
        assert manager.wait(run_id, 60)
        told = manager.summary(run_id)
        assert told["status"] == "failed"
        assert "No space left" in told["error"]
        assert "resume" in told["next_step"]
    assert wait_until(lambda: manager.store.read(runs.get, run_id)["status"] == "failed")
    manager.resume(run_id)
    assert manager.wait(run_id, 60)
    assert manager.summary(run_id)["status"] == "completed"


def test_a_review_that_waits_too_long_is_decided_by_the_rule(manager: Manager, store: Store) -> None:
    story = Story("r1", **{"feedback.mode": "review", "feedback.review_timeout_minutes": 1, "train.model": "none"})
    story.begin(store)
    kept = story.candidate(0, 0)
    changes = (story.proposal("promote", kept.candidate_id), story.proposal("evict", "s1"))
    story.tell(store, story.call(0), story.judged(0, kept), story.finished(1, (kept.candidate_id,), *changes))
    store.write(runs.set_status, "r1", "waiting_for_review")
    assert [row["decision"] for row in store.read(decisions.of_run, "r1")] == [None, None]
    long_ago = runs.now() - timedelta(minutes=2)
    store.write(lambda cursor: cursor.execute("UPDATE run SET ended = ? WHERE run_id = 'r1'", [long_ago]).fetchall())
    assert wait_until(lambda: store.read(runs.get, "r1")["status"] != "waiting_for_review")
    assert manager.wait("r1", 60)
    standing = store.read(decisions.of_run, "r1")
    assert {(row["decision"], row["by"]) for row in standing} == {("accept", decisions.RULE)}

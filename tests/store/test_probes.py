"""Probes and single calls: what was sent is entered before its reply is there, and a run's calls come in pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from store import probes
from store.connection import fetch
from store.database import Store
from store.records import Probe
from tests.story import Story

SENT = Probe(
    probe_id="p1",
    purpose="trial",
    at=datetime(2026, 1, 2),
    by="page",
    model="m",
    endpoint="http://127.0.0.1/v1",
    prompt_version="output.v1",
    request='{"prompt": "Say hi."}',
    usage_source="unknown",
    error="no reply yet",
)


def test_a_probe_is_in_the_ledger_as_it_is_sent_and_once(store: Store) -> None:
    store.write(probes.record, SENT)
    assert ledger(store) == [("trial", 0, "unknown")]
    answered = SENT.model_copy(
        update={"completion_tokens": 5, "usage_source": "server", "raw_reply": "hi", "error": None, "cost_usd": 0.25}
    )
    store.write(probes.record, answered)
    assert ledger(store) == [("trial", 5, "server")]
    (row,) = store.read(probes.recent, 10)
    assert (row["raw_reply"], row["error"], row["cost_usd"]) == ("hi", None, 0.25)
    assert row["request"] == SENT.request


def test_probes_come_newest_first(store: Store) -> None:
    for day in (1, 3, 2):
        store.write(probes.record, SENT.model_copy(update={"probe_id": str(day), "at": datetime(2026, 1, day)}))
    assert [row["probe_id"] for row in store.read(probes.recent, 2)] == ["3", "2"]


def ledger(store: Store) -> list[tuple[Any, ...]]:
    with store.cursor() as cursor:
        return [
            (row["purpose"], row["completion_tokens"], row["usage_source"])
            for row in fetch(cursor, "SELECT * FROM ledger WHERE run_id IS NULL")
        ]


@pytest.fixture
def told(store: Store) -> Story:
    """Three lists, of which the second was tried twice, with two outputs each."""
    story = Story()
    story.begin(store)
    for index in range(3):
        if index == 1:
            story.tell(store, story.call(index, raw_reply=None, error="broken"))
        story.tell(store, story.call(index, attempt=int(index == 1)))
        story.tell(store, *(story.call(index, "output", position=place) for place in range(2)))
    return story


def test_pages_of_calls_hold_each_attempt_once_and_newest_first(store: Store, told: Story) -> None:
    count = store.read(probes.call_count, told.run_id)
    pages = [store.read(probes.calls, told.run_id, 4, skip) for skip in range(0, count, 4)]
    rows = [row for page in pages for row in page]
    keys = [(row["call_index"], row["stage"], row["position"], row["attempt"]) for row in rows]
    assert len(set(keys)) == len(keys) == count == 10
    assert [key[0] for key in keys] == sorted((key[0] for key in keys), reverse=True)
    assert all("raw_reply" not in row for row in rows)


def test_calls_can_be_those_of_a_stage_or_those_that_failed(store: Store, told: Story) -> None:
    with store.cursor() as cursor:
        outputs = probes.calls(cursor, told.run_id, 100, stage="output")
        failed = probes.calls(cursor, told.run_id, 100, failed=True)
        assert len(outputs) == probes.call_count(cursor, told.run_id, "output") == 6
        assert [(row["call_index"], row["error"]) for row in failed] == [(1, "broken")]
        assert probes.call_count(cursor, told.run_id, failed=True) == 1


def test_one_call_is_found_with_its_reply(store: Store, told: Story) -> None:
    with store.cursor() as cursor:
        last = probes.call(cursor, told.run_id, 1, None, -1, None)
        first = probes.call(cursor, told.run_id, 1, "instruction", -1, 0)
        output = probes.call(cursor, told.run_id, 2, "output", 1, None)
        assert probes.call(cursor, told.run_id, 9, None, -1, None) is None
    assert last is not None
    assert first is not None
    assert output is not None
    assert (last["attempt"], last["raw_reply"]) == (1, "text")
    assert (first["attempt"], first["error"]) == (0, "broken")
    assert output["position"] == 1

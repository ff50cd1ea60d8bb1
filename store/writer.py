"""Each kind of event becomes rows, in one transaction with the event itself; an event that came before is skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import duckdb

from store import batches, calls, candidates, decisions, runs, seeds, steps
from store.connection import fetch
from store.events import (
    CallJudged,
    CallRecorded,
    Event,
    Failed,
    PhaseStarted,
    StepDone,
    Stopped,
    StudentLoaded,
    Warned,
    WindowComposed,
    WindowFinished,
    WorkerStarted,
)

Cursor = duckdb.DuckDBPyConnection
# What these say is whole in the rows they become; the log keeps only that they came.
IN_ROWS = {
    "call_recorded": {"call"},
    "call_judged": {"candidates"},
    "step_done": {"step"},
    "window_composed": {"batches"},
}


def take_in(cursor: Cursor, events: Iterable[Event]) -> None:
    """Turn events into rows; the caller holds the transaction."""
    for event in events:
        if _log(cursor, event):
            APPLY[type(event)](cursor, event)
            cursor.execute("UPDATE run SET elapsed_s = ? WHERE run_id = ?", [event.elapsed_s, event.run_id])


def _log(cursor: Cursor, event: Event) -> bool:
    """Enter the event; False if it is there already."""
    payload = event.model_dump_json(exclude={"run_id", "seq", "kind", "at", "elapsed_s", *IN_ROWS.get(event.kind, ())})
    new = fetch(
        cursor,
        "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING seq",
        [event.run_id, event.seq, event.kind, event.at, event.elapsed_s, payload],
    )
    return bool(new)


def _phase_started(cursor: Cursor, event: PhaseStarted) -> None:
    cursor.execute("UPDATE run SET phase = ? WHERE run_id = ?", [event.phase, event.run_id])


def _window_finished(cursor: Cursor, event: WindowFinished) -> None:
    steps.window_finished(cursor, event)
    candidates.leave_queue(cursor, event.run_id, event.iteration, event.members)
    runs.window_finished(cursor, event)
    seeds.credit(cursor, event)
    decisions.propose(cursor, event.proposals)
    run = runs.get(cursor, event.run_id)
    if run and run["config"]["feedback"]["mode"] == "auto" and event.proposals:
        decisions.decide_open(cursor, event.run_id)
        decisions.apply(cursor, event.run_id, event.iteration + 1, lineage=True)


def _nothing(cursor: Cursor, event: Any) -> None:
    """The log itself is the record."""


APPLY: dict[type, Callable[[Cursor, Any], None]] = {
    WorkerStarted: runs.worker_started,
    StudentLoaded: runs.student_loaded,
    PhaseStarted: _phase_started,
    CallRecorded: lambda cursor, event: calls.record(cursor, [event.call]),
    CallJudged: candidates.judged,
    WindowComposed: lambda cursor, event: batches.composed(cursor, event.batches),
    StepDone: steps.done,
    WindowFinished: _window_finished,
    Stopped: lambda cursor, event: runs.set_status(cursor, event.run_id, event.status),
    Failed: lambda cursor, event: runs.set_status(cursor, event.run_id, "failed", event.error, event.next_step),
    Warned: _nothing,
}

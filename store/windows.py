"""Windows that are over, as the records that feedback reads: steps with examples, batches, members, and S then."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import duckdb

from store import seeds
from store.connection import fetch
from store.records import Batch, ExampleSignal, Step
from store.snapshot import Queued

Cursor = duckdb.DuckDBPyConnection


@dataclass(frozen=True)
class Window:
    """A finished window: its steps that stand with the batch of each, in order of training, and S while it was filled.

    `active` are rows as `store.seeds.of_run` gives them.
    """

    iteration: int
    steps: tuple[Step, ...]
    batches: tuple[Batch, ...]
    members: dict[str, Queued]
    active: tuple[dict[str, Any], ...]


def finished(cursor: Cursor, run_id: str) -> list[Window]:
    """The windows of a run that were finished after training, oldest first; read in one snapshot."""
    numbers = fetch(
        cursor,
        "SELECT DISTINCT (payload->>'iteration')::INTEGER AS iteration FROM event WHERE run_id = $run AND "
        "kind = 'window_finished' AND iteration IN (SELECT iteration FROM current_step WHERE run_id = $run "
        "AND phase = 'online') ORDER BY iteration",
        {"run": run_id},
    )
    members = seeds.of_run(cursor, run_id)
    return [_window(cursor, run_id, row["iteration"], members) for row in numbers]


def _window(cursor: Cursor, run_id: str, iteration: int, members: list[dict[str, Any]]) -> Window:
    composed = fetch(
        cursor,
        "SELECT * FROM batch WHERE run_id = ? AND phase = 'online' AND iteration = ? "
        "QUALIFY row_number() OVER (PARTITION BY step ORDER BY attempt DESC) = 1",
        [run_id, iteration],
    )
    batches = {row["step"]: Batch(**row) for row in composed}
    signals = _signals(cursor, run_id, iteration)
    rows = fetch(
        cursor,
        "SELECT * EXCLUDE (superseded) FROM current_step WHERE run_id = ? AND phase = 'online' AND iteration = ? "
        "ORDER BY step",
        [run_id, iteration],
    )
    steps = [Step(**row, examples=_in_order(signals[row["step"]], batches[row["step"]])) for row in rows]
    return Window(
        iteration,
        tuple(steps),
        tuple(batches[step.step] for step in steps),
        _queued(cursor, [name for batch in batches.values() for name in batch.members]),
        tuple(row for row in members if _was_active(row, iteration)),
    )


def _signals(cursor: Cursor, run_id: str, iteration: int) -> dict[int, dict[str, ExampleSignal]]:
    """What the steps of a window showed of each example, by step."""
    rows = fetch(
        cursor,
        "SELECT step, e.candidate_id, e.loss, e.el2n, e.grand, e.ifd, e.response_tokens "
        "FROM example_signal e JOIN current_step s USING (run_id, phase, step, attempt) "
        "WHERE run_id = ? AND phase = 'online' AND s.iteration = ?",
        [run_id, iteration],
    )
    found: dict[int, dict[str, ExampleSignal]] = defaultdict(dict)
    for row in rows:
        step = row.pop("step")
        found[step][row["candidate_id"]] = ExampleSignal(**row)
    return found


def _in_order(signals: dict[str, ExampleSignal], batch: Batch) -> tuple[ExampleSignal, ...]:
    """In the order of the batch; one without a response token has no signal."""
    return tuple(signals[name] for name in batch.members if name in signals)


def _queued(cursor: Cursor, names: list[str]) -> dict[str, Queued]:
    rows = fetch(
        cursor,
        "SELECT candidate_id, call_index, origin, instruction, input, output FROM candidate "
        "WHERE list_contains(?::VARCHAR[], candidate_id)",
        [names],
    )
    return {row["candidate_id"]: Queued(**row) for row in rows}


def _was_active(row: dict[str, Any], iteration: int) -> bool:
    removed = row["removed_iteration"]
    return row["added_iteration"] <= iteration and (removed is None or removed > iteration)

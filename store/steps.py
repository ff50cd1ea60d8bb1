"""Optimiser steps and what they showed of each example; a step that is trained again supersedes the earlier."""

from __future__ import annotations

import duckdb

from store.connection import fetch, fetch_one, insert
from store.events import StepDone, WindowFinished

Cursor = duckdb.DuckDBPyConnection


def done(cursor: Cursor, event: StepDone) -> None:
    """Enter a step with the signals of its examples."""
    step = event.step
    key = step.model_dump(include={"run_id", "phase", "step", "attempt"})
    insert(cursor, "step", [step.model_dump(exclude={"examples"})])
    insert(cursor, "example_signal", ({**key, **example.model_dump()} for example in step.examples))


def window_finished(cursor: Cursor, event: WindowFinished) -> None:
    """What is known of a window's steps only when it is over: detrended norms, the attractive one, held-out loss."""
    window = "run_id = ? AND iteration = ? AND phase = 'online' AND NOT superseded"
    for step, value in event.detrended.items():
        cursor.execute(
            f"UPDATE step SET grad_norm_detrended = ? WHERE step = ? AND {window}",  # noqa: S608
            [value, step, event.run_id, event.iteration],
        )
    cursor.execute(
        f"UPDATE step SET attractive = (step IS NOT DISTINCT FROM ?) WHERE {window}",  # noqa: S608
        [event.attractive_step, event.run_id, event.iteration],
    )
    cursor.execute(
        f"UPDATE step SET heldout_loss = ? WHERE {window} AND step = "  # noqa: S608
        "(SELECT max(step) FROM step WHERE run_id = ? AND iteration = ? AND NOT superseded)",
        [event.heldout_loss, event.run_id, event.iteration, event.run_id, event.iteration],
    )


def supersede(cursor: Cursor, run_id: str, iteration: int) -> int:
    """Mark the steps of an unfinished window as superseded; returns the attempt to go on with."""
    cursor.execute("UPDATE step SET superseded = true WHERE run_id = ? AND iteration = ?", [run_id, iteration])
    row = fetch_one(
        cursor,
        "SELECT coalesce(max(attempt) + 1, 0) AS attempt FROM step WHERE run_id = ? AND iteration = ?",
        [run_id, iteration],
    )
    assert row is not None
    return int(row["attempt"])


def last_step(cursor: Cursor, run_id: str) -> int:
    """Number of the last composed step; 0 before the first."""
    row = fetch(
        cursor,
        "SELECT coalesce(max(step), 0) AS step FROM batch WHERE run_id = ? AND phase = 'online'",
        [run_id],
    )
    return int(row[0]["step"])

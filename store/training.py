"""What the training and the batch screens read: steps with everything that was measured, batches with their members."""

from __future__ import annotations

from typing import Any

import duckdb

from store.connection import fetch, fetch_one
from store.kept import kept_of_run
from store.map_view import MEMBERS

Cursor = duckdb.DuckDBPyConnection


@kept_of_run
def steps(cursor: Cursor, run_id: str, from_iteration: int = 0) -> list[dict[str, Any]]:
    """Every online step of a run from a window on, superseded ones too, in the order in which they were taken.

    All its columns, and its examples' mean `el2n`, `grand` and `ifd`; null where none was measured.
    """
    return fetch(
        cursor,
        "SELECT s.*, e.el2n, e.grand, e.ifd FROM step s LEFT JOIN (SELECT step, attempt, avg(el2n) AS el2n, "
        "avg(grand) AS grand, avg(ifd) AS ifd FROM example_signal WHERE run_id = $run AND phase = 'online' "
        "GROUP BY step, attempt) e USING (step, attempt) "
        "WHERE s.run_id = $run AND s.phase = 'online' AND s.iteration >= $from ORDER BY s.attempt, s.step",
        {"run": run_id, "from": from_iteration},
    )


@kept_of_run
def batches(cursor: Cursor, run_id: str) -> list[dict[str, Any]]:
    """Composed batches, the newest composition of each, with what their step showed (null before it is trained)."""
    return fetch(
        cursor,
        "SELECT b.*, s.loss, s.grad_norm, s.grad_norm_detrended, s.attractive, s.response_tokens FROM ("
        "SELECT * FROM batch WHERE run_id = $run AND phase = 'online' "
        "QUALIFY row_number() OVER (PARTITION BY step ORDER BY attempt DESC) = 1) b "
        "LEFT JOIN current_step s ON s.run_id = b.run_id AND s.phase = b.phase AND s.step = b.step ORDER BY b.step",
        {"run": run_id},
    )


@kept_of_run
def members(cursor: Cursor, run_id: str, iteration: int) -> list[dict[str, Any]]:
    """The examples of a window in batch order: step, cluster, texts, and their own signals (null before training)."""
    return fetch(
        cursor,
        f"WITH members AS ({MEMBERS}) "  # noqa: S608
        "SELECT m.step, m.cluster, m.candidate_id, 'candidate:' || m.candidate_id AS subject, c.instruction, c.output, "
        "e.loss, e.el2n, e.grand, e.ifd, e.response_tokens FROM members m JOIN candidate c USING (candidate_id) "
        "LEFT JOIN current_step s ON s.run_id = c.run_id AND s.phase = 'online' AND s.step = m.step "
        "LEFT JOIN example_signal e ON e.run_id = s.run_id AND e.phase = s.phase AND e.step = s.step "
        "AND e.attempt = s.attempt AND e.candidate_id = m.candidate_id "
        "WHERE m.iteration = $iteration ORDER BY m.step, m.candidate_id",
        {"run": run_id, "iteration": iteration},
    )


@kept_of_run
def hardware(cursor: Cursor, run_id: str) -> str | None:
    """Device and precision that a run trains with, in words; None before its student was loaded."""
    row = fetch_one(
        cursor,
        "SELECT hardware->>'device' AS device, hardware->>'precision' AS precision FROM run WHERE run_id = ?",
        [run_id],
    )
    return f"{row['device']}, {row['precision']}" if row and row["device"] else None

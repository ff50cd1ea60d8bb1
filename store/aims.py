"""Iterations whose demonstrations a person chose, to fill an empty neighbourhood: marked, and left out of replays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import duckdb

from store.connection import fetch

Cursor = duckdb.DuckDBPyConnection


def take(cursor: Cursor, run_id: str, iteration: int, demo_ids: Sequence[str], by: str) -> None:
    """Aim an iteration at these seeds and candidates; a later aim at the same iteration takes its place."""
    cursor.execute(
        "INSERT OR REPLACE INTO aim VALUES (?, ?, ?, ?, ?)",
        [run_id, iteration, list(demo_ids), by, datetime.now(UTC).replace(tzinfo=None)],
    )


def drop(cursor: Cursor, run_id: str, iteration: int) -> None:
    """Take an aim back, before anything was sent with it."""
    cursor.execute("DELETE FROM aim WHERE run_id = ? AND iteration = ?", [run_id, iteration])


def of_iteration(cursor: Cursor, run_id: str, iteration: int) -> tuple[str, ...]:
    """The demonstrations of an iteration; empty where it is not aimed."""
    rows = fetch(cursor, "SELECT demo_ids FROM aim WHERE run_id = ? AND iteration = ?", [run_id, iteration])
    return tuple(rows[0]["demo_ids"]) if rows else ()


def iterations(cursor: Cursor, run_id: str) -> list[int]:
    """The aimed iterations of a run, in order."""
    rows = fetch(cursor, "SELECT iteration FROM aim WHERE run_id = ? ORDER BY iteration", [run_id])
    return [row["iteration"] for row in rows]

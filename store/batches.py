"""Batches as they were composed."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from store.connection import fetch, insert
from store.records import Batch

Cursor = duckdb.DuckDBPyConnection


def composed(cursor: Cursor, batches: Iterable[Batch]) -> None:
    """Enter the batches of a window."""
    insert(cursor, "batch", (batch.model_dump() for batch in batches))


def of_window(cursor: Cursor, run_id: str, iteration: int) -> list[Batch]:
    """The batches of a window in training order; empty if it is not composed yet."""
    rows = fetch(cursor, "SELECT * FROM batch WHERE run_id = ? AND iteration = ? ORDER BY step", [run_id, iteration])
    return [Batch(**row) for row in rows]

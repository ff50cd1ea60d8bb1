"""Calls: the ledger of what was sent, what came back, and what it cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import duckdb

from store.connection import fetch_one, insert
from store.records import Call

Cursor = duckdb.DuckDBPyConnection


def record(cursor: Cursor, calls: Iterable[Call]) -> None:
    """Enter attempts; one that is there already (same key) is left as it is."""
    insert(cursor, "call", (call.model_dump() for call in calls), "ON CONFLICT DO NOTHING")


def spend(cursor: Cursor, run_id: str) -> dict[str, Any]:
    """Distinct calls, those without a usable reply, tokens and money of a run; money is null if any is unknown."""
    row = fetch_one(
        cursor,
        """
        WITH one AS (
            SELECT call_index, stage, position, bool_and(error IS NOT NULL) AS failed
            FROM call WHERE run_id = $1 GROUP BY ALL
        )
        SELECT (SELECT count(*) FROM one) AS calls,
               (SELECT count(*) FROM one WHERE failed) AS calls_failed,
               count(*) AS attempts,
               coalesce(sum(prompt_tokens), 0)::BIGINT AS prompt_tokens,
               coalesce(sum(completion_tokens), 0)::BIGINT AS completion_tokens,
               CASE WHEN count(*) = count(cost_usd) THEN coalesce(sum(cost_usd), 0.0) END AS cost_usd,
               coalesce(max(call_index), -1) AS last_index
        FROM call WHERE run_id = $1
        """,
        [run_id],
    )
    assert row is not None
    return row

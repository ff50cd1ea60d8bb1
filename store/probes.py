"""Requests one by one: probes, which are sent outside any run, and the calls of a run with what became of each."""

from __future__ import annotations

from typing import Any

import duckdb

from store.connection import fetch, fetch_one, insert
from store.records import CallStage, Probe

Cursor = duckdb.DuckDBPyConnection

ANSWERED = (
    "prompt_tokens",
    "completion_tokens",
    "usage_source",
    "cost_usd",
    "latency_s",
    "finish_reason",
    "raw_reply",
    "error",
)
CALL_COLUMNS = (
    "call_index, stage, position, attempt, iteration, model, prompt_version, asked, prompt_tokens, completion_tokens, "
    "usage_source, cost_usd, latency_s, finish_reason, error, sent_at, journal_offset"
)


def record(cursor: Cursor, probe: Probe) -> None:
    """Enter a probe as it is sent; entered again, what came back takes the place of what was not known yet."""
    answered = ", ".join(f"{name} = excluded.{name}" for name in ANSWERED)
    insert(cursor, "probe", [probe.model_dump()], f"ON CONFLICT (probe_id) DO UPDATE SET {answered}")


def recent(cursor: Cursor, limit: int) -> list[dict[str, Any]]:
    """Probes with their requests and replies, newest first."""
    return fetch(cursor, 'SELECT * FROM probe ORDER BY "at" DESC, probe_id DESC LIMIT ?', [limit])


def calls(
    cursor: Cursor, run_id: str, limit: int, skip: int = 0, stage: CallStage | None = None, failed: bool = False
) -> list[dict[str, Any]]:
    """A page of a run's calls, attempt by attempt, newest first, without their replies; `failed` for those alone."""
    return fetch(
        cursor,
        f"SELECT {CALL_COLUMNS} FROM call "  # noqa: S608
        "WHERE run_id = $1 AND ($2 IS NULL OR stage = $2) AND (NOT $3 OR error IS NOT NULL) "
        "ORDER BY call_index DESC, position DESC, attempt DESC LIMIT $4 OFFSET $5",
        [run_id, stage, failed, limit, skip],
    )


def call_count(cursor: Cursor, run_id: str, stage: CallStage | None = None, failed: bool = False) -> int:
    """How many rows `calls` has for the same question."""
    row = fetch_one(
        cursor,
        "SELECT count(*) AS n FROM call "
        "WHERE run_id = $1 AND ($2 IS NULL OR stage = $2) AND (NOT $3 OR error IS NOT NULL)",
        [run_id, stage, failed],
    )
    return int(row["n"]) if row else 0


def call(
    cursor: Cursor, run_id: str, call_index: int, stage: CallStage | None, position: int, attempt: int | None
) -> dict[str, Any] | None:
    """A call with its reply; without a stage its list, without an attempt the last one. None where there is none."""
    return fetch_one(
        cursor,
        f"SELECT {CALL_COLUMNS}, run_id, raw_reply FROM call "  # noqa: S608
        "WHERE run_id = $1 AND call_index = $2 AND position = $4 "
        "AND CASE WHEN $3 IS NULL THEN stage <> 'output' ELSE stage = $3 END AND ($5 IS NULL OR attempt = $5) "
        "ORDER BY attempt DESC LIMIT 1",
        [run_id, call_index, stage, position, attempt],
    )

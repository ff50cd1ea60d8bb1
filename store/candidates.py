"""Candidates and the judgement of the replies they came from; the queue Q and the pool of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from store.connection import fetch, fetch_one, insert
from store.events import CallJudged

Cursor = duckdb.DuckDBPyConnection
DECIDED = (
    "LEFT JOIN standing_decision d ON d.subject = 'candidate:' || c.candidate_id "
    "LEFT JOIN standing_decision made ON made.kind = 'edit' AND made.result = c.candidate_id"
)
# Kept and not rejected, or rescued and complete; an edit, while it stands, is in the place of its original.
IN_K = (
    "(c.verdict = 'kept' AND d.kind IS DISTINCT FROM 'reject' AND d.kind IS DISTINCT FROM 'edit' "
    "AND (c.origin <> 'edit' OR made.subject IS NOT NULL) OR d.kind = 'rescue' AND c.output <> '')"
)


def judged(cursor: Cursor, event: CallJudged) -> None:
    """Enter a judged reply with all its candidates."""
    insert(
        cursor,
        "judgement",
        [
            {
                **event.model_dump(include={"run_id", "call_index", "iteration", "asked", "parsed", "surplus"}),
                **{cause: event.failed.get(cause, 0) for cause in ("missing", "unparseable", "refused")},
            }
        ],
    )
    insert(cursor, "candidate", ({**c.model_dump(), "window_iteration": None} for c in event.candidates))


def leave_queue(cursor: Cursor, run_id: str, iteration: int, members: tuple[str, ...]) -> None:
    """The members of a finished window leave Q."""
    cursor.execute(
        "UPDATE candidate SET window_iteration = ? WHERE run_id = ? AND list_contains(?::VARCHAR[], candidate_id)",
        [iteration, run_id, list(members)],
    )


def queue(cursor: Cursor, run_id: str, composed: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Q, oldest first: kept and not rejected, or rescued and complete, and in no finished window.

    What is `composed` already stays, whatever was decided since: a decision acts at the next iteration's start.
    """
    return fetch(
        cursor,
        f"SELECT c.* FROM candidate c {DECIDED} WHERE c.run_id = ? AND c.window_iteration IS NULL "  # noqa: S608
        f"AND ({IN_K} OR list_contains(?::VARCHAR[], c.candidate_id)) ORDER BY c.call_index, c.position",
        [run_id, list(composed)],
    )


def queued_count(cursor: Cursor, run_id: str) -> int:
    """Size of Q."""
    row = fetch_one(
        cursor,
        f"SELECT count(*) AS n FROM candidate c {DECIDED} "  # noqa: S608
        f"WHERE c.run_id = ? AND c.window_iteration IS NULL AND ({IN_K})",
        [run_id],
    )
    return int(row["n"]) if row else 0


def pool(cursor: Cursor, run_id: str) -> list[dict[str, Any]]:
    """What passed the similarity filter, in the order of judgement.

    In staged form it stays even if its output was dropped; a whole task's output was checked before similarity.
    """
    return fetch(
        cursor,
        "SELECT candidate_id, instruction, input, output, verdict FROM candidate "
        "WHERE run_id = $1 AND origin <> 'edit' AND (verdict = 'kept' OR stage = 'output' AND call_index IN "
        "(SELECT call_index FROM call WHERE run_id = $1 AND stage = 'instruction')) "
        "ORDER BY call_index, position",
        [run_id],
    )


def ancestors(cursor: Cursor, candidate_id: str) -> list[dict[str, Any]]:
    """A candidate and what it was edited from, itself first; empty where it is not there."""
    line: list[dict[str, Any]] = []
    ident: str | None = candidate_id
    while ident and (row := fetch_one(cursor, "SELECT * FROM candidate WHERE candidate_id = ?", [ident])):
        line.append(row)
        ident = row["parent_id"]
    return line

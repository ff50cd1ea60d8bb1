"""What a run judged and paid, in the order of judgement: the log that another threshold is replayed over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb

from store.connection import fetch
from store.records import CallStage, DropReason, VerdictStage

Cursor = duckdb.DuckDBPyConnection


@dataclass(frozen=True)
class LoggedCandidate:
    """A candidate, where and why it was dropped (null if kept), and what its own output call cost."""

    candidate_id: str
    instruction: str
    stage: VerdictStage | None
    reason: DropReason | None
    output_tokens: int
    output_usd: float | None


@dataclass(frozen=True)
class LoggedCall:
    """A judged instruction or whole-task call with what it cost, failed attempts included, and what it gave.

    Tokens are completion tokens; money is null when a price is unknown.
    """

    call_index: int
    stage: CallStage
    completion_tokens: int
    cost_usd: float | None
    candidates: tuple[LoggedCandidate, ...]


@dataclass(frozen=True)
class ReplayLog:
    """The judged calls of a run, and the instructions its pool started from: S₀, whether it is still in S or not."""

    seed_instructions: tuple[str, ...]
    calls: tuple[LoggedCall, ...]

    @property
    def judged(self) -> int:
        """Candidates judged; a log that is no longer is the same log."""
        return sum(len(call.candidates) for call in self.calls)


SPENT = """
SELECT call_index, stage, position, sum(completion_tokens)::BIGINT AS tokens,
       CASE WHEN count(*) = count(cost_usd) THEN sum(cost_usd) END AS usd
FROM call WHERE run_id = $1 GROUP BY call_index, stage, position
"""


AIMED = """
SELECT call_index FROM call JOIN aim ON aim.run_id = call.run_id AND aim.iteration = call.iteration
WHERE call.run_id = $1
"""


def rows_for_replay(cursor: Cursor, run_id: str) -> ReplayLog:
    """The log of a run; calls whose reply is not judged yet are left out, and those of an aimed iteration."""
    seeds = fetch(
        cursor,
        "SELECT s.instruction FROM run_seed r JOIN seed s USING (seed_id) "
        "WHERE r.run_id = ? AND r.promoted_by IS NULL ORDER BY r.position",
        [run_id],
    )
    calls = fetch(
        cursor,
        f"SELECT j.call_index, spent.stage, spent.tokens, spent.usd FROM judgement j JOIN ({SPENT}) spent "  # noqa: S608
        "ON spent.call_index = j.call_index AND spent.stage <> 'output' WHERE j.run_id = $1 "
        f"AND j.call_index NOT IN ({AIMED}) ORDER BY j.call_index",
        [run_id],
    )
    candidates = fetch(
        cursor,
        "SELECT c.call_index, c.candidate_id, c.instruction, c.stage, c.reason, spent.stage IS NOT NULL AS paid, "  # noqa: S608
        f"spent.tokens, spent.usd FROM candidate c LEFT JOIN ({SPENT}) spent ON spent.call_index = c.call_index "
        "AND spent.position = c.position AND spent.stage = 'output' "
        "WHERE c.run_id = $1 AND c.origin <> 'edit' ORDER BY c.call_index, c.position",
        [run_id],
    )
    of_call: dict[int, list[LoggedCandidate]] = {}
    for row in candidates:
        of_call.setdefault(row["call_index"], []).append(_candidate(row))
    return ReplayLog(
        tuple(row["instruction"] for row in seeds),
        tuple(
            LoggedCall(
                row["call_index"], row["stage"], row["tokens"], row["usd"], tuple(of_call.get(row["call_index"], ()))
            )
            for row in calls
        ),
    )


def _candidate(row: dict[str, Any]) -> LoggedCandidate:
    return LoggedCandidate(
        row["candidate_id"],
        row["instruction"],
        row["stage"],
        row["reason"],
        row["tokens"] if row["paid"] else 0,
        row["usd"] if row["paid"] else 0.0,
    )

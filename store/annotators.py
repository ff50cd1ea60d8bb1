"""What people decided, by person: for agreement, for progress, and for each seed where they disagree.

Everything rests on decisions on a task's fate that no undo has taken back; the rule is nobody here.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import duckdb

from store.connection import fetch
from store.ledger import SHOWN

Cursor = duckdb.DuckDBPyConnection
BREAK_S = 600.0

OF_RUN = """
    SELECT 'candidate:' || candidate_id AS subject FROM candidate WHERE run_id = $run
    UNION ALL SELECT 'proposal:' || proposal_id FROM proposal WHERE run_id = $run
    UNION ALL SELECT 'blind:' || test_id || '/' || position FROM blind_item JOIN blind_test USING (test_id)
    WHERE run_id = $run
"""
PROGRESS = """
    WITH made AS (
        SELECT "by" AS annotator, kind, "at", group_id, decision_id FROM effective_decision
        WHERE of_fate AND "by" <> 'rule'
    ),
    acts AS (
        SELECT annotator, min("at") AS "at" FROM made GROUP BY annotator, coalesce(group_id, decision_id::VARCHAR)
    ),
    gaps AS (
        SELECT annotator, epoch("at" - lag("at") OVER (PARTITION BY annotator ORDER BY "at")) AS gap FROM acts
    ),
    paces AS (SELECT annotator, median(gap) AS median_s FROM gaps WHERE gap <= $break GROUP BY annotator)
    SELECT annotator, count(*) AS decided, count(*) FILTER (kind = 'accept') AS accepted,
           count(*) FILTER (kind = 'reject') AS rejected, count(*) FILTER (kind NOT IN ('accept', 'reject')) AS other,
           count(group_id) AS in_bulk, count(*) FILTER ("at" > $hour_ago) AS last_hour,
           count(*) FILTER ("at" >= $midnight) AS today, any_value(median_s) AS median_s, max("at") AS last_at
    FROM made LEFT JOIN paces USING (annotator) GROUP BY annotator ORDER BY decided DESC, annotator
"""


def opinions(cursor: Cursor, run_id: str) -> list[dict[str, Any]]:
    """Each person's standing word on a candidate, a proposal or a blind item of a run: subject, annotator, kind.

    In the order in which the subjects, and then the people, came to it.
    """
    return fetch(
        cursor,
        f'SELECT subject, "by" AS annotator, kind FROM opinion SEMI JOIN ({OF_RUN}) USING (subject) '  # noqa: S608
        "ORDER BY min(decision_id) OVER (PARTITION BY subject), decision_id",
        {"run": run_id},
    )


def progress(cursor: Cursor, now: datetime) -> list[dict[str, Any]]:
    """What each person decided in the whole store, most first; `now` is UTC.

    annotator, `decided`, `accepted`, `rejected`, `other` (rescued, edited), `in_bulk` of those decided, `last_hour`,
    `today` (since midnight UTC), `median_s` between two that follow each other (what was decided in one go counts as
    one; a break of more than BREAK_S is none), null for fewer than two; `last_at`.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    since = {"hour_ago": now - timedelta(hours=1), "midnight": midnight}
    return fetch(cursor, PROGRESS, {"break": BREAK_S, **since})


def disagreement(cursor: Cursor, run_id: str) -> list[dict[str, Any]]:
    """For each seed of a run with a child that two people or more decided: how many such, on how many they disagree.

    seed_id, instruction, credit, `decided`, `disagreed`; the most disputed first.
    """
    return fetch(
        cursor,
        f"WITH shown AS (SELECT call_index, unnest(seed_ids) AS seed_id FROM ({SHOWN})), "  # noqa: S608
        "said AS (SELECT substr(subject, length('candidate:') + 1) AS candidate_id, "
        "count(DISTINCT kind) > 1 AS differs "
        "FROM opinion WHERE starts_with(subject, 'candidate:') GROUP BY subject HAVING count(*) > 1) "
        "SELECT r.seed_id, s.instruction, r.credit, count(*) AS decided, count(*) FILTER (differs) AS disagreed "
        "FROM said JOIN candidate c ON c.candidate_id = said.candidate_id AND c.run_id = $run AND c.origin <> 'edit' "
        "JOIN shown USING (call_index) JOIN run_seed r ON r.run_id = $run AND r.seed_id = shown.seed_id "
        "JOIN seed s ON s.seed_id = r.seed_id GROUP BY ALL "
        "ORDER BY disagreed / count(*) DESC, decided DESC, r.seed_id",
        {"run": run_id},
    )

"""Blind tests: candidates that several rules would promote, mixed, and decided by people who see no rule.

A decision on an item has the subject `blind:TEST/POSITION`. It is about the rules, and does nothing to the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from store.connection import fetch, fetch_one, insert
from store.runs import now

Cursor = duckdb.DuckDBPyConnection


def add(
    cursor: Cursor, run_id: str, random_seed: int, per_rule: int, by: str, items: Iterable[Mapping[str, Any]]
) -> str:
    """Enter a test with its items (candidate_id, iteration, rules) in their mixed order; returns its id."""
    row = fetch_one(cursor, "SELECT count(*) + 1 AS number FROM blind_test WHERE run_id = ?", [run_id])
    assert row is not None
    test_id = f"{run_id}-b{row['number']}"
    head = {"test_id": test_id, "run_id": run_id, "random_seed": random_seed, "per_rule": per_rule}
    insert(cursor, "blind_test", [{**head, "by": by, "at": now()}])
    insert(cursor, "blind_item", ({"test_id": test_id, "position": at, **item} for at, item in enumerate(items)))
    return test_id


def of_run(cursor: Cursor, run_id: str) -> list[dict[str, Any]]:
    """The tests of a run, newest first, with how many `items` each has and how many of them are `decided`."""
    return fetch(
        cursor,
        "SELECT t.*, count(*) AS items, count(*) FILTER (d.kind IN ('accept', 'reject')) AS decided "
        "FROM blind_test t JOIN blind_item i USING (test_id) "
        "LEFT JOIN standing_decision d ON d.subject = 'blind:' || i.test_id || '/' || i.position "
        'WHERE t.run_id = ? GROUP BY ALL ORDER BY t."at" DESC, t.test_id DESC',
        [run_id],
    )


def items(cursor: Cursor, test_id: str, annotator: str, limit: int) -> list[dict[str, Any]]:
    """What this person has not decided, in the mixed order, the skipped last: subject and texts, nothing else."""
    return fetch(
        cursor,
        "WITH mine AS (SELECT subject, bool_or(of_fate) AS decided, bool_or(kind = 'skip') AS skipped "
        "FROM effective_decision WHERE \"by\" = $annotator AND starts_with(subject, 'blind:') GROUP BY subject) "
        "SELECT 'blind:' || i.test_id || '/' || i.position AS subject, c.instruction, c.input, c.output "
        "FROM blind_item i JOIN candidate c USING (candidate_id) "
        "LEFT JOIN mine ON mine.subject = 'blind:' || i.test_id || '/' || i.position "
        "WHERE i.test_id = $test AND NOT coalesce(mine.decided, false) "
        "ORDER BY coalesce(mine.skipped, false), i.position LIMIT $limit",
        {"test": test_id, "annotator": annotator, "limit": limit},
    )


def outcomes(cursor: Cursor, test_id: str) -> list[dict[str, Any]]:
    """Every item with its rules and what stands of it: position, candidate_id, iteration, rules, kind (null: open)."""
    return fetch(
        cursor,
        "SELECT i.position, i.candidate_id, i.iteration, i.rules, d.kind FROM blind_item i "
        "LEFT JOIN standing_decision d ON d.subject = 'blind:' || i.test_id || '/' || i.position "
        "WHERE i.test_id = ? ORDER BY i.position",
        [test_id],
    )

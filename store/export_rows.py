"""Rows of a run as a screen shows them and as an export writes them: one query for both.

Columns of `kept`, `candidates` and `seeds`, and those that lineage adds. Times are UTC in ISO 8601.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import duckdb

from store.candidates import DECIDED, IN_K
from store.selection import Selection

Cursor = duckdb.DuckDBPyConnection


class Query(NamedTuple):
    """The alias of the tasks, the columns, those that lineage adds, and where they come from; $run_id is the run."""

    task: str
    columns: str
    lineage: str
    source: str
    order: str


_ORIGINS = """
LEFT JOIN (
    SELECT call_index, arg_max(demo_seed_ids, attempt) AS demo_seed_ids,
           arg_max(demo_pool_ids, attempt) AS demo_pool_ids, arg_max(model, attempt) AS model,
           arg_max(prompt_version, attempt) AS prompt_version
    FROM call WHERE run_id = $run_id AND stage <> 'output' GROUP BY call_index
) shown ON shown.call_index = c.call_index
LEFT JOIN (
    SELECT candidate_id, max(step) AS step
    FROM (SELECT unnest(members) AS candidate_id, step FROM batch WHERE run_id = $run_id AND phase = 'online')
    GROUP BY candidate_id
) trained ON trained.candidate_id = c.candidate_id
"""
_IN_ORDER = "ORDER BY c.origin = 'edit', c.call_index, c.position, c.candidate_id"

QUERIES: dict[str, Query] = {
    "kept": Query(
        "c",
        "c.candidate_id, c.instruction, c.input, c.output",
        "c.run_id, c.call_index, c.position, c.iteration, c.origin, c.parent_id, shown.demo_seed_ids, "
        "shown.demo_pool_ids, shown.model, shown.prompt_version, c.max_rouge_l, c.nearest_id, c.nearest_source, "
        "trained.step, d.kind AS decision",
        f"FROM candidate c {DECIDED} {_ORIGINS} WHERE c.run_id = $run_id AND {IN_K}",
        _IN_ORDER,
    ),
    "candidates": Query(
        "c",
        "c.candidate_id, c.iteration, c.call_index, c.position, c.origin, c.parent_id, c.instruction, c.input, "
        "c.output, c.verdict, c.stage, c.reason, c.max_rouge_l, c.nearest_id, c.nearest_source, "
        "shown.demo_seed_ids, c.flags",
        "c.run_id, shown.demo_pool_ids, shown.model, shown.prompt_version, c.window_iteration, trained.step, "
        'd.kind AS decision, d."by" AS decided_by',
        f"FROM candidate c {DECIDED} {_ORIGINS} WHERE c.run_id = $run_id",
        _IN_ORDER,
    ),
    "seeds": Query(
        "s",
        "s.seed_id, s.instruction, s.input, s.output, s.is_classification, s.origin, s.parent_ids, r.status, r.credit, "
        "r.calls, r.children, r.added_iteration, joined_at, joined_reason, r.removed_iteration, left_at, left_reason",
        "r.run_id, r.position, r.credit_sum, r.promoted_by, promotion.evidence::VARCHAR AS promotion_evidence, "
        "r.evicted_by, eviction.evidence::VARCHAR AS eviction_evidence, r.decision_id, decided_by",
        """
        FROM run_seed r JOIN seed s ON s.seed_id = r.seed_id JOIN run ON run.run_id = r.run_id
        LEFT JOIN proposal promotion ON promotion.proposal_id = r.promoted_by
        LEFT JOIN proposal eviction ON eviction.proposal_id = r.evicted_by
        LEFT JOIN decision latest ON latest.decision_id = r.decision_id
        LEFT JOIN (SELECT subject, max("at") AS "at" FROM decision WHERE kind = 'accept' GROUP BY subject) accepted
            ON accepted.subject = 'proposal:' || r.promoted_by
        CROSS JOIN LATERAL (SELECT CASE WHEN r.promoted_by IS NULL THEN 'start' ELSE 'promoted' END AS first_reason)
        CROSS JOIN LATERAL (SELECT
            strftime(CASE WHEN r.status = 'active' THEN coalesce(latest."at", run.created)
                ELSE coalesce(accepted."at", run.created) END, '%Y-%m-%dT%H:%M:%SZ') AS joined_at,
            CASE WHEN r.status = 'active' THEN r.reason ELSE first_reason END AS joined_reason,
            CASE WHEN r.status = 'left' THEN strftime(latest."at", '%Y-%m-%dT%H:%M:%SZ') END AS left_at,
            CASE WHEN r.status = 'left' THEN r.reason END AS left_reason,
            latest."by" AS decided_by)
        WHERE r.run_id = $run_id
        """,
        "ORDER BY r.position",
    ),
}


def select(cursor: Cursor, selection: Selection, lineage: bool = False, limit: int | None = None) -> None:
    """Let the selected rows wait in the cursor, in their order; `limit` takes the first of them."""
    query = QUERIES[selection.what]
    columns = f"{query.columns}, {query.lineage}" if lineage else query.columns
    end = "" if limit is None else f" LIMIT {int(limit)}"
    sql = f"SELECT {columns} {query.source} {selection.where()} {query.order}{end}"
    cursor.execute(sql, selection.values())


def first_rows(cursor: Cursor, selection: Selection, limit: int, lineage: bool = False) -> list[dict[str, Any]]:
    """The first selected rows, as dictionaries."""
    select(cursor, selection, lineage, limit)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def count(cursor: Cursor, selection: Selection) -> int:
    """How many rows are selected."""
    query = QUERIES[selection.what]
    row = cursor.execute(
        f"SELECT count(*) {query.source} {selection.where()}",
        selection.values(),
    ).fetchone()
    return int(row[0]) if row else 0

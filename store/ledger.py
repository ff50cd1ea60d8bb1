"""The seed ledger: what each seed of a run was shown in, what came of it, what it cost, and its family.

A call is known by its index: its retries and the output calls of its candidates are charged to it. A candidate is a
child of every seed that its call showed, so children, kept and dropped count whole for each of them; tokens and money
of a call are shared equally among its seeds, so that they add up to the run's. Edits are outside the counts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import duckdb

from store import maps
from store.connection import fetch, fetch_one
from store.maps import Vectors

Cursor = duckdb.DuckDBPyConnection

SHOWN = """
    SELECT call_index, list_sort(list_distinct(arg_max(demo_seed_ids, attempt))) AS seed_ids
    FROM call WHERE run_id = $run AND stage <> 'output' GROUP BY call_index
"""
LEDGER = f"""
WITH shown AS (SELECT call_index, unnest(seed_ids) AS seed_id, len(seed_ids) AS among FROM ({SHOWN})),
spent AS (
    SELECT call_index, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens,
           sum(coalesce(cost_usd, 0.0)) AS usd, count(*) - count(cost_usd) AS unpriced
    FROM call WHERE run_id = $run GROUP BY call_index
),
made AS (
    SELECT call_index, coalesce(reason, '') AS reason, count(*) AS n
    FROM candidate WHERE run_id = $run AND origin <> 'edit' GROUP BY ALL
),
paid AS (
    SELECT seed_id, count(*) AS calls, coalesce(sum(j.asked), 0)::BIGINT AS asked,
           sum(prompt_tokens / among) AS prompt_tokens, sum(completion_tokens / among) AS completion_tokens,
           CASE WHEN sum(unpriced) = 0 THEN sum(usd / among) END AS cost_usd
    FROM shown JOIN spent USING (call_index)
    LEFT JOIN judgement j ON j.run_id = $run AND j.call_index = shown.call_index GROUP BY seed_id
),
children AS (
    SELECT seed_id, reason, sum(n)::BIGINT AS n, sum(n / among) AS part_n
    FROM shown JOIN made USING (call_index) GROUP BY ALL
),
verdicts AS (
    SELECT seed_id, sum(n)::BIGINT AS parsed, coalesce(sum(n) FILTER (reason = ''), 0)::BIGINT AS kept,
           coalesce(sum(part_n) FILTER (reason = ''), 0.0) AS kept_part,
           coalesce(list({{'reason': reason, 'n': n}} ORDER BY n DESC, reason) FILTER (reason <> ''), []) AS dropped
    FROM children GROUP BY seed_id
),
accepted AS (
    SELECT subject, max_by({{'by': "by", 'at': "at", 'reason': reason}}, decision_id) AS latest
    FROM decision WHERE kind = 'accept' AND starts_with(subject, 'proposal:') GROUP BY subject
)
SELECT r.seed_id, r.position, r.status, s.origin, s.instruction, s.input, s.output,
       coalesce(p.calls, 0) AS calls, coalesce(p.asked, 0) AS asked, coalesce(v.parsed, 0) AS parsed,
       coalesce(v.kept, 0) AS kept, coalesce(v.parsed, 0) - coalesce(v.kept, 0) AS dropped,
       coalesce(v.dropped, []) AS reasons,
       coalesce(p.prompt_tokens, 0.0) AS prompt_tokens, coalesce(p.completion_tokens, 0.0) AS completion_tokens,
       CASE WHEN p.calls IS NULL THEN 0.0 ELSE p.cost_usd END AS cost_usd,
       CASE WHEN v.kept_part > 0 THEN p.cost_usd / v.kept_part END AS usd_per_kept,
       r.credit, r.calls AS credited_calls, r.trained_children, r.added_iteration, r.removed_iteration, r.reason,
       promoted.latest."by" AS promoted_by, promoted.latest."at" AS promoted_at,
       promoted.latest.reason AS promoted_reason, promotion.evidence AS promotion,
       CASE WHEN r.status = 'left' THEN moved."by" END AS left_by,
       CASE WHEN r.status = 'left' THEN moved."at" END AS left_at,
       CASE WHEN r.status = 'left' THEN moved.reason END AS left_reason, eviction.evidence AS eviction
FROM run_seed r JOIN seed s USING (seed_id) LEFT JOIN paid p USING (seed_id) LEFT JOIN verdicts v USING (seed_id)
LEFT JOIN proposal promotion ON promotion.proposal_id = r.promoted_by
LEFT JOIN accepted promoted ON promoted.subject = 'proposal:' || r.promoted_by
LEFT JOIN proposal eviction ON eviction.proposal_id = r.evicted_by
LEFT JOIN decision moved ON moved.decision_id = r.decision_id
WHERE r.run_id = $run ORDER BY r.position
"""  # noqa: S608


def of_run(cursor: Cursor, run_id: str) -> list[dict[str, Any]]:
    """A row for each seed that is or was in S of a run, in the order of joining.

    `calls` it was shown in, `asked`, `parsed`, `kept` and `dropped` of those, `reasons` (drops by reason, most first);
    `prompt_tokens`, `completion_tokens` and `cost_usd`: its share of what its calls took, money null where a price is
    unknown; `usd_per_kept`: that over its equal share of the kept, comparable with the run's, null where nothing was
    kept or a price is unknown. `promotion` and `eviction` are the proposals' evidence, or None; who decided, when
    (UTC) and in what words is in promoted_by, _at, _reason and left_by, _at, _reason.
    """
    rows = fetch(cursor, LEDGER, {"run": run_id})
    return [
        {
            **row,
            "reasons": {one["reason"]: one["n"] for one in row["reasons"]},
            "promotion": _evidence(row["promotion"]),
            "eviction": _evidence(row["eviction"]),
        }
        for row in rows
    ]


def _evidence(text: str | None) -> dict[str, Any] | None:
    return json.loads(text) if text else None


def credit_over_time(cursor: Cursor, run_id: str, seed_id: str) -> list[dict[str, Any]]:
    """Credit of a seed after each window in which it was in S: iteration, credit, credit_sum, calls, trained_children.

    A window that was finished twice counts as it was finished last.
    """
    return fetch(
        cursor,
        "SELECT iteration, credit->>'seed_id' AS seed_id, (credit->>'credit')::DOUBLE AS credit, "
        "(credit->>'credit_sum')::DOUBLE AS credit_sum, (credit->>'calls')::INTEGER AS calls, "
        "coalesce((credit->>'trained_children')::INTEGER, 0) AS trained_children FROM ("
        "SELECT (payload->>'iteration')::INTEGER AS iteration, seq, unnest((payload->'credits')::JSON[]) AS credit "
        "FROM event WHERE run_id = ? AND kind = 'window_finished') WHERE credit->>'seed_id' = ? "
        "QUALIFY row_number() OVER (PARTITION BY iteration ORDER BY seq DESC) = 1 ORDER BY iteration",
        [run_id, seed_id],
    )


def library(cursor: Cursor, run_id: str) -> list[dict[str, Any]]:
    """The accepted seeds of the library, oldest first; beside each its `status` in the run (null: not in it) and
    its `credit` there.
    """
    return fetch(
        cursor,
        "SELECT s.seed_id, s.instruction, s.origin, s.added, r.status, r.credit, r.calls, r.children FROM seed s "
        "LEFT JOIN run_seed r ON r.seed_id = s.seed_id AND r.run_id = ? WHERE s.in_library "
        "ORDER BY s.added, s.seed_id",
        [run_id],
    )


def territory(cursor: Cursor, run_id: str) -> tuple[list[str], Vectors, Vectors]:
    """A run's active seeds with their vectors, and the vectors of its candidates, as far as they are embedded."""
    active = fetch(
        cursor,
        "SELECT 'seed:' || seed_id AS subject FROM run_seed WHERE run_id = ? AND status = 'active' ORDER BY position",
        [run_id],
    )
    subjects, of_seeds = maps.vectors(cursor, [row["subject"] for row in active])
    names = [subject.removeprefix("seed:") for subject in subjects]
    return names, of_seeds, maps.vectors_of_candidates(cursor, run_id)


def territory_mark(cursor: Cursor, run_id: str) -> tuple[Any, ...]:
    """What changes whenever the territories of a run's seeds may: the run, its vectors, who is active."""
    row = fetch_one(
        cursor,
        "SELECT $1 AS run_id, (SELECT count(*) FROM embedding) AS embedded, "
        "(SELECT count(*) FROM candidate WHERE run_id = $1) AS candidates, "
        "count(*) FILTER (status = 'active') AS active, max(decision_id) AS moved FROM run_seed WHERE run_id = $1",
        [run_id],
    )
    assert row is not None
    return tuple(row.values())


def lineage(cursor: Cursor, run_id: str) -> list[dict[str, Any]]:
    """How the seeds of a run that came from a candidate descend from others.

    One row each: seed_id, the candidate, and `parents`, the seeds that its call showed.
    """
    return fetch(
        cursor,
        f"WITH shown AS ({SHOWN}) SELECT r.seed_id, c.candidate_id, shown.seed_ids AS parents "  # noqa: S608
        "FROM run_seed r JOIN seed s USING (seed_id) "
        "CROSS JOIN LATERAL (SELECT unnest(s.parent_ids) AS candidate_id) p "
        "JOIN candidate c ON c.candidate_id = p.candidate_id AND c.run_id = r.run_id "
        "JOIN shown ON shown.call_index = c.call_index WHERE r.run_id = $run ORDER BY r.position",
        {"run": run_id},
    )


def first_children(cursor: Cursor, run_id: str, seed_ids: Sequence[str], each: int) -> list[dict[str, Any]]:
    """The first `each` kept children of each of these seeds: seed_id, candidate_id, instruction, input, output."""
    return fetch(
        cursor,
        f"WITH shown AS (SELECT call_index, unnest(seed_ids) AS seed_id FROM ({SHOWN})) "  # noqa: S608
        "SELECT shown.seed_id, c.candidate_id, c.instruction, c.input, c.output FROM candidate c "
        "JOIN shown USING (call_index) WHERE c.run_id = $run AND c.verdict = 'kept' AND c.origin <> 'edit' "
        "AND list_contains($seeds::VARCHAR[], shown.seed_id) "
        "QUALIFY row_number() OVER (PARTITION BY shown.seed_id ORDER BY c.call_index, c.position) <= $each "
        "ORDER BY shown.seed_id, c.call_index, c.position",
        {"run": run_id, "seeds": list(seed_ids), "each": each},
    )

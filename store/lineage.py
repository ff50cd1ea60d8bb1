"""Where one task comes from and what became of it: seeds → call → candidate → batch → step → seed."""

from __future__ import annotations

from typing import Any

import duckdb

from store.connection import fetch, fetch_one
from store.map_view import MEMBERS, SIGNALS

Cursor = duckdb.DuckDBPyConnection


def record(cursor: Cursor, run_id: str, subject: str) -> dict[str, Any] | None:
    """A task with its texts and `subject`; a candidate of the run with all that is known of it besides.

    Then also: the candidate's columns, `decision`, `nearest` (text it was compared with, or None), `seeds` (rows of
    the demonstrations), `call` (its row in the ledger), `step`, `loss`, `grad_norm`, `attractive`, `promoted` (whether
    it is a seed of the run). None where there is no such task.
    """
    if not subject.startswith("candidate:"):
        task = fetch_one(cursor, "SELECT * FROM task WHERE subject = ? AND run_id IS NULL", [subject])
        return task and {**task, **_as_seed(cursor, run_id, subject)}
    row = fetch_one(
        cursor,
        f"WITH members AS ({MEMBERS}), signals AS ({SIGNALS}) "  # noqa: S608
        "SELECT c.*, 'candidate:' || c.candidate_id AS subject, d.kind AS decision, "
        'd."by" AS decided_by, m.step, m.cluster, s.loss, t.grad_norm, t.attractive, '
        "EXISTS (SELECT 1 FROM run_seed r WHERE r.run_id = c.run_id AND r.seed_id = 'm-' || c.candidate_id) "
        "AS promoted "
        "FROM candidate c LEFT JOIN standing_decision d ON d.subject = 'candidate:' || c.candidate_id "
        "LEFT JOIN members m USING (candidate_id) LEFT JOIN signals s USING (candidate_id) "
        "LEFT JOIN current_step t ON t.run_id = c.run_id AND t.step = m.step AND t.phase = 'online' "
        "WHERE c.run_id = $run AND 'candidate:' || c.candidate_id = $subject",
        {"run": run_id, "subject": subject},
    )
    if row is None:
        return None
    call = _call(cursor, run_id, row["call_index"])
    demos = [*call["demo_seed_ids"], *call["demo_pool_ids"]] if call else []
    return {**row, "call": call, "seeds": _texts(cursor, demos), "nearest": _nearest(cursor, row["nearest_id"])}


def _call(cursor: Cursor, run_id: str, call_index: int) -> dict[str, Any] | None:
    return fetch_one(
        cursor,
        "SELECT call_index, stage, attempt, model, prompt_version, demo_seed_ids, demo_pool_ids, cost_usd, "
        "prompt_tokens, completion_tokens FROM call WHERE run_id = ? AND call_index = ? AND stage <> 'output' "
        "ORDER BY attempt DESC LIMIT 1",
        [run_id, call_index],
    )


def _texts(cursor: Cursor, idents: list[str]) -> list[dict[str, Any]]:
    """Seeds or candidates by id, in the order given."""
    rows = fetch(
        cursor,
        "WITH wanted AS (SELECT unnest($ids::VARCHAR[]) AS ident, generate_subscripts($ids::VARCHAR[], 1) AS place) "
        "SELECT place, ident, t.subject, t.instruction FROM wanted JOIN task t "
        "ON t.subject IN ('seed:' || ident, 'candidate:' || ident) ORDER BY place",
        {"ids": idents},
    )
    return list({row["place"]: row for row in rows}.values())


def _nearest(cursor: Cursor, ident: str | None) -> dict[str, Any] | None:
    found = _texts(cursor, [ident]) if ident else []
    return found[0] if found else None


def _as_seed(cursor: Cursor, run_id: str, subject: str) -> dict[str, Any]:
    """What a run knows of a seed: its row in S, and what its calls gave; nothing for a reference task."""
    seed_id = subject.removeprefix("seed:")
    row = fetch_one(cursor, "SELECT * FROM run_seed WHERE run_id = ? AND seed_id = ?", [run_id, seed_id])
    if row is None:
        return {}
    made = fetch_one(
        cursor,
        "SELECT count(*) AS made, count(*) FILTER (verdict = 'kept') AS kept, "
        "coalesce(list('candidate:' || candidate_id) FILTER (verdict = 'kept'), []) AS children_subjects "
        "FROM candidate WHERE run_id = $run AND call_index IN "
        "(SELECT call_index FROM call WHERE run_id = $run AND list_contains(demo_seed_ids, $seed))",
        {"run": run_id, "seed": seed_id},
    )
    assert made is not None
    return {**row, **made}

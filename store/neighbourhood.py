"""What lies near a task, as a review needs it: which tasks have vectors, places, and what was decided of a few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from store.connection import fetch, fetch_one
from store.map_view import MEMBERS, SIGNALS

Cursor = duckdb.DuckDBPyConnection
_OF_RUN = "(starts_with(e.subject, 'seed:') OR c.run_id = $run)"
_EMBEDDED = f"FROM embedding e LEFT JOIN candidate c ON e.subject = 'candidate:' || c.candidate_id WHERE {_OF_RUN} "


def mark(cursor: Cursor) -> tuple[Any, ...]:
    """What changes whenever the vectors or the map do; decisions do not count."""
    row = fetch_one(
        cursor,
        "SELECT (SELECT count(*) FROM embedding) AS embedded, (SELECT max(version) FROM map_version) AS version",
    )
    assert row is not None
    return tuple(row.values())


def embedded(cursor: Cursor, run_id: str) -> list[str]:
    """Subjects of the seeds and of the run's candidates that have a vector."""
    return [row["subject"] for row in fetch(cursor, f"SELECT e.subject {_EMBEDDED} ORDER BY 1", {"run": run_id})]


def places(cursor: Cursor, subjects: Sequence[str]) -> list[dict[str, Any]]:
    """subject, x, y on the newest map."""
    return fetch(
        cursor,
        "SELECT subject, x, y FROM map_point WHERE version = (SELECT max(version) FROM map_version) "
        "AND subject IN (SELECT unnest(?::VARCHAR[]))",
        [list(subjects)],
    )


def sample(cursor: Cursor, run_id: str, most: int) -> list[dict[str, Any]]:
    """x, y of a stable sample of the run's part of the newest map."""
    return fetch(
        cursor,
        "SELECT x, y FROM map_point e LEFT JOIN candidate c ON e.subject = 'candidate:' || c.candidate_id "  # noqa: S608
        f"WHERE version = (SELECT max(version) FROM map_version) AND {_OF_RUN} ORDER BY md5(subject) LIMIT $most",
        {"run": run_id, "most": most},
    )


def known(cursor: Cursor, subjects: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Tasks by subject: instruction, verdict (null for a seed), and the decision that stands with who made it."""
    rows = fetch(
        cursor,
        "WITH wanted AS (SELECT DISTINCT unnest($subjects::VARCHAR[]) AS subject) "
        "SELECT w.subject, coalesce(c.instruction, s.instruction) AS instruction, c.verdict, d.kind AS decision, "
        'd."by" FROM wanted w '
        "LEFT JOIN candidate c ON starts_with(w.subject, 'candidate:') AND c.candidate_id = substr(w.subject, 11) "
        "LEFT JOIN seed s ON starts_with(w.subject, 'seed:') AND s.seed_id = substr(w.subject, 6) "
        "LEFT JOIN standing_decision d ON d.subject = w.subject "
        "WHERE c.candidate_id IS NOT NULL OR s.seed_id IS NOT NULL",
        {"subjects": list(subjects)},
    )
    return {row["subject"]: row for row in rows}


def texts(cursor: Cursor, idents: Sequence[str]) -> dict[str, str]:
    """Instructions of seeds and candidates by their ids."""
    rows = fetch(
        cursor,
        "WITH wanted AS (SELECT DISTINCT unnest($ids::VARCHAR[]) AS ident) "
        "SELECT ident, instruction FROM wanted JOIN candidate ON candidate_id = ident "
        "UNION ALL SELECT ident, instruction FROM wanted JOIN seed ON seed_id = ident",
        {"ids": list(idents)},
    )
    return {row["ident"]: row["instruction"] for row in rows}


def prompts(cursor: Cursor, run_id: str, call_indices: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The instruction calls of a run by index: model, prompt_version, demo_seed_ids, cost_usd."""
    rows = fetch(
        cursor,
        "SELECT call_index, arg_max(model, attempt) AS model, arg_max(prompt_version, attempt) AS prompt_version, "
        "arg_max(demo_seed_ids, attempt) AS demo_seed_ids, sum(cost_usd) AS cost_usd FROM call "
        "WHERE run_id = $run AND stage <> 'output' AND call_index IN (SELECT unnest($calls::INTEGER[])) "
        "GROUP BY call_index",
        {"run": run_id, "calls": list(call_indices)},
    )
    return {row["call_index"]: row for row in rows}


def history(cursor: Cursor, subjects: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Every decision on each of these, oldest first: kind, by, at, reason."""
    rows = fetch(
        cursor,
        'SELECT subject, kind, "by", "at", reason FROM decision WHERE subject IN (SELECT unnest(?::VARCHAR[])) '
        "AND kind <> 'skip' ORDER BY decision_id",
        [list(subjects)],
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row.pop("subject"), []).append(row)
    return found


def ranks(cursor: Cursor, run_id: str, candidate_ids: list[str]) -> dict[str, dict[str, Any]]:
    """Of trained candidates: their step, its gradient norm, and the ranks of norm and own loss in their window."""
    rows = fetch(
        cursor,
        f"WITH members AS ({MEMBERS}), signals AS ({SIGNALS}), wanted AS (SELECT DISTINCT m.iteration FROM members m "  # noqa: S608
        "WHERE m.candidate_id IN (SELECT unnest($ids::VARCHAR[]))), ranked AS ("
        "SELECT m.candidate_id, m.step, m.cluster, s.loss, t.grad_norm, t.attractive, "
        "rank() OVER (PARTITION BY m.iteration ORDER BY s.loss DESC) AS loss_rank, "
        "count(*) OVER (PARTITION BY m.iteration) AS trained, "
        "dense_rank() OVER (PARTITION BY m.iteration ORDER BY t.grad_norm DESC) AS norm_rank, "
        "m.iteration FROM members m JOIN wanted USING (iteration) JOIN signals s USING (candidate_id) "
        "JOIN current_step t ON t.run_id = $run AND t.step = m.step AND t.phase = 'online') "
        "SELECT * FROM ranked WHERE candidate_id IN (SELECT unnest($ids::VARCHAR[]))",
        {"run": run_id, "ids": candidate_ids},
    )
    return {row["candidate_id"]: row for row in rows}

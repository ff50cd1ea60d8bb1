"""Seeds: the store-wide library, and the seed set S of each run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb

from store.connection import fetch, insert
from store.events import WindowFinished
from store.kept import kept, kept_of_run
from store.records import Seed

Cursor = duckdb.DuckDBPyConnection
SEED_FIELDS = tuple(Seed.model_fields)


def content_hash(instruction: str, input_text: str, output: str) -> str:
    """Hash of a task's three texts: equal texts, equal hash."""
    return hashlib.sha256("\x1f".join((instruction, input_text, output)).encode()).hexdigest()


def add(cursor: Cursor, seeds: Iterable[Seed], in_library: bool) -> None:
    """Add seeds that are not there yet; what is there stays as it is."""
    now = datetime.now(UTC).replace(tzinfo=None)
    rows = (
        {
            **seed.model_dump(),
            "content_hash": content_hash(seed.instruction, seed.input, seed.output),
            "in_library": in_library,
            "listed": in_library,
            "added": now,
        }
        for seed in seeds
    )
    insert(cursor, "seed", rows, "ON CONFLICT DO NOTHING")


def join_library(cursor: Cursor, seed_id: str, member: bool) -> None:
    """List a seed in the library, or no longer; what people decided on it goes before. The row stays."""
    cursor.execute("UPDATE seed SET listed = ? WHERE seed_id = ?", [member, seed_id])
    settle(cursor, [f"seed:{seed_id}"])


def settle(cursor: Cursor, subjects: Sequence[str]) -> None:
    """Bring the library in line with the decisions on these subjects, `seed:ID` or `candidate:ID`; others have no say.

    A seed that people accepted is in it, one that they rejected or put an edit in the place of is not. A candidate that
    is used as a seed is, and so is an edit while it stands. Else it is as the library was listed.
    """
    touched = [one.removeprefix("seed:") for one in subjects if one.startswith("seed:")]
    touched += [f"m-{one.removeprefix('candidate:')}" for one in subjects if one.startswith("candidate:")]
    if not touched:
        return
    cursor.execute(
        "UPDATE seed SET in_library = settled.member FROM ("
        "SELECT s.seed_id, coalesce(CASE d.kind WHEN 'accept' THEN true WHEN 'reject' THEN false "
        "WHEN 'edit' THEN false END, "
        "used.subject IS NOT NULL OR made.subject IS NOT NULL OR coalesce(s.listed, false)) AS member "
        "FROM seed s LEFT JOIN standing_decision d ON d.subject = 'seed:' || s.seed_id "
        "LEFT JOIN standing_decision made ON made.kind = 'edit' AND made.result = s.seed_id "
        "LEFT JOIN (SELECT DISTINCT subject FROM effective_decision WHERE kind = 'use_as_seed') used "
        "ON used.subject = 'candidate:' || substr(s.seed_id, 3) AND starts_with(s.seed_id, 'm-') "
        "WHERE s.seed_id IN (SELECT unnest($1::VARCHAR[])) "
        "OR s.seed_id IN (SELECT result FROM decision "
        "WHERE kind = 'edit' AND subject IN (SELECT unnest($2::VARCHAR[])))"
        ") settled WHERE seed.seed_id = settled.seed_id",
        [touched, list(subjects)],
    )


@kept
def library(cursor: Cursor) -> list[Seed]:
    """The accepted seeds of the library, oldest first."""
    rows = fetch(cursor, "SELECT * FROM seed WHERE in_library ORDER BY added, seed_id")
    return [as_seed(row) for row in rows]


def start_run(cursor: Cursor, run_id: str, seed_ids: Sequence[str]) -> None:
    """Copy S₀ into a run."""
    insert(
        cursor,
        "run_seed",
        (
            {
                "run_id": run_id,
                "seed_id": seed_id,
                "position": position,
                "status": "active",
                "added_iteration": 0,
                "reason": "start",
            }
            for position, seed_id in enumerate(seed_ids)
        ),
    )


@kept_of_run
def of_run(cursor: Cursor, run_id: str) -> list[dict[str, Any]]:
    """S of a run and what has left it, in the order of joining, with the seeds' texts."""
    return fetch(
        cursor,
        "SELECT s.*, r.position, r.status, r.credit, r.credit_sum, r.calls, r.trained_children, r.children, "
        "r.added_iteration, r.removed_iteration, r.reason, r.promoted_by, r.evicted_by "
        "FROM run_seed r JOIN seed s USING (seed_id) WHERE r.run_id = ? ORDER BY r.position",
        [run_id],
    )


def join(cursor: Cursor, run_id: str, seed: Seed, iteration: int, proposal_id: str, decision_id: int) -> None:
    """A promoted seed joins S of a run from `iteration` on; joining again makes it active again."""
    add(cursor, [seed], in_library=False)
    cursor.execute(
        "INSERT INTO run_seed (run_id, seed_id, position, status, added_iteration, reason, promoted_by, decision_id) "
        "SELECT ?, ?, coalesce(max(position), -1) + 1, 'active', ?, 'promoted', ?, ? FROM run_seed WHERE run_id = ? "
        "ON CONFLICT DO UPDATE SET status = 'active', removed_iteration = NULL, reason = 'promoted', "
        "decision_id = excluded.decision_id",
        [run_id, seed.seed_id, iteration, proposal_id, decision_id, run_id],
    )


def leave(
    cursor: Cursor,
    run_id: str,
    seed_id: str,
    iteration: int,
    reason: str,
    decision_id: int,
    evicted_by: str | None,
) -> None:
    """A seed leaves S of a run from `iteration` on; its row and its texts stay."""
    cursor.execute(
        "UPDATE run_seed SET status = 'left', removed_iteration = ?, reason = ?, decision_id = ?, evicted_by = ? "
        "WHERE run_id = ? AND seed_id = ?",
        [iteration, reason, decision_id, evicted_by, run_id, seed_id],
    )


def rejoin(cursor: Cursor, run_id: str, seed_id: str, decision_id: int) -> None:
    """An eviction was taken back."""
    cursor.execute(
        "UPDATE run_seed SET status = 'active', removed_iteration = NULL, evicted_by = NULL, "
        "reason = 'eviction undone', decision_id = ? WHERE run_id = ? AND seed_id = ?",
        [decision_id, run_id, seed_id],
    )


def as_seed(row: dict[str, Any]) -> Seed:
    """A row that carries a seed's columns as a Seed."""
    return Seed(**{name: row[name] for name in SEED_FIELDS})


def credit(cursor: Cursor, event: WindowFinished) -> None:
    """Enter the credits of a window, and count the children kept of every seed of the run."""
    for one in event.credits:
        cursor.execute(
            "UPDATE run_seed SET credit = ?, credit_sum = ?, calls = ?, trained_children = ? "
            "WHERE run_id = ? AND seed_id = ?",
            [one.credit, one.credit_sum, one.calls, one.trained_children, event.run_id, one.seed_id],
        )
    cursor.execute(
        "UPDATE run_seed SET children = made.n FROM ("
        "SELECT seed_id, count(*) AS n FROM (SELECT c.call_index, unnest(c.demo_seed_ids) AS seed_id FROM call c "
        "WHERE c.run_id = $1 AND c.stage <> 'output' AND c.error IS NULL) shown "
        "JOIN candidate k ON k.run_id = $1 AND k.call_index = shown.call_index AND k.verdict = 'kept' "
        "GROUP BY seed_id) made WHERE run_seed.run_id = $1 AND run_seed.seed_id = made.seed_id",
        [event.run_id],
    )

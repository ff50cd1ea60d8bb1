"""Proposals and decisions: the machine proposes; a person or the rule decides; nothing is overwritten.

A decision is a new row, the latest of a subject stands, and `undo` is a decision too. What S of a run is follows from
the decisions: `apply` brings it in line with them, and applying twice changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import duckdb

from store import seeds
from store.connection import fetch, fetch_one, insert
from store.errors import StoreError
from store.records import DecisionKind, Proposal, Seed

Cursor = duckdb.DuckDBPyConnection
RULE = "rule"


def propose(cursor: Cursor, proposals: Iterable[Proposal]) -> None:
    """Enter a window's proposals."""
    insert(cursor, "proposal", ({**p.model_dump(), "evidence": json.dumps(p.evidence)} for p in proposals))


def decide(cursor: Cursor, subject: str, kind: DecisionKind, by: str, reason: str | None = None) -> int:
    """Append a decision on a subject such as `proposal:ID`; returns its number."""
    standing = fetch_one(cursor, "SELECT decision_id FROM standing_decision WHERE subject = ?", [subject])
    row = fetch_one(
        cursor,
        'INSERT INTO decision (subject, kind, reason, "by", "at", supersedes) VALUES (?, ?, ?, ?, ?, ?) '
        "RETURNING decision_id",
        [
            subject,
            kind,
            reason,
            by,
            datetime.now(UTC).replace(tzinfo=None),
            standing and standing["decision_id"],
        ],
    )
    assert row is not None
    return int(row["decision_id"])


def decide_proposal(cursor: Cursor, proposal_id: str, kind: DecisionKind, by: str, reason: str | None = None) -> int:
    """Decide a proposal that exists; raises StoreError for an id that is not there."""
    if not fetch_one(cursor, "SELECT 1 FROM proposal WHERE proposal_id = ?", [proposal_id]):
        raise StoreError(f"There is no proposal {proposal_id!r}.", "Reload the page to see the open ones.")
    return decide(cursor, f"proposal:{proposal_id}", kind, by, reason)


def of_run(cursor: Cursor, run_id: str) -> list[dict[str, Any]]:
    """The proposals of a run, newest window first, each with its standing decision (`decision` null: open)."""
    rows = fetch(
        cursor,
        'SELECT p.*, nullif(d.kind, \'undo\') AS decision, d."by", d."at", d.decision_id FROM proposal p '
        "LEFT JOIN standing_decision d ON d.subject = 'proposal:' || p.proposal_id "
        "WHERE p.run_id = ? ORDER BY p.iteration DESC, p.kind DESC, p.rank",
        [run_id],
    )
    return [{**row, "evidence": json.loads(row["evidence"])} for row in rows]


def open_count(cursor: Cursor, run_id: str, iteration: int) -> int:
    """Proposals of a run's window that nobody has decided."""
    return sum(row["decision"] is None and row["iteration"] == iteration for row in of_run(cursor, run_id))


def last_number(cursor: Cursor) -> int:
    """Number of the last decision in the store; a prompt records it as the last one seen."""
    row = fetch_one(cursor, "SELECT coalesce(max(decision_id), 0) AS number FROM decision")
    return int(row["number"]) if row else 0


def decide_open(cursor: Cursor, run_id: str) -> None:
    """The rule accepts what nobody has decided."""
    for row in of_run(cursor, run_id):
        if row["decision"] is None:
            decide(cursor, f"proposal:{row['proposal_id']}", "accept", RULE)


def apply(cursor: Cursor, run_id: str, iteration: int, lineage: bool) -> None:
    """Bring S of a run in line with the decisions, from `iteration` on.

    Without lineage (a stream) an accepted promotion joins the library instead.
    """
    members = {row["seed_id"]: row for row in seeds.of_run(cursor, run_id)}
    for proposal in of_run(cursor, run_id):
        accepted = proposal["decision"] == "accept"
        if proposal["kind"] == "promote":
            _apply_promotion(cursor, run_id, iteration, proposal, members, accepted, lineage)
        else:
            _apply_eviction(cursor, run_id, iteration, proposal, members, accepted)


def _apply_promotion(
    cursor: Cursor,
    run_id: str,
    iteration: int,
    proposal: dict[str, Any],
    members: dict[str, dict[str, Any]],
    accepted: bool,
    lineage: bool,
) -> None:
    seed = promoted_seed(cursor, proposal["subject_id"])
    if not lineage:
        if accepted:
            seeds.add(cursor, [seed], in_library=True)
        seeds.join_library(cursor, seed.seed_id, accepted)
        return
    member = members.get(seed.seed_id)
    taken_back = member is not None and member["status"] == "left" and member["evicted_by"] is None
    if accepted and (member is None or taken_back):
        seeds.join(cursor, run_id, seed, iteration, proposal["proposal_id"], proposal["decision_id"])
    elif not accepted and member and member["status"] == "active":
        seeds.leave(
            cursor,
            run_id,
            seed.seed_id,
            iteration,
            "promotion undone",
            proposal["decision_id"],
            evicted_by=None,
        )


def _apply_eviction(
    cursor: Cursor,
    run_id: str,
    iteration: int,
    proposal: dict[str, Any],
    members: dict[str, dict[str, Any]],
    accepted: bool,
) -> None:
    member = members[proposal["subject_id"]]
    by_this = member["evicted_by"] == proposal["proposal_id"]
    if accepted and member["status"] == "active":
        seeds.leave(
            cursor,
            run_id,
            member["seed_id"],
            iteration,
            "evicted",
            proposal["decision_id"],
            evicted_by=proposal["proposal_id"],
        )
    elif not accepted and by_this and member["status"] == "left":
        seeds.rejoin(cursor, run_id, member["seed_id"], proposal["decision_id"])


def promoted_seed(cursor: Cursor, candidate_id: str) -> Seed:
    """The seed that a candidate becomes when it is promoted."""
    row = fetch_one(cursor, "SELECT * FROM candidate WHERE candidate_id = ?", [candidate_id])
    if row is None:
        raise StoreError(f"There is no candidate {candidate_id!r}.", "Reload the page.")
    return Seed(
        seed_id=f"m-{candidate_id}",
        instruction=row["instruction"],
        input=row["input"],
        output=row["output"],
        origin="machine",
        parent_ids=(candidate_id,),
    )

"""Proposals and decisions: the machine proposes; a person or the rule decides; nothing is overwritten.

A decision is a new row, the latest of a subject stands, and `undo` is a decision too. What S of a run is follows from
the decisions: `apply` brings it in line with them, and applying twice changes nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
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


def decide(
    cursor: Cursor,
    subject: str,
    kind: DecisionKind,
    by: str,
    reason: str | None = None,
    *,
    group_id: str | None = None,
    queue: str | None = None,
    result: str | None = None,
) -> int:
    """Append a decision on a subject such as `proposal:ID`; returns its number.

    An undo made here takes back all that stood on the subject; `undo_each` takes back one decision.
    """
    made = {"group_id": group_id, "queue": queue, "result": result}
    return decide_all(cursor, [subject], kind, by, reason, **made)[0]


def decide_all(
    cursor: Cursor,
    subjects: Sequence[str],
    kind: DecisionKind,
    by: str,
    reason: str | None = None,
    **more: int | str | None,
) -> list[int]:
    """Append the same decision on several subjects in one statement; the numbers, in their order."""
    columns = "".join(f", {name}" for name in more)
    rows = fetch(
        cursor,
        f'INSERT INTO decision (subject, kind, reason, "by", "at", supersedes{columns}) '  # noqa: S608
        f"SELECT subject, $kind, $reason, $by, $at, last{''.join(f', ${name}' for name in more)} FROM "
        "(SELECT unnest($subjects::VARCHAR[]) AS subject, generate_subscripts($subjects::VARCHAR[], 1) AS place) "
        "LEFT JOIN (SELECT subject, max(decision_id) AS last FROM decision WHERE kind <> 'skip' "
        "AND subject IN (SELECT unnest($subjects::VARCHAR[])) GROUP BY subject) USING (subject) ORDER BY place "
        "RETURNING decision_id",
        {"subjects": list(subjects), "kind": kind, "reason": reason, "by": by, "at": _now(), **more},
    )
    if kind in ("use_as_seed", "undo") or any(subject.startswith("seed:") for subject in subjects):
        seeds.settle(cursor, subjects)
    return sorted(row["decision_id"] for row in rows)


def undo_each(cursor: Cursor, standing: Mapping[int, str], by: str, group_id: str | None = None) -> int:
    """Take back decisions, given with their subjects, in one statement; the number of the last undo."""
    rows = fetch(
        cursor,
        'INSERT INTO decision (subject, kind, "by", "at", supersedes, undoes, group_id) '
        "SELECT u.subject, 'undo', $by, $at, last, u.undone, $group FROM (SELECT unnest($numbers::BIGINT[]) AS undone, "
        "unnest($subjects::VARCHAR[]) AS subject, generate_subscripts($numbers::BIGINT[], 1) AS place) u "
        "LEFT JOIN (SELECT subject, max(decision_id) AS last FROM decision WHERE kind <> 'skip' "
        "AND subject IN (SELECT unnest($subjects::VARCHAR[])) GROUP BY subject) USING (subject) ORDER BY place "
        "RETURNING decision_id",
        {"numbers": list(standing), "subjects": list(standing.values()), "by": by, "at": _now(), "group": group_id},
    )
    seeds.settle(cursor, list(standing.values()))
    return max((int(row["decision_id"]) for row in rows), default=0)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def decide_proposal(cursor: Cursor, proposal_id: str, kind: DecisionKind, by: str, reason: str | None = None) -> int:
    """Decide a proposal that exists; raises StoreError for an id that is not there."""
    if not fetch_one(cursor, "SELECT 1 FROM proposal WHERE proposal_id = ?", [proposal_id]):
        raise StoreError(f"There is no proposal {proposal_id!r}.", "Reload the page to see the open ones.")
    return decide(cursor, f"proposal:{proposal_id}", kind, by, reason)


def decide_candidates(
    cursor: Cursor, idents: Sequence[str], kind: DecisionKind, by: str, reason: str | None = None
) -> int:
    """Decide several candidates in one go, undone in one; how many. `use_as_seed` also puts them into the library.

    A rescue is of a dropped one, and a seed needs an output: those that cannot be are left out of the count.
    """
    fitting = {"rescue": "verdict = 'dropped'", "use_as_seed": "output <> ''"}.get(kind, "true")
    rows = fetch(
        cursor,
        f"SELECT candidate_id FROM candidate WHERE candidate_id IN (SELECT unnest(?::VARCHAR[])) AND {fitting} "  # noqa: S608
        "ORDER BY call_index, position",
        [list(idents)],
    )
    found = [row["candidate_id"] for row in rows]
    if kind == "use_as_seed":
        seeds.add(cursor, [promoted_seed(cursor, ident) for ident in found], in_library=False)
    if found:
        group = {"group_id": secrets.token_hex(8)} if len(found) > 1 else {}
        decide_all(cursor, [f"candidate:{ident}" for ident in found], kind, by, reason, **group)
    return len(found)


def of_run(cursor: Cursor, run_id: str) -> list[dict[str, Any]]:
    """The proposals of a run, newest window first, each with its standing decision (`decision` null: open)."""
    rows = fetch(
        cursor,
        'SELECT p.*, d.kind AS decision, d."by", d."at", d.decision_id FROM proposal p '
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

    In S is who started there or has an accepted promotion, and has no accepted eviction. Without lineage (a stream)
    an accepted promotion joins the library instead.
    """
    proposals = sorted(of_run(cursor, run_id), key=lambda row: (row["iteration"], row["rank"]))
    promotions = {promoted_id(row["subject_id"]): row for row in proposals if row["kind"] == "promote"}
    if not lineage:
        for seed_id, promotion in promotions.items():
            _apply_to_library(cursor, seed_id, promotion)
        return
    evictions = {row["subject_id"]: row for row in proposals if row["kind"] == "evict" and row["decision"] == "accept"}
    members = {row["seed_id"] for row in seeds.of_run(cursor, run_id)}
    for seed_id, promotion in promotions.items():
        if promotion["decision"] == "accept" and seed_id not in members:
            _join(cursor, run_id, iteration, promotion)
    decided = {row["proposal_id"]: row["decision_id"] for row in proposals}
    for member in seeds.of_run(cursor, run_id):
        promotion, eviction = promotions.get(member["seed_id"]), evictions.get(member["seed_id"])
        _settle(cursor, run_id, iteration, member, promotion, eviction, decided)


def _apply_to_library(cursor: Cursor, seed_id: str, promotion: dict[str, Any]) -> None:
    accepted = promotion["decision"] == "accept"
    if accepted:
        seeds.add(cursor, [promoted_seed(cursor, promotion["subject_id"])], in_library=False)
    seeds.join_library(cursor, seed_id, accepted)


def _join(cursor: Cursor, run_id: str, iteration: int, promotion: dict[str, Any]) -> None:
    seed = promoted_seed(cursor, promotion["subject_id"])
    seeds.join(cursor, run_id, seed, iteration, promotion["proposal_id"], promotion["decision_id"])


def _settle(
    cursor: Cursor,
    run_id: str,
    iteration: int,
    member: dict[str, Any],
    promotion: dict[str, Any] | None,
    eviction: dict[str, Any] | None,
    decided: dict[str, int],
) -> None:
    """Make one who is or was in S active or not, as its promotion and its accepted eviction, if any, have it."""
    seed_id, active, evicted_by = member["seed_id"], member["status"] == "active", member["evicted_by"]
    withdrawn = promotion is not None and promotion["decision"] != "accept"
    if eviction and active:
        seeds.leave(cursor, run_id, seed_id, iteration, "evicted", eviction["decision_id"], eviction["proposal_id"])
    elif promotion and withdrawn and not eviction and (active or evicted_by):
        seeds.leave(cursor, run_id, seed_id, iteration, "promotion undone", promotion["decision_id"], None)
    elif not active and not eviction and not withdrawn:
        if evicted_by:
            seeds.rejoin(cursor, run_id, seed_id, decided[evicted_by])
        elif promotion:
            _join(cursor, run_id, iteration, promotion)


def promoted_id(candidate_id: str) -> str:
    """Id of the seed that a candidate becomes when it is promoted."""
    return f"m-{candidate_id}"


def promoted_seed(cursor: Cursor, candidate_id: str) -> Seed:
    """The seed that a candidate becomes when it is promoted."""
    row = fetch_one(cursor, "SELECT * FROM candidate WHERE candidate_id = ?", [candidate_id])
    if row is None:
        raise StoreError(f"There is no candidate {candidate_id!r}.", "Reload the page.")
    return Seed(
        seed_id=promoted_id(candidate_id),
        instruction=row["instruction"],
        input=row["input"],
        output=row["output"],
        origin="edit" if row["origin"] == "edit" else "machine",
        parent_ids=(candidate_id,),
    )

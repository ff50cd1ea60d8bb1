"""What a person puts in the place of something: an edit for a task or a seed, another proposal for one."""

from __future__ import annotations

import json
import secrets
from typing import Any

import duckdb

from store import decisions, seeds
from store.connection import fetch, fetch_one, insert
from store.curation import Heard, enter
from store.errors import StoreError
from store.map_view import MEMBERS, SIGNALS
from store.records import Candidate, Seed

Cursor = duckdb.DuckDBPyConnection


def edit_candidate(
    cursor: Cursor, edited: Candidate, by: str, queue: str | None, press: str | None, group_id: str | None = None
) -> Heard:
    """Store an edit beside its original; where the filter keeps it, it takes the original's place.

    `edited.parent_id` is the original; its own id is given here.
    """
    assert edited.parent_id is not None
    made = fetch_one(cursor, "SELECT count(*) AS n FROM candidate WHERE parent_id = ?", [edited.parent_id])
    assert made is not None
    ident = f"{edited.parent_id}-e{made['n'] + 1}"
    stored = edited.model_copy(update={"candidate_id": ident})
    insert(cursor, "candidate", [{**stored.model_dump(), "window_iteration": None}])
    subject = f"candidate:{edited.parent_id}"
    if stored.verdict == "dropped":
        near = "" if stored.max_rouge_l is None else f" (max ROUGE-L {stored.max_rouge_l:.2f} to {stored.nearest_id})"
        said = (
            f"The edit is stored as {ident}, but the filter drops it as {stored.reason}{near}: the original stays. "
            "Edit it further, or rescue the edit among the drops."
        )
        if press:
            enter(cursor, press, None)
        return Heard(press=press or "", subject=subject, said=said)
    number = decisions.decide(cursor, subject, "edit", by, group_id=group_id, queue=queue, result=ident)
    if press:
        enter(cursor, press, number)
    return Heard(press=press or "", subject=subject, decision_id=number)


def promoted_candidate(cursor: Cursor, proposal_id: str) -> str | None:
    """The candidate that a proposal would promote; None for an eviction, or where there is no such proposal."""
    row = fetch_one(cursor, "SELECT subject_id FROM proposal WHERE proposal_id = ? AND kind = 'promote'", [proposal_id])
    return row and row["subject_id"]


def edit_promotion(
    cursor: Cursor, proposal_id: str, edited: Candidate, by: str, queue: str | None, press: str | None
) -> Heard:
    """Store an edit of a candidate that is to be promoted; where the filter keeps it, it is promoted instead."""
    shared = secrets.token_hex(8)
    heard = edit_candidate(cursor, edited, by, queue, press, shared)
    subject = f"proposal:{proposal_id}"
    if heard.decision_id is None:
        return heard.model_copy(update={"subject": subject})
    made = fetch_one(cursor, "SELECT result FROM decision WHERE decision_id = ?", [heard.decision_id])
    assert made is not None
    swap(cursor, proposal_id, made["result"], by, shared)
    return heard.model_copy(update={"subject": subject})


def edit_seed(cursor: Cursor, seed_id: str, text: tuple[str, str, str], by: str, press: str | None) -> Heard:
    """Put an edit in the place of a seed of the library; runs that have the original keep it."""
    made = fetch_one(cursor, "SELECT count(*) AS n FROM seed WHERE list_contains(parent_ids, ?)", [seed_id])
    row = fetch_one(cursor, "SELECT is_classification FROM seed WHERE seed_id = ?", [seed_id])
    if made is None or row is None:
        raise StoreError(f"There is no seed {seed_id!r}.", "Reload the page.")
    ident, (instruction, given, output) = f"{seed_id}-e{made['n'] + 1}", text
    seed = Seed(seed_id=ident, instruction=instruction, input=given, output=output, origin="edit",
                is_classification=row["is_classification"], parent_ids=(seed_id,))  # fmt: skip
    seeds.add(cursor, [seed], in_library=False)
    number = decisions.decide(cursor, f"seed:{seed_id}", "edit", by, queue="library", result=ident)
    if press:
        enter(cursor, press, number)
    return Heard(press=press or "", subject=f"seed:{seed_id}", decision_id=number)


def swap(cursor: Cursor, proposal_id: str, subject_id: str, by: str, group_id: str | None = None) -> str:
    """Reject a proposal and accept another candidate, or seed, in its place; the id of the new proposal.

    Both decisions are one group, a new one unless it is given. Raises StoreError where either is not there, or is
    proposed already.
    """
    old = fetch_one(cursor, "SELECT * FROM proposal WHERE proposal_id = ?", [proposal_id])
    if old is None:
        raise StoreError(f"There is no proposal {proposal_id!r}.", "Reload the page to see the open ones.")
    table, ident = ("candidate", "candidate_id") if old["kind"] == "promote" else ("run_seed", "seed_id")
    there = f"SELECT 1 FROM {table} WHERE run_id = ? AND {ident} = ?"  # noqa: S608
    if fetch_one(cursor, there, [old["run_id"], subject_id]) is None:
        raise StoreError(f"{subject_id!r} is nothing that run {old['run_id']} can {old['kind']}.", "Choose another.")
    same = fetch_one(
        cursor,
        "SELECT 1 FROM proposal WHERE run_id = ? AND iteration = ? AND kind = ? AND subject_id = ?",
        [old["run_id"], old["iteration"], old["kind"], subject_id],
    )
    if same:
        raise StoreError(f"{subject_id!r} is proposed in this window already.", "Accept that proposal, or undo it.")
    number = fetch_one(
        cursor, "SELECT coalesce(max(rank), 0) + 1 AS rank FROM proposal WHERE run_id = ? AND iteration = ?",
        [old["run_id"], old["iteration"]],
    )  # fmt: skip
    assert number is not None
    fresh = {**old, "proposal_id": f"{proposal_id}-s{number['rank']}", "subject_id": subject_id, **number,
             "evidence": json.dumps({"instead_of": proposal_id, "by": by})}  # fmt: skip
    insert(cursor, "proposal", [fresh])
    shared = group_id or secrets.token_hex(8)
    decisions.decide(cursor, f"proposal:{proposal_id}", "reject", by, group_id=shared)
    decisions.decide(cursor, f"proposal:{fresh['proposal_id']}", "accept", by, group_id=shared)
    return str(fresh["proposal_id"])


def instead(cursor: Cursor, run_id: str, proposal_id: str, most: int = 50) -> list[dict[str, Any]]:
    """What could take the place of a proposal: ident, instruction, and `said`, why it comes where it does.

    For a promotion, complete members of the same window by falling loss; for an eviction, active seeds by rising
    credit. What is proposed in the window already is left out.
    """
    proposal = fetch_one(cursor, "SELECT kind, iteration FROM proposal WHERE proposal_id = ?", [proposal_id])
    if proposal is None:
        return []
    taken = "SELECT subject_id FROM proposal WHERE run_id = $run AND iteration = $iteration AND kind = $kind"
    bound = {"run": run_id, "iteration": proposal["iteration"], "kind": proposal["kind"], "most": most}
    if proposal["kind"] == "evict":
        return fetch(
            cursor,
            "SELECT r.seed_id AS ident, s.instruction, "  # noqa: S608
            "CASE WHEN r.credit IS NULL THEN 'no credit yet' ELSE format('credit {:+.2f}', r.credit) END AS said "
            f"FROM run_seed r JOIN seed s USING (seed_id) WHERE r.run_id = $run AND r.status = 'active' "
            f"AND r.seed_id NOT IN ({taken}) ORDER BY r.credit NULLS LAST, r.position LIMIT $most",
            bound,
        )
    return fetch(
        cursor,
        f"WITH members AS ({MEMBERS}), signals AS ({SIGNALS}) "  # noqa: S608
        "SELECT c.candidate_id AS ident, c.instruction, format('step {}, loss {:.2f}', m.step, s.loss) AS said "
        "FROM members m JOIN signals s USING (candidate_id) JOIN candidate c USING (candidate_id) "
        f"WHERE m.iteration = $iteration AND c.output <> '' AND c.candidate_id NOT IN ({taken}) "
        "AND NOT EXISTS (SELECT 1 FROM run_seed r WHERE r.run_id = $run AND r.seed_id = 'm-' || c.candidate_id) "
        "ORDER BY s.loss DESC LIMIT $most",
        bound,
    )

"""What a person does in a review: presses of a key that are taken in once, edits, bulk decisions, swaps, and undo.

Everything is an appended decision. A press is known by the name that its browser gave it: one that is sent again after
a lost connection does nothing. Two people on the same item are both heard; the later stands, and both are told.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any, Literal

import duckdb

from store import decisions, seeds
from store.connection import fetch, fetch_one, insert
from store.errors import StoreError
from store.records import Candidate, DecisionKind, Record, Seed

Cursor = duckdb.DuckDBPyConnection
Key = Literal["accept", "reject", "skip", "flag", "edit", "undo"]
WORDS = {"accept": "accepted", "reject": "rejected", "rescue": "rescued", "edit": "edited", "flag": "flagged",
         "skip": "skipped", "use_as_seed": "used as a seed"}  # fmt: skip


class Press(Record):
    """A key pressed on an item; `seen` is the last decision on it that its browser knew of."""

    press: str
    subject: str
    key: Key
    reason: str | None = None
    seen: int = 0
    queue: str | None = None
    text: tuple[str, str, str] | None = None


class Heard(Record):
    """What a press became: the subject that changed, its decision (None: none), and what the person should know."""

    press: str
    subject: str
    decision_id: int | None = None
    said: str | None = None


def is_taken(cursor: Cursor, press: str) -> bool:
    """Whether this press came before."""
    return fetch_one(cursor, "SELECT 1 FROM press WHERE press = ?", [press]) is not None


def take(cursor: Cursor, press: Press, by: str, run_id: str) -> Heard:
    """Turn a press (not an edit) into a decision; one that came before is heard and changes nothing."""
    if is_taken(cursor, press.press):
        return Heard(press=press.press, subject=press.subject)
    if press.key == "undo":
        heard = undo_last(cursor, by, run_id)
        heard = heard.model_copy(update={"press": press.press})
    else:
        heard = _decided(cursor, press, by)
    enter(cursor, press.press, heard.decision_id)
    return heard


def enter(cursor: Cursor, press: str, decision_id: int | None) -> None:
    """Remember that a press was taken in."""
    insert(cursor, "press", [{"press": press, "decision_id": decision_id}], "ON CONFLICT DO NOTHING")


def _decided(cursor: Cursor, press: Press, by: str) -> Heard:
    kind = _fitting(cursor, press.subject, press.key)
    if kind is None:
        said = f"{press.subject} is not in this store any more: nothing was decided."
        return Heard(press=press.press, subject=press.subject, said=said)
    said = None if kind == "skip" else collision(cursor, press.subject, by, press.seen, kind)
    number = decisions.decide(cursor, press.subject, kind, by, press.reason, queue=press.queue)
    return Heard(press=press.press, subject=press.subject, decision_id=number, said=said)


def _fitting(cursor: Cursor, subject: str, key: str) -> DecisionKind | None:
    """The decision that a key means on a subject: to accept a dropped task is to rescue it. None: no such subject."""
    kind, _, ident = subject.partition(":")
    if kind == "candidate":
        row = fetch_one(cursor, "SELECT verdict FROM candidate WHERE candidate_id = ?", [ident])
        return row and ("rescue" if key == "accept" and row["verdict"] == "dropped" else key)
    if kind == "blind":
        test_id, _, position = ident.rpartition("/")
        there = position.isdecimal() and fetch_one(
            cursor, "SELECT 1 FROM blind_item WHERE test_id = ? AND position = ?", [test_id, int(position)]
        )
        return key if there else None
    tables = {"proposal": ("proposal", "proposal_id"), "seed": ("seed", "seed_id")}
    if kind not in tables:
        return None
    table, column = tables[kind]
    return key if fetch_one(cursor, f"SELECT 1 FROM {table} WHERE {column} = ?", [ident]) else None  # noqa: S608


def collision(cursor: Cursor, subject: str, by: str, seen: int, kind: str) -> str | None:
    """What somebody decided on an item while it was before this person, in a sentence; None if nobody did."""
    row = fetch_one(
        cursor,
        'SELECT kind, "by", "at" FROM effective_decision WHERE subject = ? AND decision_id > ? AND of_fate '
        "ORDER BY decision_id DESC LIMIT 1",
        [subject, seen],
    )
    if row is None:
        return None
    who = "You" if row["by"] == by else row["by"]
    where = " in another window" if row["by"] == by else ""
    return (
        f"{who} {WORDS[row['kind']]} {subject} at {row['at']:%H:%M:%S} UTC{where}; "
        f"now it is {WORDS[kind]} by you. Both are kept, the later stands."
    )


def later_words(cursor: Cursor, by: str, after: int) -> list[dict[str, Any]]:
    """Decisions of other people, after one, on subjects that this person has decided: kind, by, at, subject, mine."""
    return fetch(
        cursor,
        'SELECT e.decision_id, e.subject, e.kind, e."by", e."at", o.kind AS mine FROM effective_decision e '
        'JOIN opinion o ON o.subject = e.subject AND o."by" = $by WHERE e."by" <> $by AND e.of_fate '
        "AND e.decision_id > $after AND e.decision_id > o.decision_id AND e.\"by\" <> 'rule' ORDER BY e.decision_id",
        {"by": by, "after": after},
    )


def undo_last(cursor: Cursor, by: str, run_id: str) -> Heard:
    """Take back this person's last standing decision on the run or the library, with all of its group."""
    row = fetch_one(
        cursor,
        'SELECT decision_id, subject, kind, group_id FROM effective_decision WHERE "by" = $by AND ('
        "starts_with(subject, 'seed:') OR starts_with(subject, 'candidate:' || $run || '-') "
        "OR starts_with(subject, 'proposal:' || $run || '-') OR starts_with(subject, 'blind:' || $run || '-')) "
        "ORDER BY decision_id DESC LIMIT 1",
        {"by": by, "run": run_id},
    )
    if row is None:
        return Heard(press="", subject="", said="There is nothing of yours to undo.")
    group = [row] if row["group_id"] is None else _group(cursor, row["group_id"])
    told = [one for one in (_rests(cursor, each) for each in group[:1]) if one]
    number = undo(cursor, group, by)
    what = f"{WORDS[row['kind']]} {row['subject']}" if len(group) == 1 else f"{len(group):,} decisions made together"
    return Heard(press="", subject=row["subject"], decision_id=number, said=" ".join([f"Undone: {what}.", *told]))


def undo_group(cursor: Cursor, group_id: str, by: str) -> int:
    """Take back what was decided in one go; how many decisions. Raises StoreError where nothing of it stands."""
    group = _group(cursor, group_id)
    if not group:
        raise StoreError("Nothing of these decisions stands any more.", "They were undone already.")
    undo(cursor, group, by)
    return len(group)


def undo(cursor: Cursor, group: Sequence[dict[str, Any]], by: str) -> int:
    """Append an undo of each decision; the number of the last."""
    shared = secrets.token_hex(8) if len(group) > 1 else None
    number = 0
    for one in group:
        number = decisions.decide(cursor, one["subject"], "undo", by, undoes=one["decision_id"], group_id=shared)
    return number


def _group(cursor: Cursor, group_id: str) -> list[dict[str, Any]]:
    return fetch(
        cursor,
        "SELECT decision_id, subject, kind FROM effective_decision WHERE group_id = ? ORDER BY decision_id DESC",
        [group_id],
    )


def _rests(cursor: Cursor, decision: dict[str, Any]) -> str | None:
    """What already rests on a decision that is taken back, in a sentence."""
    later = fetch_one(
        cursor,
        'SELECT kind, "by" FROM effective_decision WHERE subject = ? AND decision_id > ? AND of_fate '
        "ORDER BY decision_id DESC LIMIT 1",
        [decision["subject"], decision["decision_id"]],
    )
    if later:
        return f"{later['by']} {WORDS[later['kind']]} it since; that stands."
    ident = decision["subject"].partition(":")[2]
    shown = fetch_one(
        cursor,
        "SELECT count(DISTINCT call_index) AS n FROM call WHERE list_has_any(demo_seed_ids, "
        "[$ident, 'm-' || $ident, 'm-' || (SELECT subject_id FROM proposal WHERE proposal_id = $ident)])",
        {"ident": ident},
    )
    if shown and shown["n"] and decision["kind"] in ("accept", "use_as_seed"):
        return f"It was shown in {shown['n']} prompts already; from the next iteration on it is not."
    trained = fetch_one(
        cursor, "SELECT window_iteration AS w FROM candidate WHERE candidate_id = ? AND window_iteration > 0", [ident]
    )
    return f"It was trained on in window {trained['w']} already; that stays." if trained else None


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


def decide_together(
    cursor: Cursor, subjects: Sequence[str], key: Key, by: str, reason: str | None = None, queue: str | None = None
) -> tuple[str, int]:
    """The same key on many candidates, undone as one: the group's id, and how many."""
    idents = [subject.removeprefix("candidate:") for subject in subjects]
    rows = fetch(
        cursor,
        "SELECT candidate_id, verdict FROM candidate WHERE list_contains(?::VARCHAR[], candidate_id) "
        "ORDER BY call_index, position",
        [idents],
    )
    shared, rescues = secrets.token_hex(8), key == "accept"
    by_kind: dict[DecisionKind, list[str]] = {}
    for row in rows:
        kind: DecisionKind = "rescue" if rescues and row["verdict"] == "dropped" else key
        by_kind.setdefault(kind, []).append(f"candidate:{row['candidate_id']}")
    for kind, found in by_kind.items():
        decisions.decide_all(cursor, found, kind, by, reason, group_id=shared, queue=queue)
    return shared, len(rows)


def decide_seeds(cursor: Cursor, seed_ids: Sequence[str], kind: Key, by: str) -> int:
    """Accept seeds into the library, or reject them out of it, in one go, undone as one; how many."""
    there = fetch(cursor, "SELECT seed_id FROM seed WHERE list_contains(?::VARCHAR[], seed_id)", [list(seed_ids)])
    subjects = [f"seed:{row['seed_id']}" for row in there]
    if subjects:
        decisions.decide_all(cursor, subjects, kind, by, group_id=secrets.token_hex(8), queue="library")
    return len(subjects)


def last_group(cursor: Cursor, by: str) -> dict[str, Any] | None:
    """The last bulk decision of a person that stands: group_id, kind, count, at."""
    return fetch_one(
        cursor,
        'SELECT group_id, any_value(kind) AS kind, count(*) AS count, max("at") AS "at" FROM effective_decision '
        'WHERE "by" = ? AND group_id IS NOT NULL GROUP BY group_id ORDER BY max(decision_id) DESC LIMIT 1',
        [by],
    )

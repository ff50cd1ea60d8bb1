"""What a person does in a review: presses of a key that are taken in once, bulk decisions, and undo.

Everything is an appended decision. A press is known by the name that its browser gave it: one that is sent again after
a lost connection does nothing. Two people on the same item are both heard; the later stands, and both are told.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Literal

import duckdb

from store import decisions
from store.connection import fetch, fetch_one, insert
from store.errors import StoreError
from store.records import DecisionKind, Record

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
    said = said or _acts_later(cursor, press.subject, kind)
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


def _acts_later(cursor: Cursor, subject: str, kind: str) -> str | None:
    """From when a decision on a proposal acts, while its run is going on; None elsewhere."""
    if kind not in ("accept", "reject") or not subject.startswith("proposal:"):
        return None
    run = fetch_one(
        cursor,
        "SELECT run_id, run.iteration FROM proposal JOIN run USING (run_id) "
        "WHERE proposal_id = ? AND status IN ('queued', 'running')",
        [subject.removeprefix("proposal:")],
    )
    return run and (
        f"Run {run['run_id']} is in window {run['iteration'] + 1}: this acts from window {run['iteration'] + 2} on, "
        "and prompts under way keep the seeds that they show."
    )


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
    return decisions.undo_each(cursor, {one["decision_id"]: one["subject"] for one in group}, by, shared)


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


def decide_together(
    cursor: Cursor, subjects: Sequence[str], key: Key, by: str, reason: str | None = None, queue: str | None = None
) -> tuple[str, int]:
    """The same key on many candidates, undone as one: the group's id, and how many."""
    idents = [subject.removeprefix("candidate:") for subject in subjects]
    rows = fetch(
        cursor,
        "SELECT candidate_id, verdict FROM candidate WHERE candidate_id IN (SELECT unnest(?::VARCHAR[])) "
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
    there = fetch(cursor, "SELECT seed_id FROM seed WHERE seed_id IN (SELECT unnest(?::VARCHAR[]))", [list(seed_ids)])
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

"""Review: the block that takes the keys, what it holds, and what became of every press."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.ui import annotators, cards, review_block, review_items
from pages.ui.review_queues import counts, is_plain, lapsed, novelty, wanted_of
from sedi_engine.curation import surroundings
from sedi_engine.curation.settings import Curation
from sedi_engine.desk import Desk
from store import annotators as progress
from store import blind, curation, decisions, neighbourhood, review, runs
from store.review import Wanted

KEY = "seeds_block"
AHEAD, HELD, REFILL = 120, 30, 40
TAKEN_KEPT, SAID_KEPT = 400, 4
EMPTY = {
    "proposals": "No proposal waits. They come at the end of each window.",
    "flagged": "Nothing is flagged.",
    "disputed": "No two people disagree.",
    "library": "Every seed of the library has been looked at.",
}


class Session:
    """What one tab's review remembers: items fetched ahead and built, presses taken, what to tell."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.rows: list[dict[str, Any]] = []
        self.front: list[str] = []
        self.built: dict[str, dict[str, Any]] = {}
        self.taken: list[str] = []
        self.said: list[str] = []
        self.refused: dict[str, tuple[str, str, str]] = {}
        self.left: int | None = None
        self.exhausted = False
        self.told_end = False


def session(wanted: Wanted) -> Session:
    """The session's own; begun anew where the queue or what narrows it changed."""
    known: Session | None = st.session_state.get("seeds_session")
    same = {"lapsed": wanted.lapsed}
    if known is None or known.wanted.model_copy(update=same) != wanted:
        fresh = Session(wanted)
        if known:
            fresh.taken = known.taken
        st.session_state["seeds_session"] = known = fresh
    known.wanted = wanted
    return known


def show(desk: Desk, wanted: Wanted, settings: Curation) -> None:
    """The block over a queue: it takes what was pressed, and holds the next items."""
    wanted = wanted.model_copy(update={"lapsed": lapsed(settings)})  # a fragment's arguments are of its page's time
    held = session(wanted)
    _fill(desk, held)
    shown = _shown(desk, held)
    data = {
        "storage": f"{desk.store.folder.name}:{wanted.run_id}:{desk.person.name}",
        "queue": wanted.queue,
        "run": wanted.run_id,
        "items": shown,
        "taken": held.taken,
        "said": held.said[-SAID_KEPT:],
        "refused": held.refused,
        "left": held.left,
        "reasons": [one.model_dump() for one in settings.reason_codes],
        "guidelines": settings.guidelines,
        "readonly": not desk.person.may("annotator"),
        "empty": EMPTY.get(wanted.queue, "Nothing is left in this queue."),
        "map": _background(desk, wanted.run_id),
    }
    review_block.draw(KEY, data, lambda: _heard(desk, wanted.run_id))
    if wanted.queue == "blind" and held.taken and not shown and not held.told_end:
        held.told_end = True
        st.rerun()  # the result above is shown once everything is decided


def _background(desk: Desk, run_id: str) -> dict[str, list[float]]:
    return _sample(desk.store, str(desk.store.folder), run_id, desk.store.read(neighbourhood.mark))


@st.cache_resource(max_entries=8, show_spinner=False)
def _sample(_store: Any, folder: str, run_id: str, mark: tuple[Any, ...]) -> dict[str, list[float]]:
    rows = surroundings.background(_store, run_id)
    return {side: [round(row[side], 3) for row in rows] for side in ("x", "y")}


def _heard(desk: Desk, run_id: str) -> None:
    """Take in what the block sent; what it became decides what is shown next."""
    held: Session | None = st.session_state.get("seeds_session")
    sent = review_block.presses(KEY)
    known = set(held.taken) if held else set()
    fresh = [press for press in sent if press.press not in known]
    if held is None or not fresh:
        return
    outcome = cards.attempt(desk.review.take, run_id, fresh)
    if outcome is None:
        return
    gone = set()
    for press, heard in zip(fresh, outcome, strict=True):
        if heard.said:
            held.said.append(heard.said)
        if press.key == "undo" and heard.decision_id is not None:
            held.front = [heard.subject, *(one for one in held.front if one != heard.subject)]
            held.left = None if held.left is None else held.left + 1
            gone.discard(heard.subject)
            continue
        if press.key == "edit" and heard.decision_id is None and heard.said:
            held.refused[press.subject] = press.text or ("", "", "")
            continue
        held.refused.pop(press.subject, None)
        held.front = [one for one in held.front if one != press.subject]
        gone.add(press.subject)
        held.left = None if held.left is None else max(0, held.left - 1)
    held.rows = [row for row in held.rows if row["subject"] not in gone]
    for press in fresh:
        held.built.pop(press.subject, None)
    held.taken = [*held.taken, *(press.press for press in fresh)][-TAKEN_KEPT:]


def _fill(desk: Desk, held: Session) -> None:
    """Fetch ahead where few are left."""
    if len(held.rows) >= REFILL or (held.exhausted and held.rows):
        return
    wanted = held.wanted
    if wanted.queue == "blind":
        held.rows = desk.store.read(blind.items, wanted.test_id, wanted.me, AHEAD)
    else:
        held.rows = desk.store.read(review.items, wanted, AHEAD, novelty(desk, wanted))
        held.left = counts(desk, wanted)[wanted.queue] if is_plain(wanted) else None
    held.exhausted = len(held.rows) < AHEAD


def _shown(desk: Desk, held: Session) -> list[dict[str, Any]]:
    """The items before this person, built; those that others got in the meantime are left out."""
    wanted = held.wanted
    front = desk.store.read(review.again, wanted, held.front) if held.front and wanted.queue != "blind" else []
    first = {row["subject"] for row in front}
    rows = [*front, *(row for row in held.rows if row["subject"] not in first)][: HELD * 2]
    if desk.person.may("annotator"):
        mine = set(desk.review.hold(wanted, [row["subject"] for row in rows[:HELD]]))
        lost = {row["subject"] for row in rows[:HELD]} - mine
        held.rows = [row for row in held.rows if row["subject"] not in lost]
        rows = [row for row in rows if row["subject"] not in lost]
    rows = rows[:HELD]
    missing = [row for row in rows if row["subject"] not in held.built]
    if missing:
        held.built |= review_items.built(desk.store, wanted.run_id, wanted.queue, missing)
    kept = {row["subject"] for row in held.rows} | first
    held.built = {subject: item for subject, item in held.built.items() if subject in kept}
    return [held.built[row["subject"]] for row in rows]


def blind_items(desk: Desk, run_id: str, settings: Curation) -> None:
    """The items of the test that is chosen above, else of the newest, one at a time and without their rules."""
    tests = desk.store.read(blind.of_run, run_id)
    if not tests:
        return
    wanted = wanted_of(desk, run_id, settings, "blind")
    chosen = st.session_state.get("seeds_blind_test") or tests[0]["test_id"]
    st.fragment(show)(desk, wanted.model_copy(update={"test_id": chosen}), settings)


def colleagues(desk: Desk) -> None:
    """How far this person is, and what others decided since on what he had decided: both are kept and told."""
    with st.container(key="seeds_progress"):
        held: Session | None = st.session_state.get("seeds_session")
        done = desk.store.read(progress.progress, runs.now())
        st.text(annotators.summary(done, desk.person.name, held and held.left))
    key = "seeds_heard_to"
    if key not in st.session_state:
        st.session_state[key] = desk.store.read(decisions.last_number)
    for row in desk.store.read(curation.later_words, desk.person.name, st.session_state[key])[-3:]:
        was, now = curation.WORDS[row["mine"]], curation.WORDS[row["kind"]]
        cards.card(
            f"{row['by']} {now} {row['subject']} at {row['at']:%H:%M:%S} UTC, which you had {was}. "
            "Both are kept, the later stands.",
            "Look at it in the queue Disputed.", "orange", "A colleague decided otherwise" if was != now else
            "A colleague decided the same", key=f"seeds_collision_{row['decision_id']}",
        )  # fmt: skip

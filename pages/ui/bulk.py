"""One decision on many, all that the filter finds or what is ticked: count and sample first, undone as one."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.ui import cards, words
from pages.ui.review_queues import novelty
from pages.ui.tables import table, text
from sedi_engine.curation.settings import Curation
from sedi_engine.desk import Desk
from store import curation, review
from store.review import Wanted

KEY = "seeds_bulk"
LISTED, SAMPLED = 300, 5
KINDS = {"accept": "Accept, or rescue what was dropped", "reject": "Reject", "flag": "Flag"}
COLUMNS = {"candidate_id": "candidate", "verdict": "verdict", "reason": "reason", "max_rouge_l": "max ROUGE-L",
           "instruction": "instruction"}  # fmt: skip


def show(desk: Desk, wanted: Wanted, settings: Curation) -> None:
    """The bulk decision over a queue of candidates, and the undo of the last one."""
    if wanted.queue not in review.OF_CANDIDATES or not desk.person.may("annotator"):
        return
    unfolded = st.expander("Decide many at once", icon=":material/checklist:", key=KEY, on_change="rerun")
    if not unfolded.open:
        return
    with unfolded:
        _last(desk)
        measured = novelty(desk, wanted)
        rows = desk.store.read(review.items, wanted, LISTED, measured)
        if not rows:
            st.text("The filter finds nothing.")
            return
        ticked = _tick(rows)
        everything = desk.store.read(review.matching, wanted, measured) if not ticked else []
        subjects = [rows[at]["subject"] for at in ticked] or everything
        _decide(desk, wanted, settings, subjects, bool(ticked))


def _tick(rows: list[dict[str, Any]]) -> list[int]:
    st.caption(f"The first {len(rows):,}; tick some, or leave all unticked to decide everything that the filter finds.")
    event = st.dataframe(
        [{heading: row[field] for field, heading in COLUMNS.items()} for row in rows],
        hide_index=True, height=260, key="seeds_bulk_table", on_select="rerun", selection_mode="multi-row",
        placeholder="",
    )  # fmt: skip
    return [at for at in event["selection"]["rows"] if at < len(rows)]


def _decide(desk: Desk, wanted: Wanted, settings: Curation, subjects: list[str], ticked: bool) -> None:
    kind = st.segmented_control("Decision", list(KINDS), format_func=KINDS.get, default="reject", required=True,
                                key="seeds_bulk_kind")  # fmt: skip
    labels = settings.labels
    reason = st.selectbox("Reason", list(labels), index=None, format_func=labels.get, key="seeds_bulk_reason",
                          placeholder="none", width=360)  # fmt: skip
    sample = desk.store.read(review.again, wanted, subjects[:: max(1, len(subjects) // SAMPLED)][:SAMPLED])
    st.text(f"{'Ticked' if ticked else 'Everything that the filter finds'}: {_items(len(subjects))}, such as")
    table(sample, {"candidate_id": "candidate", "instruction": "instruction"}, "seeds_bulk_sample",
          instruction=text(600))  # fmt: skip
    label = f"{KINDS[kind].partition(',')[0]} {_items(len(subjects))}"
    if st.button(label, type="primary", icon=":material/done_all:", key="seeds_bulk_apply"):
        cards.attempt(desk.review.decide_together, subjects, kind, reason, wanted.queue)
        st.session_state.pop("seeds_session", None)
        st.rerun()


def _last(desk: Desk) -> None:
    last = desk.store.read(curation.last_group, desk.person.name)
    if last is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(
            f"Your last: {curation.WORDS[last['kind']]} {words.count(last['count'])} "
            f"at {last['at']:%Y-%m-%d %H:%M} UTC."
        )
        if st.button("Undo all of it", icon=":material/undo:", key="seeds_bulk_undo"):
            cards.attempt(desk.review.undo_group, last["group_id"])
            st.session_state.pop("seeds_session", None)
            st.rerun()


def _items(number: int) -> str:
    return f"{words.count(number)} item{'s' * (number != 1)}"

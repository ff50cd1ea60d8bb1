"""The library: the seeds that new runs start from, taken in and out by people."""

from __future__ import annotations

import streamlit as st

from pages.ui import cards
from sedi_engine.desk import Desk
from store import views

ROWS_SHOWN = 500
COLUMNS = {
    "seed_id": "seed",
    "instruction": "instruction",
    "input": "input",
    "output": "output",
    "is_classification": "classification",
    "origin": "origin",
}


def show(desk: Desk) -> None:
    """The store's accepted seeds, searched in all their texts; what is ticked is taken out, or put back."""
    st.subheader("Library", anchor=False)
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    search = left.text_input("Search", placeholder="words of a seed", key="seeds_search", width=360)
    out = right.toggle("Show those that are out of it", key="seeds_library_out")
    rows = desk.store.read(views.library, search.strip(), ROWS_SHOWN, not out)
    size = desk.store.read(views.library_size)
    st.caption(
        f"{len(rows):,} shown; {size:,} accepted seeds, which every run may start from. Runs that began keep theirs."
    )
    with st.container(key="seeds_library"):
        event = st.dataframe(
            [{heading: row[field] for field, heading in COLUMNS.items()} for row in rows],
            hide_index=True, height=420, placeholder="", key="seeds_library_table",
            on_select="rerun" if desk.person.may("annotator") else "ignore", selection_mode="multi-row",
            column_config={name: st.column_config.TextColumn(width=300) for name in ("instruction", "input", "output")},
        )  # fmt: skip
    if not desk.person.may("annotator"):
        return
    ticked = [rows[at]["seed_id"] for at in event["selection"]["rows"] if at < len(rows)]
    if ticked:
        kind, label = ("accept", "Put back") if out else ("reject", "Take out")
        if st.button(f"{label} {len(ticked):,}", icon=":material/psychiatry:", key="seeds_library_decide"):
            cards.attempt(desk.review.of_seeds, ticked, kind)
            st.rerun()

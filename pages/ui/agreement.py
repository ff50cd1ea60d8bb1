"""How far the annotators of a run agree, two by two and all together, and where they disagree beside credit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.ui import curation_charts, pictures, saving
from pages.ui.tables import number, table, text
from sedi_engine.curation.agreement import ALPHA, Agreement, Estimate, Row, agreement, pairs
from store import annotators

KEY = "seeds_agreement"
MOST_PAIRS = 45
COLUMNS = {
    "who": "annotators",
    "items": "items decided by two or more",
    "measure": "measure",
    "value": "value",
    "low": "95 % from",
    "high": "to",
    "note": "note",
}
DISPUTED = {
    "seed_id": "seed",
    "instruction": "instruction",
    "credit": "credit",
    "decided": "children decided by two or more",
    "disagreed": "of them disputed",
    "share": "share disputed",
}


def show(service: Any, run_id: str) -> None:
    """Agreement on the candidates, proposals and blind items of a run."""
    st.subheader("Agreement", anchor=False)
    with st.container(key=KEY):
        rows = service.store.read(annotators.opinions, run_id)
        whole, two_by_two = measured(tuple((row["subject"], row["annotator"], row["kind"]) for row in rows))
        if len(whole.annotators) < 2:
            st.caption("Agreement needs two people who decide the same items of this run; overlap is set for that.")
            return
        st.caption(
            f"{len(whole.annotators)} people share {whole.items:,} items that two or more of them decided. "
            "1 is perfect agreement, 0 what chance alone would give. Intervals: bootstrap over items, 95 %. Those that "
            "overlap show no difference."
        )
        several = [whole, *two_by_two[:MOST_PAIRS]] if len(whole.annotators) > 2 else [whole]
        shown = [_row(one, estimate) for one in several for estimate in one.estimates]
        table(shown, COLUMNS, f"{KEY}_measures", **dict.fromkeys(("value", "low", "high"), number(format="%.2f")))
        if len(two_by_two) > MOST_PAIRS:
            st.caption(f"{len(two_by_two) - MOST_PAIRS:,} more pairs are left out.")
        _disputed(service.store.read(annotators.disagreement, run_id))


@st.cache_data(max_entries=16, show_spinner="Resampling the items …")
def measured(rows: tuple[Row, ...]) -> tuple[Agreement, list[Agreement]]:
    """The agreement of all, and of every two."""
    return agreement(rows), pairs(rows)


def _row(one: Agreement, estimate: Estimate) -> dict[str, Any]:
    everybody = estimate.measure == ALPHA or len(one.annotators) > 2
    who = f"all {len(one.annotators)}" if everybody else " and ".join(one.annotators)
    fields = ("measure", "value", "low", "high", "note")
    return {"who": who, "items": one.items, **{field: getattr(estimate, field) for field in fields}}


def _disputed(rows: Sequence[Mapping[str, Any]]) -> None:
    """Each seed's disputed children beside its credit."""
    st.caption("Disagreement beside credit: of each seed’s children that two or more decided, how many they dispute.")
    if not rows:
        st.caption("No child of a seed was decided by two people yet.")
        return
    shown = [{**row, "share": row["disagreed"] / row["decided"]} for row in rows]
    columns = {"credit": number(format="%+.3f"), "share": number(format="percent"), "instruction": text(360)}
    table(shown, DISPUTED, f"{KEY}_seeds", **columns)
    with_credit = [row for row in shown if row["credit"] is not None]
    if len(with_credit) > 1:
        figure = pictures.once(curation_charts.disagreement, with_credit)
        saving.chart(figure, f"{KEY}_credit", "Share disputed against credit, by seed", lambda: shown)

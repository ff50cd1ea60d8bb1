"""The rows in a region of the map or in a batch: as a table, and what can be done with them together."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.ui import command, exporting, focus, record, words
from pages.ui.tables import number, text
from sedi_engine.desk import Desk
from sedi_engine.exports import FORMATS
from store.selection import Selection

ROWS_SHOWN = 2000
COLUMNS = {
    "status": "status",
    "reason": "reason",
    "instruction": "instruction",
    "iteration": "since",
    "batch": "batch",
    "max_rouge_l": "max ROUGE-L",
    "loss": "loss",
    "decision": "decision",
    "ident": "id",
}
BULK = ("accept", "reject", "rescue", "flag", "use_as_seed", "undo")
LABELS = {**{kind: label for kind, (label, _) in record.DECISIONS.items()}, "undo": "Undo decisions"}


def show(service: Desk, run_id: str, rows: pd.DataFrame) -> None:
    """The table; with rows ticked in it the actions are on these alone, else on all."""
    with st.container(key="map_selection"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(f"{len(rows):,} tasks selected", anchor=False)
            counts = [f"{count:,} {name}" for name, count in rows["status"].value_counts().items()]
            st.text(" · ".join([*counts, *([f"the first {ROWS_SHOWN:,} listed"] if len(rows) > ROWS_SHOWN else [])]))
            st.button("Clear", icon=":material/close:", key="map_clear", on_click=focus.clear_all)
        ticked = st.dataframe(
            rows.head(ROWS_SHOWN)[list(COLUMNS)].rename(columns=COLUMNS),
            key="map_table",
            hide_index=True,
            height="content" if len(rows) < 9 else 320,
            placeholder="",
            on_select="rerun",
            selection_mode="multi-row",
            column_config={
                "instruction": text(420),
                "max ROUGE-L": number(95, format="%.3f"),
                "loss": number(70, format="%.3f"),
            },
        )
        places = [place for place in ticked["selection"]["rows"] if place < len(rows)]
        acted = rows.iloc[places] if places else rows
        idents = acted.loc[acted["kind"] == "candidate", "ident"].tolist()
        if not idents:
            st.caption("Seeds and reference tasks are not decided here: there is no candidate among them.")
            return
        _act(service, idents, ticked=bool(places))
        _export(service, run_id, idents)


def _act(service: Desk, idents: list[str], *, ticked: bool) -> None:
    """What is done to many is said with its count, and done on a second press."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        kind = st.segmented_control(
            "Do with them", BULK, format_func=LABELS.get, default="accept", required=True, key="map_bulk_kind"
        )
        which = "ticked" if ticked else "selected"
        if command.button(
            service.decisions.of_candidates,
            f"{LABELS[kind]}: {len(idents):,} {which}",
            icon=":material/done_all:",
            key="map_bulk",
        ):
            record.decide(service, idents, kind)
        if len(idents) == 1 and st.button("Look at it", icon=":material/my_location:", key="map_look"):
            focus.show_item(f"candidate:{idents[0]}")
            st.rerun()


def _export(service: Desk, run_id: str, idents: list[str]) -> None:
    unfolded = st.expander(
        f"Export {words.count(len(idents))} candidates",
        icon=":material/ios_share:",
        key="map_export",
        on_change="rerun",
    )
    if not unfolded.open:
        return
    with unfolded:
        form = st.selectbox(
            "Format", FORMATS, format_func=exporting.FORMAT_WORDS.get, key="map_export_format", width=360
        )
        exporting.file(service, (Selection(run_id=run_id, what="candidates", ids=tuple(idents)), form, True), "map")

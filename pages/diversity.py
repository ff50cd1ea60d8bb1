"""Diversity map: every embedded task, where it lies, what the filter did to it, and what may be done with it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.ui import (
    emptiness,
    focus,
    map_controls,
    map_state,
    mapping,
    pictures,
    record,
    saving,
    scatter,
    selected,
    shell,
)
from pages.ui.emptiness import Region
from pages.ui.mapping import Mask, View
from pages.ui.playing import Moment
from store import views

PAGE = "map"
PLAIN = "map_plain"  # whether the figure on screen shows nothing that is looked at, but what was drawn on it
BEHIND = "map_batches_behind"  # whether the curve does not show yet what is drawn on the map


def picked() -> None:
    """A click, a lasso or a box on the map goes into the address.

    The figure shows by itself what is drawn on it: only its tasks are drawn again, and then the curve of their batches.
    """
    selection = st.session_state["map_plot"]["selection"]
    if corners := focus.of_selection(selection):
        focus.show_region(corners)
        if st.session_state[PLAIN]:
            st.session_state[BEHIND] = True
            st.rerun("map_chosen")
    elif selection["points"]:
        point = selection["points"][0]
        place = point["customdata"]
        place = int(place[0] if isinstance(place, list) else place)
        if 0 <= place < len(st.session_state["map_subjects"]):
            focus.show_item(st.session_state["map_subjects"].iloc[place])


def draw(run_id: str, rows: pd.DataFrame, view: View, empty: list[Region]) -> Mask:
    """The figure with its controls' outcome; which rows pass the controls."""
    most = mapping.MOST_DRAWN_SVG if map_controls.without_webgl() else mapping.MOST_DRAWN
    outlines = tuple(one.outline for one in empty)
    figure, drawn, passes = pictures.explored(service.store, run_id, rows, view, outlines, most)
    st.session_state["map_subjects"] = rows["subject"]
    saving.chart(
        figure,
        "map_plot",
        f"Diversity map of {len(drawn):,} tasks, coloured by {mapping.COLOURS.get(view.colour, view.colour)}",
        lambda: drawn[mapping.SAVED].to_dict("records"),
        name=PAGE,
        note=f"{len(drawn):,} drawn of {len(rows):,} on the map; {int(passes.sum()):,} pass the filter. "
        "Click a point for its lineage; lasso or box are in the bar above the map.",
        more=scatter.CONFIG,
        on_select=picked,
        selection_mode=("points", "box", "lasso"),
    )
    own = focus.drawn_here("map_plot") or not focus.region()
    st.session_state[PLAIN] = own and focus.step() is None and focus.item() is None
    return passes


def looked_at(rows: pd.DataFrame, passes: Mask) -> pd.DataFrame:
    """The rows that the address looks at; in a region those that pass the controls."""
    region = focus.region()
    chosen = mapping.chosen(rows, focus.step(), focus.item(), region)
    return rows[chosen & passes if region else chosen]


@st.fragment(key="map_batches")
def batches_of_chosen(run_id: str, rows: pd.DataFrame, passes: Mask, moment: Moment) -> None:
    """The curve of the batches that hold what is looked at."""
    st.session_state.pop(BEHIND, None)
    map_controls.curve(service, run_id, looked_at(rows, passes), moment)


@st.fragment(key="map_chosen")
def chosen_tasks(run_id: str, rows: pd.DataFrame, passes: Mask) -> None:
    """The tasks in the region or the batch that is looked at."""
    found = looked_at(rows, passes)
    if len(found):
        selected.show(service, run_id, found)
    elif focus.region() or focus.step() is not None:
        st.caption("Nothing on the map is in this selection.")
        st.button("Clear", icon=":material/close:", key="map_clear", on_click=focus.clear_all)
    if BEHIND in st.session_state:
        map_controls.once_drawn("map_chosen_drawn", st.query_params.get("region", ""), lambda: st.rerun("map_batches"))


def show(run_id: str) -> None:
    """The map of a run with what came since, once it is made."""
    if not map_state.show(service, run_id):
        return
    rows = mapping.frame(service.store, run_id)
    if len(rows):
        explore(run_id, rows)
    else:
        st.caption("The tasks of this run appear here once they are embedded.")
    if shell.is_alive(service.store.read(views.pulse, run_id)["status"]):
        map_controls.newer(service, run_id)


def explore(run_id: str, rows: pd.DataFrame) -> None:
    """The map, and the task or the region that is looked at."""
    empty = emptiness.found(service, run_id, rows)
    view, rows, moment = map_controls.draw(service, run_id, rows)
    subject = focus.item()
    left, right = st.columns([5, 3], gap="medium")
    with left:
        passes = draw(run_id, rows, view, empty)
    with right:
        map_state.about(service, run_id)
        if subject:
            record.show(service, run_id, subject)
        else:
            batches_of_chosen(run_id, rows, passes, moment)
            emptiness.show(service, run_id, empty)
    if not subject:
        chosen_tasks(run_id, rows, passes)


service = shell.open_service()
chosen_run = shell.run_to_explore(service, PAGE, "Diversity map")
show(chosen_run)

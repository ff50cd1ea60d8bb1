"""What stands around the map: colour, search, window, threshold, and the curve of the batches that are selected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from pages.ui import cards, command, focus, mapping, pictures, playing, saving, shell, training_charts, words
from pages.ui.mapping import View
from pages.ui.playing import Moment
from sedi_engine.desk import Desk
from store import maps, training, views

SHOWS = {"all": "All", "kept": "Kept", "dropped": "Dropped"}
WEBGL = """
export default function ({ setStateValue }) {
  const canvas = document.createElement("canvas");
  if (!canvas.getContext("webgl2") && !canvas.getContext("webgl")) setStateValue("missing", true);
}
"""
DRAWN = """
export default function ({ data, setTriggerValue }) {
  requestAnimationFrame(() => setTimeout(() => setTriggerValue("drawn", data)));
}
"""
_webgl = st.components.v2.component("webgl_probe", js=WEBGL)
_drawn = st.components.v2.component("drawn_probe", js=DRAWN)


def without_webgl() -> bool:
    """Whether this browser cannot draw with WebGL; known from the second run of the page on."""
    found = _webgl(key="map_webgl", default={"missing": False}, on_missing_change=lambda: None)
    return bool(found.missing)


def once_drawn(key: str, what: str, then: Callable[[], None]) -> None:
    """Call back once the browser shows what was drawn with this, for each other `what`."""
    _drawn(key=key, data=what, on_drawn_change=then)


def draw(service: Desk, run_id: str, rows: pd.DataFrame) -> tuple[View, pd.DataFrame, Moment]:
    """The controls, bound to the address: the view they ask for, the rows with another τ's statuses, the moment."""
    settings, bind = service.store.read(views.settings, run_id), "query-params"
    own = float(settings["filter"]["threshold"])
    with st.container(key="map_controls"):
        first, second, third = st.columns([2, 3, 3], gap="medium", vertical_alignment="bottom")
        colour = first.selectbox(
            "Colour by", list(mapping.COLOURS), format_func=mapping.COLOURS.get, key="map_color", bind=bind
        )
        search = second.text_input("Search", placeholder="words of a task", key="map_search", bind=bind)
        with third:
            show = st.segmented_control(
                "Show",
                list(SHOWS),
                format_func=SHOWS.get,
                default="all",
                required=True,
                key="map_show",
                bind=bind,
            )
        left, right = st.columns(2, gap="medium", vertical_alignment="bottom")
        with left:
            last = int(rows["since"].max())
            moment = playing.player("map", last, lambda: service.store.read(training.steps, run_id))
        with right:
            threshold = st.slider(
                f"Threshold τ (the run’s: {own:g})", 0.5, 1.0, own, 0.01, key="map_threshold", bind="query-params"
            )
        other = threshold if abs(threshold - own) > 1e-9 else None
        with st.container(key="map_threshold_said"):
            if other is not None:
                rows = _other_threshold(service, run_id, rows, other)
    return View(colour, (search or "").strip(), show or "all", moment.window, other), rows, moment


def _other_threshold(service: Desk, run_id: str, rows: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Rows with the status that τ would give them; what it had kept and cost, in a sentence."""
    judged = service.store.read(views.judged_calls, run_id)
    found = mapping.replayed(service.store, run_id, threshold, judged)
    said: dict[str, Any] = found.summary()
    per = said["calls_per_1000_kept"]
    calls = "–" if per is None else f"{per:,.0f}"
    cost = said["cost_usd_per_1000_kept"]
    changed = rows.assign(status=mapping.beside(rows, found))
    counts = changed["status"].value_counts()
    bound = "exact" if found.exact else "an upper bound"
    st.text(
        f"At τ {threshold:.2f}: {said['kept']:,} kept of {said['judged']:,} ({bound}), {calls} calls and "
        f"{words.usd(cost)} per 1,000 kept, while S does not change. "
        f"{counts.get('appears', 0):,} appear, {counts.get('disappears', 0):,} disappear."
    )
    return changed


def curve(service: Desk, run_id: str, rows: pd.DataFrame, moment: Moment) -> None:
    """Loss and gradient norm beside the map, once it has played or tasks are selected: their batches among all."""
    lit = sorted({int(step) for step in rows["step"].dropna()})
    if moment.whole and not lit and st.session_state.get("map_played") != run_id:
        return
    if not moment.whole:
        st.session_state["map_played"] = run_id  # the curve stays when the last window has come
    taken = service.store.read(training.steps, run_id)
    if not taken:
        return
    steps = f"step{'s' * (len(lit) > 1)} {', '.join(map(str, lit[:20]))}{' …' * (len(lit) > 20)}"
    reached = sum(moment.reached(row) for row in taken if not row["superseded"])
    shown = {"log": False, "lit": lit, "height": 340, "moment": moment}
    saving.chart(
        pictures.once(training_charts.curves, {run_id: taken}, "raw", **shown),
        "map_curve",
        "Loss and gradient norm over steps, the selected batches lit",
        lambda: taken,
        note=(f"Batches of the selection: {steps} of {reached}. " if lit else f"{reached} steps. ")
        + "Click a point to see its batch.",
        on_select=_to_batch,
        selection_mode="points",
    )


def _to_batch() -> None:
    """A click on a point of the curve: its batch on the map."""
    for point in st.session_state["map_curve"]["selection"]["points"][:1]:
        focus.show_step(int(point["x"]))
        st.rerun()  # the whole page: the map lights them


def newer(service: Desk, run_id: str) -> None:
    """While a run goes on: how much of it the map does not show yet."""

    def look() -> None:
        if waiting := service.store.read(maps.waiting, run_id):
            with st.container(horizontal=True, vertical_alignment="center", key="map_newer"):
                st.text(f"{waiting:,} newer tasks are not on the map yet.")
                if command.button(service.map.update, "Bring them in", icon=":material/add_location:", key="map_bring"):
                    cards.attempt(service.map.update, run_id)
                    st.rerun(scope="app")

    st.fragment(look, run_every=5 * shell.POLL_S)()

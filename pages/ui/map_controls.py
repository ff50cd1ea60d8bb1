"""What stands around the map: colour, search, iteration, threshold, and the curve of the batches that are selected."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from pages.ui import cards, charts, command, focus, mapping, shell, training_charts, words
from pages.ui.mapping import View
from sedi_engine.desk import Desk
from store import maps, training, views

PLAY_S = 1.2
SHOWS = {"all": "All", "kept": "Kept", "dropped": "Dropped"}
WEBGL = """
export default function ({ setStateValue }) {
  const canvas = document.createElement("canvas");
  if (!canvas.getContext("webgl2") && !canvas.getContext("webgl")) setStateValue("missing", true);
}
"""
_webgl = st.components.v2.component("webgl_probe", js=WEBGL)


def without_webgl() -> bool:
    """Whether this browser cannot draw with WebGL; known from the second run of the page on."""
    found = _webgl(key="map_webgl", default={"missing": False}, on_missing_change=lambda: None)
    return bool(found.missing)


def draw(service: Desk, run_id: str, rows: pd.DataFrame) -> tuple[View, pd.DataFrame]:
    """The controls, bound to the address; the view they ask for, and the rows with another threshold's statuses."""
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
            iteration = _iteration(int(rows["since"].max()))
        with right:
            threshold = st.slider(
                f"Threshold τ (the run’s: {own:g})", 0.5, 1.0, own, 0.01, key="map_threshold", bind="query-params"
            )
        with st.container(key="map_threshold_said"):
            if abs(threshold - own) > 1e-9:
                rows = _other_threshold(service, run_id, rows, threshold)
    return View(colour, (search or "").strip(), show or "all", iteration), rows


def _iteration(last: int) -> int | None:
    """The window up to which tasks are shown; a button plays them one by one."""
    if last < 1:
        return None
    slider, button = st.columns([5, 1], vertical_alignment="bottom", gap="small")
    if st.session_state.pop("map_step_on", False):
        now = st.session_state.get("map_iteration", last)
        st.session_state["map_iteration"] = min(last, now + 1)
        st.session_state["map_playing"] = now + 1 < last
    if button.button("", icon=":material/play_arrow:", key="map_play", help="Play window by window"):
        st.session_state["map_iteration"], st.session_state["map_playing"] = 0, True
    st.session_state.setdefault("map_iteration", last)
    st.session_state["map_iteration"] = min(st.session_state["map_iteration"], last)
    shown = slider.slider("Up to window (0: the start)", 0, last, key="map_iteration", bind="query-params")
    playing = bool(st.session_state.get("map_playing"))
    st.fragment(_step_on, run_every=PLAY_S if playing else None)(playing)
    return shown


def _step_on(playing: bool) -> None:
    """Every second call of the fragment draws the page with one window more; the first comes with the page itself."""
    if playing and st.session_state.get("map_drawn_at") == st.session_state["map_iteration"]:
        st.session_state["map_drawn_at"], st.session_state["map_step_on"] = None, True
        st.rerun()
    st.session_state["map_drawn_at"] = st.session_state["map_iteration"]


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


def curve(service: Desk, run_id: str, rows: pd.DataFrame) -> None:
    """Loss and gradient norm of the batches that hold the selected tasks, among all."""
    lit = sorted({int(step) for step in rows["step"].dropna()})
    points = [row for row in service.store.read(training.steps, run_id) if not row["superseded"]]
    if not points or not lit:
        return
    steps = f"step{'s' * (len(lit) > 1)} {', '.join(map(str, lit[:20]))}{' …' * (len(lit) > 20)}"
    st.caption(f"Their batches: {steps} of {len(points)}. Click a point to see its batch.")
    event = st.plotly_chart(
        training_charts.lit_norms(points, lit), key="map_curve", config=charts.CONFIG, on_select="rerun",
        selection_mode="points", alt="Gradient norm over steps, the selected batches lit",
    )  # fmt: skip
    if found := event["selection"]["points"]:
        step = int(found[0]["x"])
        st.session_state.pop("map_curve", None)
        if step != focus.step():
            focus.show_step(step)
            st.rerun()


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

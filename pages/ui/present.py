"""The story of a run for people who look on: large type, one part a screen, nothing that spends or decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from pages.ui import loop, mapping, pictures, playing, saving, shell, training_charts, words
from pages.ui.curves import pool_charts
from pages.ui.playing import Moment
from sedi_engine.desk import Desk
from store import maps, training, views

PARAMETER = "overview_present"
LARGE = """<style>
[data-testid="stMain"] p, [data-testid="stMain"] [data-testid="stText"] {font-size: 1.45rem; line-height: 1.5}
[data-testid="stMain"] [data-testid="stSlider"] p {font-size: 0.95rem}
[data-testid="stMain"] h1 {font-size: 2.6rem} [data-testid="stMain"] h2 {font-size: 2rem}
[data-testid="stMain"] h3 {font-size: 1.5rem}
</style>"""


def wanted() -> bool:
    """Whether the address asks for the presentation."""
    return st.query_params.get(PARAMETER) == "true"


def show(service: Desk, run_id: str, summary: dict[str, Any]) -> None:
    """One part of the story, and the way to the others."""
    st.html(LARGE)
    with st.container(horizontal=True, vertical_alignment="center", key="overview_story_bar"):
        names = list(STORIES)
        name = st.segmented_control(
            "Part", names, default=names[0], required=True, key="overview_story", bind="query-params",
            label_visibility="collapsed",
        )  # fmt: skip
        st.button("Leave the presentation", icon=":material/close:", key="overview_leave", on_click=_leave)
    STORIES[name or names[0]](service, run_id, summary)


def _leave() -> None:
    st.query_params.pop(PARAMETER, None)


def _the_loop(service: Desk, run_id: str, summary: dict[str, Any]) -> None:
    st.header("A model writes tasks, and training says which to ask for next", anchor=False)
    st.html(f'<div style="zoom:1.3">{loop.picture(loop.stations(summary), summary["phase"])}</div>')
    st.text(
        f"{summary['kept']:,} of {summary['parsed']:,} tasks kept ({words.share(summary['kept'], summary['parsed'])}), "
        f"in {summary['iteration']} iterations, for {words.usd(summary['cost_usd'])}."
    )


def _the_filter(service: Desk, run_id: str, summary: dict[str, Any]) -> None:
    st.header("What is thrown away is paid for all the same", anchor=False)
    pool_charts(service.store, run_id, alive=False, large=True)


def _the_map(service: Desk, run_id: str, summary: dict[str, Any]) -> None:
    steps = service.store.read(training.steps, run_id)
    moment = _played("Where the tasks lie", summary, steps)
    left, right = st.columns([3, 2], gap="medium") if steps else (st.container(), st.empty())
    with left:
        if not picture(service, run_id, height=500, key="overview_story_map", moment=moment):
            st.text("The map is made when Diversity map is first opened.")
    if steps:
        with right:
            _curves(run_id, steps, moment, "overview_story_curves")


def _the_training(service: Desk, run_id: str, summary: dict[str, Any]) -> None:
    rows = service.store.read(training.steps, run_id)
    moment = _played("The batch that moves the model most proposes new seeds", summary, rows)
    if rows:
        _curves(run_id, rows, moment, "overview_story_training")
    else:
        st.text("No batch of this run was trained.")


def _played(heading: str, summary: dict[str, Any], steps: Sequence[Mapping[str, Any]]) -> Moment:
    """The heading of a part that shows a run's course, and what plays it once it has ended: the same window in each."""
    left, right = st.columns([5, 6], vertical_alignment="bottom", gap="medium")
    left.header(heading, anchor=False)
    if shell.is_alive(summary["status"]):
        return Moment(0, 0)
    with right:
        return playing.player("overview", summary["iteration"], lambda: steps)


def _curves(run_id: str, rows: Sequence[Mapping[str, Any]], moment: Moment, key: str) -> None:
    shown = {"log": False, "lit": (), "height": 500, "moment": moment}
    figure = pictures.once(training_charts.curves, {run_id: rows}, "raw", **shown, large=True)
    saving.chart(figure, key, "Loss and gradient norm")


def _the_seeds(service: Desk, run_id: str, summary: dict[str, Any]) -> None:
    st.header("Seeds come and go", anchor=False)
    proposed = service.store.read(views.proposals, run_id)
    taken = [row for row in proposed if row["decision"] == "accept"]
    st.text(
        f"S holds {summary['seeds_active']:,} seeds, {summary['seeds_start']:,} at the start. "
        f"{len(taken):,} of {len(proposed):,} proposals were accepted."
    )
    for kind, title in (("promote", "Promoted"), ("evict", "Evicted")):
        rows = [row for row in taken if row["kind"] == kind][:4]
        if rows:
            st.subheader(title, anchor=False)
            st.text("\n".join(f"·  {row['instruction'][:140]}" for row in rows))


STORIES: dict[str, Callable[[Desk, str, dict[str, Any]], None]] = {
    "The loop": _the_loop,
    "The filter": _the_filter,
    "The map": _the_map,
    "Training": _the_training,
    "Seeds": _the_seeds,
}


def picture(service: Desk, run_id: str, height: int, key: str, moment: Moment | None = None) -> bool:
    """The run's map as a picture, as far as it has come at a moment; False while there is none."""
    if service.store.read(maps.current) is None:
        return False
    rows = mapping.frame(service.store, run_id)
    if not len(rows):
        return False
    window = None if moment is None or moment.whole else moment.window
    figure, drawn = pictures.still(service.store, run_id, rows, height, window, large=wanted())
    data = None if wanted() else lambda: drawn[mapping.SAVED].to_dict("records")
    saving.chart(figure, key, f"Map of {len(drawn):,} tasks", data)
    return True

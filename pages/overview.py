"""Overview: what this is, and the loop of one run as a picture with live numbers."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.ui import cards, command, loop, present, shell, words
from pages.ui.curves import pool_charts
from sedi_engine.config import RunConfig
from sedi_engine.exports.recording import OURS
from store import views

PAGE = "overview"
CURVE_POLL_S = 10.0
INTRO = (
    "SeDi Studio makes instruction-tuning data with a language model, the SeDi-Instruct way: seed tasks show a "
    "generator what to ask for, a filter keeps what is not too like the rest, and varied batches of it train a "
    "student. What training shows then changes the seeds, so that the next iteration asks for other tasks. "
    "The demo does all of it for real on a small model on this machine: no key, no GPU, no cost."
)


def start_demo() -> None:
    """Start the demo, and show it."""
    if run_id := cards.attempt(lambda: service.runs.start(RunConfig.load("demo"))):
        shell.show_run(run_id)
    st.rerun()


def first_visit() -> None:
    """What a person sees while the store holds no run."""
    st.markdown(INTRO, width=960)
    st.html(loop.picture(loop.EMPTY))
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        if command.button(
            service.runs.start,
            "Start the demo run",
            type="primary",
            icon=":material/play_arrow:",
            key="overview_start_demo",
        ):
            start_demo()
        if OURS.is_file() and command.button(
            service.runs.play, "Open a recorded run", icon=":material/movie:", key="overview_open_recording"
        ):
            if run_id := cards.attempt(service.runs.play, OURS, OURS.name):
                shell.show_run(run_id)
            st.rerun()
        st.caption(
            "3 iterations of 5 batches of 8: some minutes on two cores. It can be paused, cancelled and resumed."
        )


def another_demo() -> None:
    """The same button, smaller, once there are runs; and the way into the presentation."""
    if present.wanted():
        return
    st.button("Present", icon=":material/slideshow:", key="overview_present", on_click=_present)
    if command.button(
        service.runs.start, "Start another demo", icon=":material/play_arrow:", key="overview_start_demo"
    ):
        start_demo()


def _present() -> None:
    st.query_params[present.PARAMETER] = "true"


def show(run_id: str) -> None:
    """The picture, the figures and what waits for a decision; polls while the run may change."""
    if present.wanted():
        present.show(service, run_id, service.store.read(views.overview, run_id))
        return
    alive = shell.is_alive(service.store.read(views.pulse, run_id)["status"])
    st.fragment(_live, run_every=shell.POLL_S if alive else None)(run_id, alive)
    st.fragment(_curves, run_every=CURVE_POLL_S if alive else None)(run_id, alive)
    _map(run_id)
    if not alive:
        shell.notice_revival(service, run_id)


def _live(run_id: str, was_alive: bool) -> None:
    pulse = service.store.read(views.pulse, run_id)
    shell.noticed_end(pulse["status"], was_alive)
    summary = service.store.read(views.overview, run_id)
    _state(summary, pulse)
    st.html(loop.picture(loop.stations(summary), summary["phase"]))
    _waiting(summary)
    _figures(summary)


def _state(summary: dict[str, Any], pulse: dict[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="overview_state"):
        label, colour = words.STATUS[summary["status"]]
        st.badge(label, color=colour)
        parts = [f"{summary['iteration']} of {summary['iterations']} iterations done"]
        if summary["phase"]:
            parts.insert(0, words.PHASE[summary["phase"]])
        st.text(f"{' · '.join(parts)} · {words.duration(pulse['elapsed_s'])} of work")


def _waiting(summary: dict[str, Any]) -> None:
    if told := words.end_of(summary):
        cards.card(*told, colour="red" if summary["status"] in ("failed", "interrupted") else "orange")
    if summary["status"] == "waiting_for_review":
        cards.waiting(summary["proposals_open"], summary["iteration"], "overview_waiting")


def _figures(summary: dict[str, Any]) -> None:
    kept, cost = summary["kept"], summary["cost_usd"]
    each = f"{summary['completion_tokens'] / kept:,.0f} completion tokens each" if kept else "nothing kept yet"
    prompt, completion = summary["prompt_tokens"], summary["completion_tokens"]
    tiles = (
        (
            "Kept of parsed",
            words.share(kept, summary["parsed"]),
            f"{kept:,} of {summary['parsed']:,}, at τ {summary['threshold']:g}",
        ),
        ("Cost per kept", words.usd(cost / kept if cost and kept else cost), each),
        (
            "Tokens",
            words.short(prompt + completion),
            f"{words.short(prompt)} prompt + {words.short(completion)} completion",
        ),
        ("Seeds in S", f"{summary['seeds_active']:,}", f"{summary['seeds_start']:,} at the start"),
    )
    for column, (label, value, note) in zip(st.columns(len(tiles)), tiles, strict=True):
        with column.container(border=True, gap=None, height="stretch"):
            st.metric(label, value)
            st.text(note)


def _curves(run_id: str, alive: bool) -> None:
    pool_charts(service.store, run_id, alive)


def _map(run_id: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("The map", anchor=False)
        st.page_link("pages/diversity.py", label="Explore it", icon=":material/scatter_plot:")
    if not present.picture(service, run_id, height=420, key="overview_map"):
        st.caption("It is made when Diversity map is first opened.")


service = shell.open_service(tells_story=True)
chosen = shell.choose_run(service, PAGE, "SeDi Studio", another_demo)
if chosen is None:
    first_visit()
else:
    show(chosen)

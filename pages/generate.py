"""Generate: set up a run, see what it will take before it starts, and watch it work."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.ui import cards, forms, shell, watch
from pages.ui.estimate import show_estimate
from sedi_engine.config import RunConfig
from store import views
from store.errors import StudioError

PAGE = "generate"
SETTINGS = {
    "iterations": "Iterations",
    "compose.batch_size": "Batch size B",
    "compose.batches_per_window": "Batches a window E",
    "filter.threshold": "ROUGE-L threshold τ",
    "target_kept": "Target kept",
    "random_seed": "Random seed",
    "feedback.mode": "Feedback",
    "budget.max_calls": "Cap: calls",
    "budget.max_tokens": "Cap: tokens",
    "budget.max_usd": "Cap: USD",
    "budget.max_minutes": "Cap: minutes",
}


def new_run() -> None:
    """What a run would take, its settings, and the start."""
    names = forms.preset_names()
    if f"{PAGE}_preset" not in st.session_state:
        st.session_state[f"{PAGE}_preset"] = names[0]
        forms.fill(PAGE, names[0], list(SETTINGS))
    with st.container(border=True, key=f"{PAGE}_new"):
        choice, expected = st.columns([1, 5], gap="medium")
        preset = choice.selectbox("New run from preset", names, key=f"{PAGE}_preset", on_change=preset_changed)
        with st.expander("Settings", icon=":material/tune:", key=f"{PAGE}_settings"):
            values = forms.draw(PAGE, SETTINGS)
        try:
            config = RunConfig.load(preset, forms.changed(preset, values))
        except StudioError as problem:
            cards.error(problem)
            return
        with expected:
            show_estimate(service.store, config)
        start(config)


def start(config: RunConfig) -> None:
    """The button, and the run that it makes."""
    if st.button("Start the run", type="primary", icon=":material/play_arrow:", key=f"{PAGE}_start"):
        if run_id := cards.attempt(service.start, config):
            shell.show_run(run_id)
        st.rerun()


def preset_changed() -> None:
    """Lay the chosen preset into the widgets."""
    forms.fill(PAGE, st.session_state[f"{PAGE}_preset"], list(SETTINGS))


def controls(pulse: dict[str, Any]) -> None:
    """Pause, resume, cancel, one more iteration: each offered where it can act."""
    run_id, status = pulse["run_id"], pulse["status"]
    alive = shell.is_alive(status)
    with st.container(horizontal=True, key=f"{PAGE}_controls"):
        if _button("Pause", "pause", "pause", alive):
            _ask(service.manager.pause, run_id, "pausing")
        if _button("Resume", "resume", "play_arrow", not alive and status != "completed"):
            _ask(service.manager.resume, run_id)
        if _button("Cancel", "cancel", "stop", alive or status in ("paused", "interrupted", "waiting_for_review")):
            _ask(service.manager.cancel, run_id, "cancelling" if alive else "")
        if _button("One more iteration", "next", "add", status == "completed"):
            _ask(service.manager.resume, run_id, "", 1)
    asked_run, asked = st.session_state.get("asked", ("", ""))
    if alive and asked and asked_run == run_id:
        st.caption(f"{asked.capitalize()} … calls in flight come back first, so that nothing paid for is lost.")


def _button(label: str, noun: str, icon: str, possible: bool) -> bool:
    return st.button(label, icon=f":material/{icon}:", key=f"{PAGE}_{noun}", disabled=not possible)


def _ask(action: Any, run_id: str, asked: str = "", *more: Any) -> None:
    """Do what a button says, and draw the page anew with what came of it."""
    cards.attempt(action, run_id, *more)
    st.session_state["asked"] = (run_id, asked)
    st.rerun()


def live(run_id: str, was_alive: bool) -> None:
    """Everything of the run that changes by itself."""
    pulse = service.store.read(views.pulse, run_id)
    if shell.is_alive(pulse["status"]) != was_alive:
        st.rerun()
    summary = service.store.read(views.overview, run_id)
    watch.state(summary, pulse)
    controls(pulse)
    watch.told(service.store, summary)
    watch.counts_and_charts(service.store, summary, pulse)
    watch.feed(service.store, summary)


service = shell.open_service()
chosen = shell.choose_run(service, PAGE, "Generate")
alive_now = chosen is not None and shell.is_alive(service.store.read(views.pulse, chosen)["status"])
new_run()
if chosen:
    st.fragment(live, run_every=shell.POLL_S if alive_now else None)(chosen, alive_now)
    if not alive_now:
        shell.notice_revival(service, chosen)

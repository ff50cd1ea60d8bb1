"""Generate: set up a run, see what it will take before it starts, and watch it work."""

from __future__ import annotations

import streamlit as st

from pages.ui import cards, command, connection, controls, forms, presets, shell, watch
from pages.ui.choices import choices
from pages.ui.draft import Draft
from pages.ui.estimate import show_estimate
from sedi_engine import licences
from sedi_engine.config import RunConfig
from store import views
from store.errors import StudioError

PAGE = "generate"


def new_run() -> None:
    """What a run would take, all its settings, the test of its endpoint, and the start."""
    with st.container(border=True, key=f"{PAGE}_new"):
        choice, expected = st.columns([1, 4], gap="medium")
        with choice:
            begun = presets.choose(folder)
        presets.describe(folder, begun)
        with (
            st.container(key=f"{PAGE}_config"),
            st.expander("Settings", icon=":material/tune:", key=f"{PAGE}_settings"),
        ):
            forms.draw(begun, choices(service))
            forms.differences(begun)
        config = _configured(begun)
        with choice:
            presets.keep(service, begun, config)
        if config is None:
            return
        with expected, st.container(key=f"{PAGE}_estimate"):
            _estimate(config)
        connection.show(service, config)
        if said := licences.sentences(config):
            with st.container(key=f"{PAGE}_licences"):
                st.text("\n".join(said))
        start(config)


def _configured(begun: Draft) -> RunConfig | None:
    """The settings as a configuration; where they contradict each other a card says so."""
    try:
        return begun.config()
    except StudioError as problem:
        cards.error(problem)
        return None


def _estimate(config: RunConfig) -> None:
    try:
        show_estimate(service, config)
    except StudioError as problem:
        cards.error(problem)


def start(config: RunConfig) -> None:
    """The button, and the run that it makes."""
    if command.button(
        service.runs.start, "Start the run", type="primary", icon=":material/play_arrow:", key=f"{PAGE}_start"
    ):
        if run_id := cards.attempt(service.runs.start, config):
            shell.show_run(run_id)
        st.rerun()


def live(run_id: str, was_alive: bool) -> None:
    """Everything of the run that changes by itself."""
    pulse = service.store.read(views.pulse, run_id)
    shell.noticed_end(pulse["status"], was_alive)
    summary = service.store.read(views.overview, run_id)
    watch.state(summary, pulse)
    controls.controls(service, run_id, pulse["status"], PAGE)
    watch.told(service.store, summary)
    watch.counts_and_charts(service.store, summary, pulse)
    watch.feed(service.store, summary)


service = shell.open_service()
folder = service.store.folder
chosen = shell.choose_run(service, PAGE, "Generate")
alive_now = chosen is not None and shell.is_alive(service.store.read(views.pulse, chosen)["status"])
new_run()
if chosen:
    st.fragment(live, run_every=shell.POLL_S if alive_now else None)(chosen, alive_now)
    if not alive_now:
        shell.notice_revival(service, chosen)

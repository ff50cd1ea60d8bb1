"""Pause, resume, cancel, one more iteration: each offered where it can act, on whichever screen shows a run."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.ui import cards, command, shell
from sedi_engine.desk import Desk
from store import recordings

WAITING = ("paused", "interrupted", "waiting_for_review")


def controls(service: Desk, run_id: str, status: str, page: str) -> None:
    """The four buttons of a run; a recording has none."""
    if service.store.read(recordings.is_recording, run_id):
        return
    runs, alive = service.runs, shell.is_alive(status)
    with st.container(horizontal=True, key=f"{page}_controls"):
        if _button(runs.pause, page, "Pause", "pause", "pause", alive):
            _ask(runs.pause, run_id, "pausing")
        if _button(runs.resume, page, "Resume", "resume", "play_arrow", not alive and status != "completed"):
            _ask(runs.resume, run_id)
        if _button(runs.cancel, page, "Cancel", "cancel", "stop", alive or status in WAITING):
            _ask(runs.cancel, run_id, "cancelling" if alive else "")
        if _button(runs.resume, page, "One more iteration", "next", "add", status == "completed"):
            _ask(runs.resume, run_id, "", 1)
    asked_run, asked = st.session_state.get("asked", ("", ""))
    if alive and asked and asked_run == run_id:
        st.caption(f"{asked.capitalize()} … calls in flight come back first, so that nothing paid for is lost.")


def _button(action: Any, page: str, label: str, noun: str, icon: str, possible: bool) -> bool:
    return command.button(action, label, icon=f":material/{icon}:", key=f"{page}_{noun}", disabled=not possible)


def _ask(action: Any, run_id: str, asked: str = "", *more: Any) -> None:
    """Do what a button says, and draw the page anew with what came of it."""
    cards.attempt(action, run_id, *more)
    st.session_state["asked"] = (run_id, asked)
    st.rerun()

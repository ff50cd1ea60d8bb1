"""What a person must be told: a card in plain text, and actions whose errors become one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from store.errors import StudioError

NOTICE = "notice"
ICONS = {"red": ":material/error:", "orange": ":material/warning:", "blue": ":material/info:"}


def card(message: str, next_step: str = "", colour: str = "red", title: str = "", key: str | None = None) -> None:
    """A bordered card; `title` is ours, the two texts may hold anything and are shown as text."""
    with st.container(border=True, key=key, gap="xsmall"):
        st.badge(title or "What happened", icon=ICONS[colour], color=colour)
        st.text(f"{message}\nNext: {next_step}" if next_step else message)


def waiting(proposals_open: int, iteration: int, key: str) -> None:
    """A run in review: how much is undecided, and the way there."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=key):
        st.badge("Waits for a decision", icon=":material/rule:", color="violet")
        st.text(f"{proposals_open} of the proposals of window {iteration} are undecided.")
        st.page_link("pages/seeds.py", label="Decide on Seeds", icon=":material/arrow_forward:")


def error(problem: StudioError) -> None:
    """The card of an error."""
    card(problem.message, problem.next_step, key="error_card")


def attempt(action: Callable[..., Any], *args: Any, **more: Any) -> Any:
    """Do something that may be refused; the refusal is kept for `notice` to show. Returns None then."""
    st.session_state.pop(NOTICE, None)
    try:
        return action(*args, **more)
    except StudioError as problem:
        st.session_state[NOTICE] = (problem.message, problem.next_step)
        return None


def notice() -> None:
    """The card of the last refusal, once."""
    if refused := st.session_state.pop(NOTICE, None):
        card(*refused, key="error_card")

"""Work that goes on beside the page: its future lies in the session, and a fragment looks for its end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

import streamlit as st

from pages.ui import cards
from store.errors import StudioError

POLL_S = 0.5


def begin(key: str, start: Callable[..., Future[Any]], *args: Any) -> None:
    """Start it under this key; a refusal comes as its result."""
    try:
        st.session_state[key] = start(*args)
    except StudioError as problem:
        st.session_state[key] = refused = Future[Any]()
        refused.set_exception(problem)


def busy(key: str) -> bool:
    """Whether it is still under way."""
    return key in st.session_state and not st.session_state[key].done()


def wait(key: str) -> None:
    """Draw the page again once it has ended."""

    def look() -> None:
        if not busy(key):
            st.rerun()

    st.fragment(look, run_every=POLL_S)()


def result(key: str) -> Any:
    """What came of it; None before it ended, and where it failed, which a card tells."""
    if key not in st.session_state or busy(key):
        return None
    try:
        return st.session_state[key].result()
    except StudioError as problem:
        cards.error(problem)
    except (Exception, CancelledError) as problem:
        cards.card(f"It ended early: {type(problem).__name__}: {problem}", "Try again.", key="error_card")
    return None

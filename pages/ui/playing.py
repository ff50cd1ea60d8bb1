"""A run plays again from what the store holds: a slider over its windows, and a button that moves it by itself.

Within a window its tasks come first, then its optimiser steps, a few at a time. The window is in the address.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

TICK_S = 0.6
PARTS = 5  # in so many goes the steps of a window are drawn
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Moment:
    """How much of a run is shown: everything before a window, and of that window what was there by a step."""

    window: int
    last: int
    step: float = math.inf

    @property
    def whole(self) -> bool:
        """Whether that is all of it."""
        return self.window >= self.last and self.step == math.inf

    def reached(self, row: Mapping[str, Any]) -> bool:
        """Whether a step (its `iteration` and `step`) was taken by now."""
        before = row["iteration"] < self.window
        return self.whole or before or (row["iteration"] == self.window and row["step"] <= self.step)


def player(page: str, last: int, steps: Callable[[], Rows]) -> Moment:
    """Slider and button of a run of `last` windows; the moment they ask for. `steps` are asked for while it plays."""
    if last < 1:
        return Moment(last, last)
    key, state = f"{page}_iteration", f"{page}_playing"
    if st.session_state.pop(f"{page}_tick", False) and state in st.session_state:
        _move_on(state, last, steps)
    # While it plays the slider follows: what the browser says of it may be a tick old.
    window, part = st.session_state.get(state) or (st.session_state.get(key, last), None)
    window = st.session_state[key] = min(window, last)
    playing = part is not None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        window = st.slider("Up to window (0: the start)", 0, last, key=key, bind="query-params", disabled=playing)
        st.button(
            "",
            icon=":material/pause:" if playing else ":material/play_arrow:",
            key=f"{page}_play",
            help="Stop here" if playing else "Play the run window by window",
            on_click=_press,
            args=(key, state, last),
        )
        if playing or window < last:
            st.badge(f"recording · window {window} of {last}", icon=":material/movie:", color="violet")
    st.fragment(_tick, run_every=TICK_S if playing else None)(page, (window, part))
    return Moment(window, last, _step_at(steps(), window, part) if playing else math.inf)


def _press(key: str, state: str, last: int) -> None:
    """Stop it; or play on, from the start where it stands at the end."""
    if st.session_state.get(state):
        st.session_state[state] = None
    else:
        window = st.session_state[key]
        st.session_state[state] = (0 if window >= last else window, 0)


def _move_on(state: str, last: int, steps: Callable[[], Rows]) -> None:
    """A few steps more, or the next window, or the end."""
    if (now := st.session_state[state]) is None:
        return
    window, part = now
    if part < PARTS and any(row["iteration"] == window for row in steps()):
        st.session_state[state] = (window, part + 1)
    else:
        st.session_state[state] = (window + 1, 0) if window < last else None


def _step_at(rows: Rows, window: int, part: int) -> float:
    """The last step drawn of a window in a part of it."""
    own = sorted({row["step"] for row in rows if row["iteration"] == window})
    shown = math.ceil(len(own) * part / PARTS)
    return own[shown - 1] if shown else -math.inf


def _tick(page: str, now: tuple[int, int | None]) -> None:
    """Every second call of the fragment draws the page a bit further; the first comes with the page itself."""
    drawn = f"{page}_drawn"
    if now[1] is not None and st.session_state.get(drawn) == now:
        st.session_state[drawn], st.session_state[f"{page}_tick"] = None, True
        st.rerun()
    st.session_state[drawn] = now

"""What a person looks at, kept in the address so that a colleague opens the same view: a batch, a task, or a region.

`step` is a batch's optimiser step, `item` a task's subject, `region` a polygon on the map. One of them at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

NAMES = ("step", "item", "region")
CLEARED = "map_cleared"
MOST_CORNERS = 60
DIGITS = 3
Corners = tuple[tuple[float, float], ...]


def clear() -> None:
    """Look at nothing in particular."""
    for name in NAMES:
        st.query_params.pop(name, None)


def clear_all() -> None:
    """Look at nothing in particular, and have the map let go of what is drawn on it; for a widget's callback."""
    clear()
    st.session_state[CLEARED] = st.session_state.get(CLEARED, 0) + 1
    st.rerun()  # the whole page, whichever fragment the widget is in


def drawn_here(chart: str) -> bool:
    """Whether the region that is looked at is the one that is drawn on this chart now."""
    selection = st.session_state.get(chart, {}).get("selection", {})
    corners = of_selection(selection)
    return bool(corners) and write(corners) == st.query_params.get("region")


def show_step(step: int) -> None:
    """Look at the batch of an optimiser step."""
    _show("step", str(step))


def show_item(subject: str) -> None:
    """Look at one task."""
    _show("item", subject)


def show_region(corners: Corners) -> None:
    """Look at a region of the map."""
    _show("region", write(corners))


def _show(name: str, value: str) -> None:
    """Write it into the address; one region after another is one change there, and not two."""
    for other in NAMES:
        if other != name:
            st.query_params.pop(other, None)
    st.query_params[name] = value


def step() -> int | None:
    """The step that is looked at; None where there is none, or the address holds nonsense."""
    said = st.query_params.get("step", "")
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 10 else None


def item() -> str | None:
    """The subject that is looked at."""
    return st.query_params.get("item") or None


def region() -> Corners:
    """The corners of the region that is looked at; empty where there is none, or the address holds nonsense."""
    return read(st.query_params.get("region", ""))


def write(corners: Corners) -> str:
    """A polygon as text: x,y;x,y;…, thinned to MOST_CORNERS."""
    every = max(1, math.ceil(len(corners) / MOST_CORNERS))
    return ";".join(f"{x:.{DIGITS}f},{y:.{DIGITS}f}" for x, y in corners[::every])


def read(text: str) -> Corners:
    """The polygon that a text holds; empty where it is none."""
    try:
        pairs = [tuple(map(float, pair.split(","))) for pair in text.split(";")]
    except ValueError:
        return ()
    whole = 3 <= len(pairs) <= 2 * MOST_CORNERS and all(len(p) == 2 and all(map(math.isfinite, p)) for p in pairs)
    return tuple((p[0], p[1]) for p in pairs) if whole else ()


def of_selection(selection: dict[str, Any]) -> Corners:
    """The first lasso or box of a chart's selection as a polygon; empty where there is none."""
    for lasso in selection.get("lasso") or ():
        return tuple(zip(lasso["x"], lasso["y"], strict=True))
    for box in selection.get("box") or ():
        (left, right), (low, high) = sorted(box["x"]), sorted(box["y"])
        return ((left, low), (right, low), (right, high), (left, high))
    return ()


def inside(x: Sequence[float], y: Sequence[float], corners: Corners) -> NDArray[np.bool_]:
    """Which points lie in a polygon, by the even-odd rule."""
    px, py = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    (left, low), (right, high) = np.min(corners, axis=0), np.max(corners, axis=0)
    near = np.flatnonzero((px >= left) & (px <= right) & (py >= low) & (py <= high))
    found = np.zeros(len(px), dtype=bool)
    found[near] = _inside(px[near], py[near], corners)
    return found


def _inside(px: NDArray[np.float64], py: NDArray[np.float64], corners: Corners) -> NDArray[np.bool_]:
    found = np.zeros(len(px), dtype=bool)
    for (ax, ay), (bx, by) in zip(corners, (*corners[1:], *corners[:1]), strict=True):
        crosses = (ay > py) != (by > py)
        if ay != by:
            found ^= crosses & (px < (bx - ax) * (py - ay) / (by - ay) + ax)
    return found

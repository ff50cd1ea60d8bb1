"""Figures, each built once for what it shows: an unchanged one is sent as it was, and not drawn again.

They are shared by all sessions: whoever draws one leaves it as it is.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from pages.ui import charts, focus, mapping, scatter
from pages.ui.focus import Corners
from pages.ui.mapping import Mask, View
from store.database import Reader

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


class Explored(NamedTuple):
    """A figure, the rows that it draws, and which of all rows pass the controls."""

    figure: Figure
    drawn: pd.DataFrame
    passes: Mask


def explored(
    store: Reader, run_id: str, rows: pd.DataFrame, view: View, outlines: tuple[Corners, ...], most: int
) -> Explored:
    """The map as its controls and the address ask for it, with `outlines` where no region is looked at.

    A region that was drawn on this very figure is shown by the figure itself: it stays as it is.
    """
    region = () if focus.drawn_here("map_plot") else focus.region()
    looked_at = (focus.step(), focus.item(), region)
    fresh = st.session_state.get(focus.CLEARED, 0)
    return _explored(rows, str(store.folder), run_id, rows.attrs["mark"], view, looked_at, outlines, most, fresh)


@st.cache_resource(max_entries=24, show_spinner=False)
def _explored(
    _rows: pd.DataFrame,
    folder: str,
    run_id: str,
    mark: tuple[Any, ...],
    view: View,
    looked_at: tuple[int | None, str | None, Corners],
    outlines: tuple[Corners, ...],
    most: int,
    fresh: int,
) -> Explored:
    passes, chosen = mapping.shown(_rows, view), mapping.chosen(_rows, *looked_at)
    drawn = mapping.drawn(_rows, passes, chosen, most)
    layers = scatter.layers(drawn, passes[drawn.index.to_numpy()], view.colour)
    region = looked_at[2]
    lit, outlined = (None, (region,)) if region else (_rows[chosen], outlines)
    figure = scatter.figure(layers, outlined, lit, svg=most == mapping.MOST_DRAWN_SVG)
    return Explored(figure.update_layout(meta=fresh), drawn, passes)


def lit(store: Reader, run_id: str, rows: pd.DataFrame, height: int, step: int) -> Figure:
    """The run's map in grey without WebGL, a step's batch lit on it; `rows` from `mapping.frame`, not none."""
    return _lit(rows, str(store.folder), run_id, rows.attrs["mark"], height, step)


@st.cache_resource(max_entries=64, show_spinner=False)
def _lit(_rows: pd.DataFrame, folder: str, run_id: str, mark: tuple[Any, ...], height: int, step: int) -> Figure:
    chosen = mapping.of_step(_rows, step)
    drawn = mapping.drawn(_rows, ~chosen, chosen, mapping.MOST_DRAWN_SVG)
    layers = scatter.layers(drawn, np.zeros(len(drawn), dtype=bool), "status")
    return scatter.figure(layers, (), _rows[chosen], svg=True).update_layout(height=height, showlegend=False)


class Still(NamedTuple):
    """A figure, and the rows that it draws."""

    figure: Figure
    drawn: pd.DataFrame


def still(
    store: Reader, run_id: str, rows: pd.DataFrame, height: int, window: int | None = None, *, large: bool = False
) -> Still:
    """The run's map without WebGL or controls, as far as it had come by a window, between the axes of the whole.

    `rows` are those of `mapping.frame`, not none; `large` is type that is read from the back of a room.
    """
    return _still(rows, str(store.folder), run_id, rows.attrs["mark"], height, window, large)


@st.cache_resource(max_entries=64, show_spinner=False)
def _still(
    _rows: pd.DataFrame,
    folder: str,
    run_id: str,
    mark: tuple[Any, ...],
    height: int,
    window: int | None,
    large: bool,
) -> Still:
    everything = np.ones(len(_rows), dtype=bool)
    whole = mapping.drawn(_rows, everything, ~everything, mapping.MOST_DRAWN_SVG)
    drawn = whole if window is None else whole[whole["since"] <= window]
    figure = scatter.figure(scatter.layers(drawn, np.ones(len(drawn), dtype=bool), "status"), svg=True)
    scatter.hold_axes(figure, whole)
    figure.update_layout(height=height, dragmode=False)
    return Still(charts.enlarged(figure) if large else figure, drawn)


def once(build: Callable[..., Figure], *shown: Any, large: bool = False, **settings: Any) -> Figure:
    """`build(*shown, **settings)`, a pure function that is called only for what it has not shown lately.

    `large` is type that is read from the back of a room.
    """
    content = hashlib.blake2b(pickle.dumps((shown, settings)), digest_size=16).hexdigest()
    return _once(build, shown, settings, f"{build.__module__}.{build.__qualname__}", content, large)


@st.cache_resource(max_entries=128, show_spinner=False)
def _once(
    _build: Callable[..., Figure],
    _shown: tuple[Any, ...],
    _settings: dict[str, Any],
    name: str,
    content: str,
    large: bool,
) -> Figure:
    figure = _build(*_shown, **_settings)
    return charts.enlarged(figure) if large else figure

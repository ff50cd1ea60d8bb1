"""Rows → figures. Pure; equal rows give the very same figure, so that a chart that did not change is not drawn again.

Colours are Okabe and Ito's, told apart by every kind of colour vision; lines also differ in dash or marker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BLUE, ORANGE, GREEN, VERMILION, GREY = "#1f83c6", "#e69f00", "#009e73", "#d55e00", "#8a8f98"
CONFIG = {"displaylogo": False, "displayModeBar": False}


class StepPoint(NamedTuple):
    """One optimiser step of the training chart."""

    step: int
    iteration: int
    loss: float
    heldout_loss: float | None
    grad_norm: float
    attractive: bool

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> StepPoint:
        """The point of a step's row."""
        return cls(**{name: row[name] for name in cls._fields})


class Line(NamedTuple):
    """One line of a chart over the pool's size."""

    name: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]


@lru_cache(maxsize=32)
def training(points: tuple[StepPoint, ...]) -> Figure:
    """Loss above, gradient norm below, over optimiser steps; windows apart, each one's attractive batch marked."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.09)
    x = [point.step for point in points]
    figure.add_scatter(
        x=x, y=[p.loss for p in points], name="loss", row=1, col=1, **_line(BLUE), hovertemplate="loss %{y:.3f}"
    )
    held = [point for point in points if point.heldout_loss is not None]
    figure.add_scatter(
        x=[p.step for p in held],
        y=[p.heldout_loss for p in held],
        name="held-out loss (at a window's end)",
        mode="lines+markers",
        marker={"symbol": "diamond", "size": 9, "color": ORANGE},
        line={"color": ORANGE, "dash": "dot", "width": 1.6},
        hovertemplate="held-out loss %{y:.3f}",
        row=1,
        col=1,
    )
    norms = [point.grad_norm for point in points]
    figure.add_scatter(
        x=x, y=norms, name="gradient norm", row=2, col=1, **_line(GREEN), hovertemplate="gradient norm %{y:.3f}"
    )
    chosen = [point for point in points if point.attractive]
    figure.add_scatter(
        x=[p.step for p in chosen],
        y=[p.grad_norm for p in chosen],
        name="attractive batch",
        mode="markers",
        marker={"symbol": "star", "size": 14, "color": VERMILION},
        hovertemplate="attractive batch of its window",
        row=2,
        col=1,
    )
    _mark_windows(figure, points)
    figure.update_yaxes(title_text="loss, nats per token", row=1, col=1)
    figure.update_yaxes(title_text="gradient norm", row=2, col=1)
    figure.update_xaxes(title_text="optimiser step", row=2, col=1, **whole(len(points)))
    return dress(figure, height=400)


def _mark_windows(figure: Figure, points: Sequence[StepPoint]) -> None:
    for before, after in pairwise(points):
        if after.iteration != before.iteration:
            edge = (before.step + after.step) / 2
            figure.add_vline(x=edge, line={"color": GREY, "dash": "dash", "width": 1}, row="all", col=1)
            figure.add_annotation(
                x=edge,
                y=1,
                yref="y2 domain",
                text=f"window {after.iteration}",
                showarrow=False,
                xanchor="left",
                xshift=4,
                yanchor="bottom",
                font={"size": 11, "color": GREY},
            )


@lru_cache(maxsize=32)
def lit_norms(points: tuple[StepPoint, ...], lit: tuple[int, ...]) -> Figure:
    """Gradient norm over steps, some batches lit."""
    from plotly.graph_objects import Figure

    figure = Figure()
    x = [point.step for point in points]
    figure.add_scatter(
        x=x,
        y=[p.grad_norm for p in points],
        name="gradient norm",
        mode="lines+markers",
        line={"color": GREY, "width": 1.5},
        marker={"size": 6, "color": GREY},
        hovertemplate="%{y:.3f}",
    )
    chosen = [point for point in points if point.step in set(lit)]
    figure.add_scatter(
        x=[p.step for p in chosen],
        y=[p.grad_norm for p in chosen],
        name="their batches",
        mode="markers",
        marker={"size": 11, "color": VERMILION, "symbol": "circle"},
        hovertemplate="%{y:.3f}",
    )
    figure.update_yaxes(title_text="gradient norm")
    figure.update_xaxes(title_text="optimiser step", **whole(len(points)))
    figure.update_layout(clickmode="event+select")
    return dress(figure, height=240)


@lru_cache(maxsize=32)
def over_pool(lines: tuple[Line, ...], unit: str, percent: bool = False) -> Figure:
    """A quantity against the size of the pool, a line for each threshold."""
    from plotly.graph_objects import Figure

    figure = Figure()
    for line, colour, dash in zip(lines, (VERMILION, BLUE), ("dash", "solid"), strict=False):
        figure.add_scatter(
            x=line.x,
            y=line.y,
            name=line.name,
            mode="lines+markers" if len(line.x) < 3 else "lines",
            line={"color": colour, "dash": dash, "width": 2.2},
            hovertemplate="%{y:.1%}" if percent else "%{y:,.4~g}",
        )
    figure.update_xaxes(title_text="pool size: seeds and kept instructions")
    figure.update_yaxes(title_text=unit, rangemode="tozero", tickformat=".0%" if percent else None)
    return dress(figure, height=300)


@lru_cache(maxsize=8)
def spend_by_day(days: tuple[str, ...], usd: tuple[float, ...]) -> Figure:
    """USD for each day, as bars."""
    from plotly.graph_objects import Figure

    figure = Figure()
    figure.add_bar(x=list(days), y=list(usd), marker_color=BLUE, hovertemplate="%{x}: $%{y:.4g}<extra></extra>")
    figure.update_xaxes(type="category", categoryorder="category ascending")
    figure.update_yaxes(title_text="USD a day", rangemode="tozero", tickprefix="$")
    return dress(figure, 260)


def _line(colour: str) -> dict[str, object]:
    return {
        "mode": "lines+markers",
        "line": {"color": colour, "width": 2},
        "marker": {"size": 5, "color": colour},
    }


def whole(count: int) -> dict[str, object]:
    """An axis of whole numbers: every one where they are few, so that none is written twice."""
    return {"tickformat": "d", **({"dtick": 1} if count <= 12 else {})}


def dress(figure: Figure, height: int) -> Figure:
    """The look that all charts share."""
    return figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        hovermode="x unified",
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        uirevision="kept",
    )

"""Rows → figures. Pure; equal rows give the very same figure, so that a chart that did not change is not drawn again.

Colours are Okabe and Ito's, told apart by every kind of colour vision; lines also differ in dash or marker.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BLUE, ORANGE, GREEN, VERMILION, GREY = "#1f83c6", "#e69f00", "#009e73", "#d55e00", "#8a8f98"


class Line(NamedTuple):
    """One line of a chart over the pool's size."""

    name: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]


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


def whole(count: int) -> dict[str, object]:
    """An axis of whole numbers: every one where they are few, so that none is written twice."""
    return {"tickformat": "d", **({"dtick": 1} if count <= 12 else {})}


def enlarged(figure: Figure) -> Figure:
    """The same figure in type that is read from the back of a room; the one given stays as it is."""
    from plotly.graph_objects import Figure

    made = Figure(figure)
    for update in (made.update_xaxes, made.update_yaxes):
        update(title_font_size=17, tickfont_size=15)
    made.update_annotations(font_size=15)
    return made.update_layout(legend_font_size=16, hoverlabel_font_size=16)


def dress(figure: Figure, height: int) -> Figure:
    """The look that all charts share."""
    return figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        hovermode="x unified",
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        uirevision="kept",
    )

"""Credit, acceptance and the filter's quality → figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from pages.ui.charts import BLUE, GREY, VERMILION, dress, whole
from sedi_engine.curation.filter_quality import Point
from sedi_engine.curation.intervals import Share

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Rows = Sequence[Mapping[str, Any]]


def credit(rows: Rows, seed_id: str) -> Figure:
    """Credit of a seed after each window, with 0, the average, as a line."""
    from plotly.graph_objects import Figure

    figure = Figure()
    figure.add_scatter(
        x=[row["iteration"] for row in rows],
        y=[row["credit"] for row in rows],
        customdata=[row["calls"] for row in rows],
        name=escape(seed_id),
        mode="lines+markers",
        line={"color": BLUE, "width": 2.2},
        hovertemplate="%{y:+.3f} from %{customdata} calls<extra></extra>",
    )
    figure.add_hline(y=0, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text="window", **whole(len(rows)))
    figure.update_yaxes(title_text="credit, shrunken mean z")
    return dress(figure, 260)


def acceptance(names: Sequence[str], shares: Sequence[Share]) -> Figure:
    """The share accepted under each name with its 95 % interval; one of nothing is left out."""
    from plotly.graph_objects import Figure

    told = [(name, one) for name, one in zip(names, shares, strict=True) if one.of]
    figure = Figure()
    figure.add_scatter(
        x=[one.value for _, one in told],
        y=[escape(name) for name, _ in told],
        error_x={
            "type": "data",
            "array": [one.high - one.value for _, one in told],
            "arrayminus": [one.value - one.low for _, one in told],
            "thickness": 2,
            "width": 8,
        },
        customdata=[(one.hits, one.of, one.low, one.high) for _, one in told],
        mode="markers",
        marker={"size": 11, "color": BLUE},
        hovertemplate="%{customdata[0]} of %{customdata[1]}: %{x:.0%} (%{customdata[2]:.0%} to %{customdata[3]:.0%})"
        "<extra></extra>",
    )
    figure.update_xaxes(title_text="accepted, with the 95 % interval", range=[-0.02, 1.02], tickformat=".0%")
    figure.update_yaxes(autorange="reversed")
    return dress(figure, 100 + 50 * len(told)).update_layout(hovermode="closest", showlegend=False)


def disagreement(rows: Rows) -> Figure:
    """The share of a seed's children that people dispute, against its credit; larger where more were decided."""
    from plotly.graph_objects import Figure

    figure = Figure()
    figure.add_scatter(
        x=[row["credit"] for row in rows],
        y=[row["share"] for row in rows],
        text=[escape(row["seed_id"]) for row in rows],
        customdata=[(row["disagreed"], row["decided"]) for row in rows],
        mode="markers",
        marker={"size": [6 + 2 * min(row["decided"], 10) ** 0.5 for row in rows], "color": BLUE, "opacity": 0.75},
        hovertemplate="%{text}: credit %{x:+.3f}, %{customdata[0]} of %{customdata[1]} disputed<extra></extra>",
    )
    figure.add_vline(x=0, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text="credit, shrunken mean z")
    figure.update_yaxes(title_text="children disputed", range=[-0.03, 1.03], tickformat=".0%")
    return dress(figure, 300).update_layout(hovermode="closest")


def filter_quality(points: Sequence[Point], own: float) -> Figure:
    """Precision and recall over τ with their 95 % intervals as bands; the run's own τ as a line."""
    from plotly.graph_objects import Figure

    figure = Figure()
    for name, colour, dash in (("precision", BLUE, "solid"), ("recall", VERMILION, "dash")):
        told = [(point.threshold, getattr(point, name)) for point in points if getattr(point, name).of]
        x = [threshold for threshold, _ in told]
        figure.add_scatter(
            x=[*x, *reversed(x)],
            y=[*(one.high for _, one in told), *(one.low for _, one in reversed(told))],
            fill="toself",
            fillcolor=colour,
            opacity=0.15,
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
        )
        figure.add_scatter(
            x=x,
            y=[one.value for _, one in told],
            customdata=[(one.hits, one.of, one.low, one.high) for _, one in told],
            name=name,
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2.2, "shape": "hv"},
            hovertemplate="%{customdata[0]} of %{customdata[1]}: %{y:.0%} (%{customdata[2]:.0%} to "
            "%{customdata[3]:.0%})",
        )
    figure.add_vline(x=own, line={"color": GREY, "width": 1.5, "dash": "dot"}, annotation_text=f"the run’s τ {own:g}")
    figure.update_xaxes(title_text="threshold τ: drop where max ROUGE-L is above it", range=[0.495, 1.005])
    figure.update_yaxes(title_text="share of the labelled", range=[-0.02, 1.05], tickformat=".0%")
    return dress(figure, 340)

"""Batches → the figures of the Batches screen. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pages.ui.charts import BLUE, GREY, ORANGE, VERMILION, dress

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def among_random(at_random: Mapping[str, Any], batch: Mapping[str, Any], names: Mapping[str, str]) -> Figure:
    """A histogram of each measure over the random batches, and this batch's value as a line."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=len(names), subplot_titles=list(names.values()), horizontal_spacing=0.04)
    for column, name in enumerate(names, start=1):
        figure.add_histogram(
            x=list(at_random[name]), marker_color=GREY, name="at random", showlegend=column == 1, row=1, col=column,
            hovertemplate="%{x}: %{y} of the random batches<extra></extra>", nbinsx=18,
        )  # fmt: skip
        figure.add_vline(x=batch[name], line={"color": VERMILION, "width": 2.5}, row=1, col=column)
    figure.update_yaxes(showticklabels=False)
    figure.update_annotations(font_size=12)
    return dress(figure, height=240).update_layout(hovermode="closest", showlegend=False, margin={"t": 30})


def ranking(window: Sequence[Mapping[str, Any]], step: int) -> Figure:
    """Gradient norm of each batch of a window, raw and less the trend; this batch and the attractive one marked."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    x = [f"step {one['step']}{' ★' if one['attractive'] else ''}" for one in window]
    colours = [VERMILION if one["step"] == step else BLUE for one in window]
    for row, (field, title) in enumerate((("grad_norm", "raw"), ("grad_norm_detrended", "less the trend")), start=1):
        figure.add_bar(
            x=x, y=[one[field] for one in window], marker_color=colours, hovertemplate="%{y:.4g}<extra></extra>",
            row=row, col=1,
        )  # fmt: skip
        figure.update_yaxes(title_text=title, row=row, col=1)
    return dress(figure, height=320).update_layout(showlegend=False, hovermode="closest")


def ranked(window: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What `ranking` draws, a row a batch."""
    fields = ("iteration", "step", "grad_norm", "grad_norm_detrended", "attractive", "loss", "response_tokens")
    return [{field: one[field] for field in fields} for one in window]


def wins(counts: Mapping[int, int]) -> Figure:
    """How often each position of a window held the attractive batch."""
    from plotly.graph_objects import Figure

    figure = Figure()
    figure.add_bar(
        x=list(counts), y=list(counts.values()), marker_color=ORANGE,
        hovertemplate="position %{x}: attractive %{y} times<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title_text="position in its window", dtick=1)
    figure.update_yaxes(
        title_text="windows won", rangemode="tozero", dtick=1 if max(counts.values(), default=0) < 10 else None
    )
    return dress(figure, height=320).update_layout(hovermode="closest")

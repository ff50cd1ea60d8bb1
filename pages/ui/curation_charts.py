"""Credit, acceptance and the filter's quality → figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from pages.ui.charts import BLUE, GREY, dress, whole

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

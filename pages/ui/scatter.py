"""Points → the map's figure. Pure. Texts are escaped here: Plotly would read them as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from pages.ui.charts import BLUE, GREEN, GREY, ORANGE, VERMILION

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

HOVER_LENGTH = 80
MOST_CATEGORIES = 12
PINK, SKY, YELLOW = "#cc79a7", "#56b4e9", "#c9b400"
COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PINK, SKY, YELLOW)
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star", "triangle-down")
LOOKS = {
    "kept": (BLUE, "circle", 7),
    "dropped": (GREY, "x-thin-open", 6),
    "rejected": (VERMILION, "x", 7),
    "rescued": (GREEN, "square", 7),
    "seed": (ORANGE, "diamond", 9),
    "former seed": (ORANGE, "diamond-open", 9),
    "reference": (PINK, "triangle-up", 6),
    "kept at both": (BLUE, "circle", 7),
    "appears": (GREEN, "square", 8),
    "disappears": (VERMILION, "x", 8),
    "dropped at both": (GREY, "x-thin-open", 6),
}
CONTEXT = "outside the filter"
CONFIG = {
    "scrollZoom": True,
    "plotGlPixelRatio": 1.5,  # Plotly's own 2 looks the same, and is nearly twice the pixels at every lasso and zoom
    "displayModeBar": True,
    "modeBarButtonsToRemove": ["autoScale2d", "zoomIn2d", "zoomOut2d"],
}


class Layer(NamedTuple):
    """Points of one legend entry: rows of the frame, and how they look; `values` colour them by a number."""

    name: str
    rows: pd.DataFrame
    colour: str
    symbol: str
    size: float
    values: Sequence[float] | None = None


def layers(frame: pd.DataFrame, shown: np.ndarray, colour: str) -> list[Layer]:
    """The frame's rows by what colours them: grey context first, seeds last, on top."""
    made = []
    if not shown.all():
        made.append(Layer(CONTEXT, frame[~shown], "rgba(138,143,152,0.35)", "circle", 4))
    rows = frame[shown]
    if pd.api.types.is_float_dtype(frame[colour]):
        return made + _by_number(rows, colour)
    return made + _by_category(rows, rows[colour].astype(object).where(rows[colour].notna(), "none"))


def _by_number(rows: pd.DataFrame, colour: str) -> list[Layer]:
    known = np.isfinite(rows[colour].astype(float))
    made = [Layer(f"no {_words(colour)}", rows[~known], GREY, "circle-open", 5)] if not known.all() else []
    if known.any():
        made.append(Layer(_words(colour), rows[known], BLUE, "circle", 7, rows[colour][known].tolist()))
    return made


def _by_category(rows: pd.DataFrame, names: pd.Series) -> list[Layer]:
    counts = names.value_counts()
    ranked = sorted(counts.index, key=lambda name: (name == "none", -counts[name], str(name)))
    named = [name for name in ranked if name != "none"][:MOST_CATEGORIES]
    made = []
    if (rest := ~names.isin(named)).any():
        only_none = set(names[rest]) <= {"none"}
        made.append(Layer("none" if only_none else "all others", rows[rest], GREY, "circle-open", 5))
    for place, name in enumerate(named):
        plain = (COLOURS[place % len(COLOURS)], SYMBOLS[place // len(COLOURS) % len(SYMBOLS)], 7)
        made.append(Layer(str(name), rows[names == name], *LOOKS.get(str(name), plain)))
    return sorted(made, key=lambda layer: "seed" in layer.name)


def figure(
    drawn: Sequence[Layer],
    outlines: Sequence[tuple[tuple[float, float], ...]] = (),
    lit: pd.DataFrame | None = None,
    *,
    svg: bool = False,
) -> Figure:
    """The map: a trace a layer, `lit` rows ringed on top, regions outlined. `customdata` is the row's place.

    `svg` draws without WebGL, for browsers that have none.
    """
    from plotly.graph_objects import Figure

    made = Figure()
    for layer in drawn:
        marker: dict[str, object] = {"size": layer.size, "symbol": layer.symbol, "color": layer.colour, "opacity": 0.85}
        if layer.values is not None:
            bar = {"title": {"text": layer.name, "side": "right"}, "thickness": 12, "len": 0.8}
            marker |= {"color": list(layer.values), "colorscale": "Cividis", "showscale": True, "colorbar": bar}
        _add(made, layer.rows, svg, name=f"{escape(layer.name)} ({len(layer.rows):,})", marker=marker)
    if lit is not None and len(lit):
        ring = {"size": 14, "symbol": "circle-open", "color": VERMILION, "line": {"width": 2}}
        _add(made, lit, svg, name=f"selected ({len(lit):,})", marker=ring)
    for corners in outlines:
        x, y = zip(*corners, corners[0], strict=True)
        made.add_scatter(
            x=x, y=y, mode="lines", line={"color": VERMILION, "width": 1.5, "dash": "dot"}, showlegend=False,
            hoverinfo="skip",
        )  # fmt: skip
    bare = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": "", "title": None}
    made.update_xaxes(**bare)
    made.update_yaxes(**bare, scaleanchor="x")
    return made.update_layout(
        height=620,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        legend={"orientation": "h", "x": 0, "y": -0.01, "yanchor": "top", "itemsizing": "constant"},
        dragmode="pan",  # in the modes that select, Streamlit does not take a click on a point
        hovermode="closest",
        uirevision="map",
    )


def hold_axes(made: Figure, rows: pd.DataFrame) -> None:
    """The axes of all these rows, whichever of them are drawn."""
    for update, values in ((made.update_xaxes, rows["x"]), (made.update_yaxes, rows["y"])):
        margin = 0.04 * float(values.max() - values.min()) or 1.0
        update(range=[float(values.min()) - margin, float(values.max()) + margin])


def _add(made: Figure, rows: pd.DataFrame, svg: bool, **look: object) -> None:
    add = made.add_scatter if svg else made.add_scattergl
    add(
        x=rows["x"].to_numpy(np.float32),
        y=rows["y"].to_numpy(np.float32),
        mode="markers",
        customdata=rows.index.to_numpy(np.int32),
        text=rows["hover"].to_numpy(dtype=str),  # an array is taken over whole, a list text by text
        hovertemplate="%{text}<extra></extra>",
        **look,
    )


def hover(text: str) -> str:
    """The beginning of a text on one line, with nothing in it that is markup."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text[: 2 * HOVER_LENGTH]).split())
    shown = line if len(line) <= HOVER_LENGTH else f"{line[: HOVER_LENGTH - 1]}…"
    return escape(shown, quote=False)  # Plotly shows &quot; as it stands


def _words(name: str) -> str:
    return {"max_rouge_l": "max ROUGE-L"}.get(name, name.replace("_", " "))

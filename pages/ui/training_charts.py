"""Steps of runs → the figures of the Training screen. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pages.ui.charts import GREEN, GREY, ORANGE, VERMILION, dress, whole
from pages.ui.scatter import COLOURS
from sedi_engine.batch_study import length_residual

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Rows = Sequence[Mapping[str, Any]]
NORMS = {
    "raw": "raw",
    "smoothed": "smoothed",
    "detrended": "less trend",
    "residual": "less length",
    "el2n": "EL2N",
    "grand": "GraNd",
    "ifd": "IFD",
}
OF_EXAMPLES = ("el2n", "grand", "ifd")
SMOOTHING = 0.6
MACHINE = {
    "lr": "learning rate",
    "tokens_per_s": "tokens a second",
    "memory_mb": "peak memory, MB",
    "device_busy": "device at work",
}
DASHES = ("solid", "dash", "dot", "dashdot")


def norm_values(rows: Rows, form: str) -> list[float | None]:
    """The gradient norms of steps in one of NORMS, or a signal of their examples, in the mean.

    None where there is none, or it is no number.
    """
    if form in OF_EXAMPLES:
        return [_finite(row[form]) for row in rows]
    raw = [row["grad_norm"] for row in rows]
    if form == "detrended":
        return [_finite(row["grad_norm_detrended"]) for row in rows]
    if form == "residual":
        return [_finite(one) for one in length_residual(raw, [row["response_tokens"] for row in rows])]
    return _smoothed(raw) if form == "smoothed" else [_finite(one) for one in raw]


def _smoothed(values: Sequence[float]) -> list[float | None]:
    """Exponential moving average, started at the first value."""
    made: list[float | None] = []
    last: float | None = None
    for value in map(_finite, values):
        if value is not None:
            last = value if last is None else SMOOTHING * last + (1 - SMOOTHING) * value
        made.append(None if value is None else last)
    return made


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def curves(runs: Mapping[str, Rows], form: str, log: bool, lit: int | None, height: int = 520) -> Figure:
    """Loss above, gradient norm below, a colour and a dash a run; superseded steps in grey; the lit step marked."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.07)
    several = len(runs) > 1
    for place, (run_id, rows) in enumerate(runs.items()):
        colour, dash = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
        stands, old = [r for r in rows if not r["superseded"]], [r for r in rows if r["superseded"]]
        label = f"{run_id}: " if several else ""
        norms = norm_values(stands, form)
        _line(figure, 1, stands, [_finite(r["loss"]) for r in stands], f"{label}loss", colour, dash)
        _held_out(figure, stands, f"{label}held-out loss", ORANGE if not several else colour)
        _line(figure, 2, stands, norms, f"{label}{_what(form)}", colour if several else GREEN, dash)
        _stars(figure, stands, norms, "attractive batch of its window", show=not place)
        _superseded(figure, old, form)
        if not place:
            _windows(figure, stands)
    if lit is not None:
        figure.add_vline(x=lit, line={"color": VERMILION, "width": 1.5, "dash": "dot"}, row="all", col=1)
    kind = "log" if log else "linear"
    figure.update_yaxes(title_text="loss, nats per token", type=kind, row=1, col=1)
    signed = form in ("detrended", "residual")
    figure.update_yaxes(title_text=_what(form), type="linear" if signed else kind, row=2, col=1)
    figure.update_xaxes(title_text="optimiser step", row=2, col=1, **whole(max(map(len, runs.values()), default=0)))
    figure.update_layout(clickmode="event+select")
    return dress(figure, height)


def _what(form: str) -> str:
    if form in OF_EXAMPLES:
        return f"mean {NORMS[form]} of the batch"
    return "gradient norm" if form == "raw" else f"gradient norm, {NORMS[form]}"


def _line(
    figure: Figure, row: int, rows: Rows, values: Sequence[float | None], name: str, colour: str, dash: str
) -> None:
    figure.add_scatter(
        x=[one["step"] for one in rows],
        y=list(values),
        customdata=[one["run_id"] for one in rows],
        name=name,
        mode="lines+markers",
        line={"color": colour, "width": 2, "dash": dash},
        marker={"size": 6, "color": colour},
        hovertemplate="%{y:.4g}",
        row=row,
        col=1,
    )


def _held_out(figure: Figure, rows: Rows, name: str, colour: str) -> None:
    held = [one for one in rows if _finite(one["heldout_loss"]) is not None]
    figure.add_scatter(
        x=[one["step"] for one in held],
        y=[one["heldout_loss"] for one in held],
        customdata=[one["run_id"] for one in held],
        name=name,
        mode="lines+markers",
        marker={"symbol": "diamond", "size": 9, "color": colour},
        line={"color": colour, "dash": "dot", "width": 1.6},
        hovertemplate="%{y:.4g}",
        row=1,
        col=1,
    )


def _stars(figure: Figure, rows: Rows, values: Sequence[float | None], name: str, *, show: bool) -> None:
    chosen = [(one, value) for one, value in zip(rows, values, strict=True) if one["attractive"]]
    figure.add_scatter(
        x=[one["step"] for one, _ in chosen],
        y=[value for _, value in chosen],
        customdata=[one["run_id"] for one, _ in chosen],
        name=name,
        legendgroup=name,
        showlegend=show,
        mode="markers",
        marker={"symbol": "star", "size": 14, "color": VERMILION},
        hovertemplate=name,
        row=2,
        col=1,
    )


def _superseded(figure: Figure, rows: Rows, form: str) -> None:
    """Steps of a window that was trained again: shown, and apart."""
    if not rows:
        return
    pairs = ((1, [_finite(one["loss"]) for one in rows]), (2, norm_values(rows, "raw")))
    for row, values in pairs if form in ("raw", "smoothed") else pairs[:1]:
        figure.add_scatter(
            x=[one["step"] for one in rows],
            y=list(values),
            name="superseded, trained again after a stop",
            legendgroup="superseded",
            showlegend=row == 1,
            mode="markers",
            marker={"size": 5, "color": GREY, "symbol": "circle-open"},
            hovertemplate="%{y:.4g}",
            row=row,
            col=1,
        )


def _windows(figure: Figure, rows: Rows) -> None:
    for before, after in pairwise(rows):
        if before["iteration"] != after["iteration"]:
            edge = (before["step"] + after["step"]) / 2
            figure.add_vline(x=edge, line={"color": GREY, "dash": "dash", "width": 1}, row="all", col=1)
            figure.add_annotation(
                x=edge,
                y=1,
                yref="y2 domain",
                text=f"window {after['iteration']}",
                showarrow=False,
                xanchor="left",
                xshift=4,
                yanchor="bottom",
                font={"size": 11, "color": GREY},
            )


def lit_norms(rows: Rows, lit: Collection[int]) -> Figure:
    """Gradient norm over the steps that stand, some batches lit."""
    from plotly.graph_objects import Figure

    figure = Figure()
    stands = [one for one in rows if not one["superseded"]]
    chosen = [one for one in stands if one["step"] in lit]
    figure.add_scatter(
        x=[one["step"] for one in stands],
        y=norm_values(stands, "raw"),
        name="gradient norm",
        mode="lines+markers",
        line={"color": GREY, "width": 1.5},
        marker={"size": 6, "color": GREY},
        hovertemplate="%{y:.3f}",
    )
    figure.add_scatter(
        x=[one["step"] for one in chosen],
        y=norm_values(chosen, "raw"),
        name="their batches",
        mode="markers",
        marker={"size": 11, "color": VERMILION},
        hovertemplate="%{y:.3f}",
    )
    figure.update_yaxes(title_text="gradient norm")
    figure.update_xaxes(title_text="optimiser step", **whole(len(stands)))
    figure.update_layout(clickmode="event+select")
    return dress(figure, height=240)


def machine(rows: Rows) -> Figure:
    """Learning rate, speed, memory and work of the device over the steps that stand, side by side."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=len(MACHINE), horizontal_spacing=0.07)
    stands = [one for one in rows if not one["superseded"]]
    for column, (field, title) in enumerate(MACHINE.items(), start=1):
        figure.add_scatter(
            x=[one["step"] for one in stands],
            y=[one[field] for one in stands],
            name=title,
            mode="lines+markers",
            line={"color": COLOURS[column - 1], "width": 2},
            marker={"size": 4},
            hovertemplate="%{y:.4~g}",
            row=1,
            col=column,
        )
        figure.update_yaxes(title_text=title, rangemode="tozero", row=1, col=column)
        figure.update_xaxes(title_text="step", row=1, col=column, **whole(len(stands)))
    figure.update_yaxes(tickformat=".0%", range=[0, 1], row=1, col=len(MACHINE))
    return dress(figure, height=240).update_layout(showlegend=False)

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

    from pages.ui.playing import Moment

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
MOST_RINGED = 40  # more rings hide the curve that they are on
RUG_HEIGHT = 0.07
ROOMY = 400  # pixels from which on there is room for an axis' unit and for whole words
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


def curves(
    runs: Mapping[str, Rows],
    form: str,
    log: bool,
    lit: Collection[int],
    height: int = 520,
    moment: Moment | None = None,
) -> Figure:
    """Loss above, gradient norm below, a colour and a dash a run; superseded steps in grey; the lit steps marked.

    At a `moment` of the run only what was reached by then is drawn, between the axes of the whole.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.07)
    several = len(runs) > 1
    for place, (run_id, rows) in enumerate(runs.items()):
        colour, dash = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
        stands, old = [r for r in rows if not r["superseded"]], [r for r in rows if r["superseded"]]
        label = f"{run_id}: " if several else ""
        norms = norm_values(stands, form)
        if moment is not None:
            norms = [norm for one, norm in zip(stands, norms, strict=True) if moment.reached(one)]
            stands, old = [r for r in stands if moment.reached(r)], [r for r in old if moment.reached(r)]
        _line(figure, 1, stands, [_finite(r["loss"]) for r in stands], f"{label}loss", colour, dash)
        _held_out(figure, stands, f"{label}held-out loss", ORANGE if not several else colour)
        _line(figure, 2, stands, norms, f"{label}{_what(form)}", colour if several else GREEN, dash)
        _stars(figure, stands, norms, "attractive batch of its window", show=not place)
        _superseded(figure, old, form)
        if not place:
            _windows(figure, stands, "window " if height >= ROOMY else "w")
    _lit(figure, next(iter(runs.values())), form, lit)
    kind = "log" if log else "linear"
    unit = ", nats per token" if height >= ROOMY else ""
    figure.update_yaxes(title_text=f"loss{unit}", type=kind, row=1, col=1)
    signed = form in ("detrended", "residual")
    figure.update_yaxes(title_text=_what(form), type="linear" if signed else kind, row=2, col=1)
    figure.update_xaxes(title_text="optimiser step", row=2, col=1, **whole(max(map(len, runs.values()), default=0)))
    if moment is not None and not moment.whole:
        _hold_axes(figure, runs, form, log)
    figure.update_layout(clickmode="event+select")
    return dress(figure, height)


def _lit(figure: Figure, rows: Rows, form: str, lit: Collection[int]) -> None:
    """Steps that are looked at: a single one with a line through both curves, a few ringed, many as a rug below.

    A step that the run does not have is nowhere: the axis does not reach for it.
    """
    lit = {row["step"] for row in rows} & set(lit)
    if len(lit) == 1:
        figure.add_vline(x=min(lit), line={"color": VERMILION, "width": 1.5, "dash": "dot"}, row="all", col=1)
    elif len(lit) <= MOST_RINGED:
        _ringed(figure, rows, form, lit)
    else:
        rug = "".join(f"M{step},0V{RUG_HEIGHT}" for step in sorted(lit))
        for axis in ("", "2"):
            figure.add_shape(type="path", path=rug, xref=f"x{axis}", yref=f"y{axis} domain", layer="above",
                             line={"color": VERMILION, "width": 1.5})  # fmt: skip


def _ringed(figure: Figure, rows: Rows, form: str, lit: Collection[int]) -> None:
    stands = [one for one in rows if not one["superseded"]]
    pairs = ((1, [_finite(one["loss"]) for one in stands]), (2, norm_values(stands, form)))
    for row, values in pairs if lit else ():
        ringed = [(one["step"], value) for one, value in zip(stands, values, strict=True) if one["step"] in lit]
        figure.add_scatter(
            x=[step for step, _ in ringed],
            y=[value for _, value in ringed],
            name="looked at",
            showlegend=False,
            mode="markers",
            marker={"size": 13, "symbol": "circle-open", "color": VERMILION, "line": {"width": 2}},
            hoverinfo="skip",
            row=row,
            col=1,
        )


def _hold_axes(figure: Figure, runs: Mapping[str, Rows], form: str, log: bool) -> None:
    """The axes of the whole runs, so that a curve that draws itself does not move."""
    stands = [[row for row in rows if not row["superseded"]] for rows in runs.values()]
    losses = [row[field] for rows in stands for row in rows for field in ("loss", "heldout_loss")]
    norms = [value for rows in stands for value in norm_values(rows, form)]
    signed = form in ("detrended", "residual")
    last = max((row["step"] for rows in stands for row in rows), default=1)
    figure.update_xaxes(range=[0.5, last + 0.5])
    figure.update_yaxes(range=_span(losses, log), row=1, col=1)
    figure.update_yaxes(range=_span(norms, log and not signed), row=2, col=1)


def _span(values: Sequence[float | None], log: bool) -> list[float] | None:
    """From the least to the most of them with a margin, as Plotly takes it; None where there are none."""
    known = [value for value in map(_finite, values) if value is not None and (value > 0 or not log)]
    if not known:
        return None
    low, high = (math.log10(one) if log else one for one in (min(known), max(known)))
    margin = 0.08 * (high - low) or 0.5
    return [low - margin, high + margin]


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


def _windows(figure: Figure, rows: Rows, word: str) -> None:
    for before, after in pairwise(rows):
        if before["iteration"] != after["iteration"]:
            edge = (before["step"] + after["step"]) / 2
            figure.add_vline(x=edge, line={"color": GREY, "dash": "dash", "width": 1}, row="all", col=1)
            figure.add_annotation(
                x=edge,
                y=1,
                yref="y2 domain",
                text=f"{word}{after['iteration']}",
                showarrow=False,
                xanchor="left",
                xshift=4,
                yanchor="bottom",
                font={"size": 11, "color": GREY},
            )


def measured(rows: Rows) -> list[str]:
    """Which fields of MACHINE some step holds: not every device tells everything."""
    return [field for field in MACHINE if any(row[field] is not None for row in rows)]


def machine(rows: Rows, fields: Sequence[str]) -> Figure:
    """Learning rate, speed, memory and work of the device, `fields` of MACHINE, over the steps that stand."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=len(fields), horizontal_spacing=0.1)
    stands = [one for one in rows if not one["superseded"]]
    for column, field in enumerate(fields, start=1):
        title = MACHINE[field]
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
        if field == "device_busy":
            figure.update_yaxes(tickformat=".0%", range=[0, 1], row=1, col=column)
    return dress(figure, height=240).update_layout(showlegend=False)

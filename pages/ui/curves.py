"""The filtering inefficiency, drawn: keep rate and cost per kept against pool size, at τ 0.70 and at the run's."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import streamlit as st

from pages.ui import charts, pictures, saving
from sedi_engine import replay
from sedi_engine.replay import CurvePoint, Replay, of_run, pool_curve
from store import views
from store.database import Reader

BASELINE = 0.70
CANDIDATES_A_POINT = 25  # fewer make a keep rate that jumps
FEWEST_CANDIDATES = 2 * CANDIDATES_A_POINT
Curves = Mapping[float, Sequence[CurvePoint]]


class Drawn(NamedTuple):
    """What the charts show: how many candidates of a log, what they say in a sentence, and a curve a threshold."""

    candidates: int
    sentence: str
    curves: Curves


def pool_charts(store: Reader, run_id: str, alive: bool, large: bool = False) -> None:
    """Both charts of a run with what they show in a sentence; a line of text while there is too little to draw.

    `large` is for people who look on: larger type, and nothing to press.
    """
    st.subheader("What the filter's threshold costs as the pool grows", anchor=False)
    judged = store.read(views.judged_calls, run_id)
    if not judged:
        st.caption(f"Drawn from {FEWEST_CANDIDATES} judged candidates on.")
        return
    # While the run goes on, again only after a tenth more: the replay costs time in proportion to the log.
    mark = round(math.log(judged, 1.1)) if alive else judged
    found = _replayed(store, str(store.folder), run_id, alive, mark)
    if found.candidates < FEWEST_CANDIDATES:
        st.caption(f"Drawn from {FEWEST_CANDIDATES} judged candidates on; {found.candidates} so far.")
        return
    st.text(found.sentence)
    paid = any(point.usd_per_kept for points in found.curves.values() for point in points)
    left, right = st.columns(2)
    with left:
        _chart(found.curves, "keep_rate", "kept of parsed, stretch by stretch", "overview_keep_rate", large)
    with right:
        field = "usd_per_kept" if paid else "completion_tokens_per_kept"
        unit = "$ per kept" if paid else "completion tokens per kept ($0 here)"
        _chart(found.curves, field, unit, "overview_cost_per_kept", large)


@st.cache_resource(max_entries=32, show_spinner="Replaying the filter …")
def _replayed(_store: Reader, folder: str, run_id: str, alive: bool, mark: int) -> Drawn:
    """The log at τ 0.70 and at the run's own threshold; computed once for each mark, for all sessions."""
    baseline, own = of_run(_store, run_id, BASELINE, None)
    candidates = sum(call.judged for call in own.calls)
    points = max(1, min(40, candidates // CANDIDATES_A_POINT))
    curves = {one.threshold: pool_curve(one, points) for one in (baseline, own)}
    return Drawn(candidates, _sentence(baseline, own), curves)


def _sentence(baseline: Replay, own: Replay) -> str:
    found = replay.saving(own, baseline)
    kept = f"Kept of the same candidates: {own.kept:,} at τ {own.threshold:g}, {baseline.kept:,} at τ {BASELINE:.2f}"
    if found.share is None or own.threshold == BASELINE:
        return f"{kept}."
    measure = "money" if found.measure == "cost_usd" else "completion tokens"
    less = f"{abs(found.share):.1%} {'less' if found.share >= 0 else 'more'} {measure}"
    bound = "" if found.exact else " (an upper bound)"
    return f"{kept}: {less} for the same {found.kept:,} kept{bound}. Measured on this run, while S does not change."


def _chart(curves: Curves, field: str, unit: str, key: str, large: bool) -> None:
    lines = tuple(
        charts.Line(
            f"τ {threshold:.2f}" + (" (Self-Instruct’s)" if threshold == BASELINE else " (this run’s)"),
            tuple(point.pool for point in points),
            tuple(getattr(point, field) for point in points),
        )
        for threshold, points in curves.items()
    )
    figure = pictures.once(charts.over_pool, lines, unit, percent=field == "keep_rate", large=large)
    saving.chart(figure, key, f"{unit} against pool size", None if large else lambda: _points(curves))


def _points(curves: Curves) -> list[dict[str, float | None]]:
    return [
        {"threshold": threshold, **dataclasses.asdict(point)}
        for threshold, points in curves.items()
        for point in points
    ]

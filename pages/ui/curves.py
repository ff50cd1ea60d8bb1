"""The filtering inefficiency, drawn: keep rate and cost per kept against pool size, at τ 0.70 and at the run's."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import streamlit as st

from pages.ui import charts, saving
from sedi_engine import replay
from sedi_engine.replay import CurvePoint, Replay, of_run, pool_curve
from store import views
from store.database import Reader

BASELINE = 0.70
CANDIDATES_A_POINT = 25  # fewer make a keep rate that jumps
FEWEST_CANDIDATES = 2 * CANDIDATES_A_POINT
Curves = Mapping[float, Sequence[CurvePoint]]


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
    baseline, own = _replayed(store, str(store.folder), run_id, alive, mark)
    candidates = sum(call.judged for call in own.calls)
    if candidates < FEWEST_CANDIDATES:
        st.caption(f"Drawn from {FEWEST_CANDIDATES} judged candidates on; {candidates} so far.")
        return
    st.text(_sentence(baseline, own))
    points = min(40, candidates // CANDIDATES_A_POINT)
    curves = {one.threshold: pool_curve(one, points) for one in (baseline, own)}
    paid = any(point.usd_per_kept for points in curves.values() for point in points)
    left, right = st.columns(2)
    with left:
        _chart(curves, "keep_rate", "kept of parsed, stretch by stretch", "overview_keep_rate", large)
    with right:
        field = "usd_per_kept" if paid else "completion_tokens_per_kept"
        unit = "$ per kept" if paid else "completion tokens per kept ($0 here)"
        _chart(curves, field, unit, "overview_cost_per_kept", large)


@st.cache_resource(max_entries=32, show_spinner="Replaying the filter …")
def _replayed(_store: Reader, folder: str, run_id: str, alive: bool, mark: int) -> list[Replay]:
    """The log at τ 0.70 and at the run's own threshold; computed once for each mark, for all sessions."""
    return of_run(_store, run_id, BASELINE, None)


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
    figure = charts.over_pool(lines, unit, percent=field == "keep_rate")
    alt = f"{unit} against pool size"
    if large:
        saving.chart(charts.enlarged(figure), key, alt)
    else:
        saving.chart(figure, key, alt, lambda: _points(curves))


def _points(curves: Curves) -> list[dict[str, float | None]]:
    return [
        {"threshold": threshold, **dataclasses.asdict(point)}
        for threshold, points in curves.items()
        for point in points
    ]

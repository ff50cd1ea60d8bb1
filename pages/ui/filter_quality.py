"""The similarity filter's precision and recall by threshold, from people's rescues, rejections and acceptances."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.ui import curation_charts, pictures, saving
from pages.ui.tables import number, table
from sedi_engine.curation.filter_quality import Labels, Point, by_threshold, caution, counted
from store import filter_labels, views

KEY = "seeds_filter_quality"
COLUMNS = {
    "threshold": "τ",
    "precision": "precision",
    "precision_interval": "95 % interval",
    "recall": "recall",
    "recall_interval": "its 95 % interval",
    "dropped": "labelled it would drop",
    "right": "of them near-copies",
    "copies": "labelled near-copies",
}


def show(service: Any, run_id: str) -> None:
    """Precision and recall over τ for a run, with counts and intervals."""
    st.subheader("Quality of the filter", anchor=False)
    with st.container(key=KEY):
        rows = service.store.read(filter_labels.of_run, run_id)
        labels = counted(rows)
        st.text(_labels(labels))
        if not labels.copies or not labels.others:
            st.caption("It takes labels of both kinds: near-copies, and tasks that are none. Review drops near τ.")
            return
        if said := caution(labels):
            st.caption(said)
        own = service.store.read(views.settings, run_id)["filter"]["threshold"]
        points = by_threshold(rows)
        figure = pictures.once(curation_charts.filter_quality, points, own)
        alt = "Precision and recall of the filter over τ"
        saving.chart(figure, f"{KEY}_plot", alt, lambda: [_flat(point) for point in points], name=KEY)
        at = sorted({own, 0.7, 0.8, 0.9, 1.0})
        percent = dict.fromkeys(("precision", "recall"), number(format="percent"))
        table([_row(point) for point in by_threshold(rows, at)], COLUMNS, f"{KEY}_table", **percent)
        st.caption(
            "Of the labelled alone, which are no random sample: people look at drops near τ more than at others. "
            "Each with the largest ROUGE-L that it had in this run; at another τ the pool would have been another."
        )


def _labels(labels: Labels) -> str:
    return (
        f"Labels: {labels.right_drops:,} right drops (confirmed by a rejection), {labels.wrong_drops:,} wrong drops "
        f"(rescued), {labels.missed:,} missed (kept, then rejected as near-copies), {labels.rightly_kept:,} rightly "
        "kept (accepted)."
    )


def _row(point: Point) -> dict[str, Any]:
    flat = _flat(point)
    return {
        **flat,
        "threshold": f"{point.threshold:g}",
        **{
            f"{name}_interval": "" if flat[name] is None else f"{flat[f'{name}_low']:.0%} to {flat[f'{name}_high']:.0%}"
            for name in ("precision", "recall")
        },
    }


def _flat(point: Point) -> dict[str, Any]:
    """A point as a row of the file."""
    return {
        "threshold": point.threshold,
        "dropped": point.precision.of,
        "right": point.precision.hits,
        "copies": point.recall.of,
        "precision": point.precision.value,
        "precision_low": point.precision.low,
        "precision_high": point.precision.high,
        "recall": point.recall.value,
        "recall_low": point.recall.low,
        "recall_high": point.recall.high,
    }

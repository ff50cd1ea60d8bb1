"""Progress: what each person decided, how fast, and what is left; one's own row stands first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from pages.ui import words
from pages.ui.tables import number, table
from store import annotators, runs

KEY = "seeds_progress"
COLUMNS = {
    "annotator": "annotator",
    "decided": "decided",
    "accepted": "accepted",
    "rejected": "rejected",
    "other": "rescued or edited",
    "in_bulk": "of these in bulk",
    "today": "today (UTC)",
    "last_hour": "last hour",
    "median_s": "median seconds between two",
    "last": "last decision (UTC)",
}
COUNTED = ("decided", "accepted", "rejected", "other", "in_bulk", "today", "last_hour")
TEAM = "everybody"


def show(service: Any, annotator: str, left: int | None = None, now: datetime | None = None) -> None:
    """The progress of `annotator` and of the team; `left` is how many items wait, None where nobody counts them."""
    st.subheader("Progress", anchor=False)
    rows = service.store.read(annotators.progress, now or runs.now())
    with st.container(key=KEY):
        st.text(summary(rows, annotator, left))
        if not rows:
            return
        own = [row for row in rows if row["annotator"] == annotator]
        others = [row for row in rows if row["annotator"] != annotator]
        shown = [*own, *others, *([_team(rows)] if len(rows) > 1 else [])]
        told = [{**row, "last": f"{row['last_at']:%Y-%m-%d %H:%M}"} for row in shown]
        table(told, COLUMNS, f"{KEY}_people", median_s=number(format="%.1f"))
        minutes = annotators.BREAK_S / 60
        st.caption(
            f"Decisions in all runs that were not undone. A pause of more than {minutes:.0f} minutes is a break; what "
            "was decided in one go counts once between two."
        )


def summary(rows: Sequence[Mapping[str, Any]], annotator: str, left: int | None) -> str:
    """What oneself and the team decided, and how long what is left takes those who decided in the last hour.

    Everybody goes on with the usual time between two decisions: what was decided in one go tells nothing of it.
    """
    last_hour = sum(row["last_hour"] for row in rows)
    per_s = sum(1 / row["median_s"] for row in rows if row["last_hour"] and row["median_s"])
    own = next((row for row in rows if row["annotator"] == annotator), None)
    said = [
        f"{annotator}: {own['decided']:,} decided, {own['last_hour']:,} in the last hour, {own['today']:,} today."
        if own
        else f"{annotator}: nothing decided yet."
    ]
    if len(rows) > 1 or not own:
        said.append(f"Team: {sum(row['decided'] for row in rows):,} decided, {last_hour:,} in the last hour.")
    if left is not None:
        lasts = f", {words.duration(left / per_s)} at the usual pace" if left and per_s else ""
        said.append(f"Left: {left:,}{lasts}.")
    return " ".join(said)


def _team(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    sums = {field: sum(row[field] for row in rows) for field in COUNTED}
    return {"annotator": TEAM, **sums, "median_s": None, "last_at": max(row["last_at"] for row in rows)}

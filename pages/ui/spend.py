"""What was spent, by run, by day, by model."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.ui import charts, saving, words
from pages.ui.tables import number, table
from sedi_engine.desk import Desk
from store import spend

COLUMNS = {
    "of": "",
    "cost": "USD",
    "attempts": "attempts",
    "prompt_tokens": "prompt tokens",
    "completion_tokens": "completion tokens",
    "cost_unknown": "of unknown price",
    "usage_estimated": "with estimated tokens",
    "usage_unknown": "of unknown use",
    "last_at": "last (UTC)",
}


def show(service: Desk, _run_id: str | None) -> None:
    """The ledger's sums, runs and probes alike; what is unknown is counted and never added as 0."""
    by = st.segmented_control("Spend by", list(spend.GROUPS), default="day", key="runs_spend_by") or "day"
    rows = service.store.read(spend.spend, by)
    if not rows:
        st.caption("Nothing was spent yet: calls of runs, connection tests and trials show up here.")
        return
    if by == "day":
        figure = charts.spend_by_day(tuple(row["of"] for row in rows), tuple(row["cost_usd"] for row in rows))
        saving.chart(figure, "runs_spend_chart", "USD spent by day", lambda: rows)
    shown = [{**row, "cost": _cost(row)} for row in rows]
    table(shown, {**COLUMNS, "of": by}, "runs_spend", prompt_tokens=number(), completion_tokens=number())


def _cost(row: dict[str, Any]) -> str:
    if row["cost_unknown"] == row["attempts"]:
        return "unknown"
    return words.usd(row["cost_usd"]) + (" and unknown" if row["cost_unknown"] else "")

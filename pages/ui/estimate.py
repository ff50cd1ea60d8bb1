"""What a run will take, before it starts."""

from __future__ import annotations

import streamlit as st

from pages.ui import words
from sedi_engine.config import RunConfig
from sedi_engine.costs import price_note
from sedi_engine.desk import Desk


def show_estimate(service: Desk, config: RunConfig) -> None:
    """Calls, tokens, money and time, each as a likely value with its range, and what the figures rest on."""
    found = service.runs.estimate(config)
    rows = (
        ("Calls, about", found.calls, words.count),
        ("Prompt tokens", found.prompt_tokens, words.short),
        ("Completion tokens", found.completion_tokens, words.short),
        ("Cost", found.cost_usd, words.usd),
        ("Time", found.seconds, words.duration),
    )
    for column, (label, value, show) in zip(st.columns(len(rows)), rows, strict=True):
        with column.container(gap=None):
            st.metric(label, show(value.likely) if value else "unknown")
            st.text(words.span(value.low, value.high, show) if value else "a price is missing")
    capped = f"Likely to end early at budget.{found.capped_by}. " if found.capped_by else ""
    st.caption(f"{capped}{found.basis}")
    st.text(price_note(config, service.store.folder))

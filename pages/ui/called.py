"""Calls of a run: each with its prompt, word for word, and its reply, to be read and run again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.ui import cards, trial, words
from pages.ui.tables import number, table, text
from sedi_engine.config import RunConfig
from sedi_engine.desk import Desk
from sedi_engine.rendering import rendered, said
from store import probes, views

PAGE_ROWS = 50
COLUMNS = {
    "call_index": "call",
    "stage": "stage",
    "position": "position",
    "attempt": "attempt",
    "iteration": "iteration",
    "prompt_version": "template",
    "model": "model",
    "asked": "asked",
    "prompt_tokens": "prompt tokens",
    "completion_tokens": "completion tokens",
    "usage_source": "counted by",
    "cost": "cost",
    "latency_s": "seconds",
    "error": "error",
    "sent_at": "sent (UTC)",
}


def show(service: Desk, run_id: str | None) -> None:
    """A page of calls, and the chosen one."""
    with st.container(key="runs_calls"):
        if run_id is None:
            st.caption("There is no run yet.")
            return
        failed = st.toggle("Only failed calls", key="runs_calls_failed")
        total = service.store.read(probes.call_count, run_id, None, failed)
        if not total:
            st.caption("No call failed." if failed else "No call was sent yet.")
            return
        pages = -(-total // PAGE_ROWS)
        page = st.number_input("Page", 1, pages, key="runs_calls_page", width=160) if pages > 1 else 1
        rows = service.store.read(probes.calls, run_id, PAGE_ROWS, PAGE_ROWS * (int(page) - 1), None, failed)
        st.text(f"{words.count(total)} calls, newest first, {PAGE_ROWS} a page")
        shown = [_row(row) for row in rows]
        sizes = {"latency_s": number(80, format="%.2f"), "error": text(260), "prompt_version": text(190)}
        table(shown, COLUMNS, "runs_calls_table", height=280, **sizes)
        place = st.selectbox(
            "Call", range(len(rows)), format_func=lambda at: _label(rows[at]), key="runs_call", width=430
        )
        _one(service, run_id, rows[place])


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    position = row["position"] if row["stage"] == "output" else None
    return {**row, "position": position, "cost": words.usd(row["cost_usd"]), "error": row["error"] or ""}


def _label(row: Mapping[str, Any]) -> str:
    return (
        f"call {row['call_index']}, {words.plain(row['stage'])}"
        + (f" of candidate {row['position']}" if row["stage"] == "output" else "")
        + (f", attempt {row['attempt']}" if row["attempt"] else "")
    )


def _one(service: Desk, run_id: str, row: Mapping[str, Any]) -> None:
    at = (row["call_index"], row["stage"], row["position"], row["attempt"])
    found = service.store.read(probes.call, run_id, *at)
    left, right = st.columns(2, gap="medium")
    with left:
        st.text(f"Prompt, from {row['prompt_version']}")
        ask = cards.attempt(rendered, service.store.folder, run_id, row)
        if ask is None:
            cards.notice()
        else:
            st.code(said(ask.request), language=None, wrap_lines=True, height=360)
    with right:
        st.text(row["error"] or "Reply")
        if found and found["raw_reply"]:
            st.code(found["raw_reply"], language=None, wrap_lines=True, height=360)
        else:
            st.caption("There is no reply.")
    if ask is not None:
        config = RunConfig.model_validate(service.store.read(views.settings, run_id))
        trial.offer(service, config, ask, "Run it again", "runs_call_again")

"""Two runs side by side: settings, figures, where they ran, and what their data sets share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.ui import cards, words
from pages.ui.tables import table, text
from sedi_engine.comparing import compare
from sedi_engine.desk import Desk
from store import history, views

ROWS = 100
COUNTED = {
    "first": "examples of the first",
    "second": "examples of the second",
    "same_task": "equal in all three texts",
    "same_instruction": "instructions in both",
    "same_seeds": "active seeds in both",
}


def show(service: Desk, run_id: str | None) -> None:
    """The choice of two runs, and what differs between them."""
    known = [row["run_id"] for row in service.store.read(views.run_list)]
    with st.container(key="runs_compare"):
        if len(known) < 2 or run_id is None:
            st.caption("It takes two runs to compare.")
            return
        one, other = st.columns(2, gap="medium")
        first = one.selectbox("First run", known, index=known.index(run_id), key="runs_compare_first")
        rest = [name for name in known if name != first]
        second = other.selectbox("Second run", rest, key="runs_compare_second")
        found = cards.attempt(compare, service.store, first, second)
        if found is None:
            cards.notice()
            return
        _show(found)
        left, right = st.columns(2, gap="medium")
        with left:
            _only(service, first, second, "runs_only_first")
        with right:
            _only(service, second, first, "runs_only_second")


def _show(found: Mapping[str, Any]) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        _pairs("Settings that differ", found["settings"], "runs_compare_settings", found)
        _pairs("Where they ran", found["provenance"], "runs_compare_provenance", found)
        st.text("Exportable examples")
        rows = [{"count": label, "rows": words.count(found["data"][name])} for name, label in COUNTED.items()]
        table(rows, {"count": "count", "rows": "rows"}, "runs_compare_data")
    with right:
        _pairs("Figures", found["figures"], "runs_compare_figures", found)


def _pairs(title: str, pairs: Mapping[str, Sequence[Any]], key: str, found: Mapping[str, Any]) -> None:
    st.text(title)
    if not pairs:
        st.caption("Nothing differs.")
        return
    rows = [
        {"what": name, "first": words.plain_value(one), "second": words.plain_value(other)}
        for name, (one, other) in pairs.items()
    ]
    table(rows, {"what": "", "first": found["first"], "second": found["second"]}, key, what=text(200))


def _only(service: Desk, first: str, second: str, key: str) -> None:
    rows = service.store.read(history.only_in, first, second, ROWS)
    st.text(f"Only in {first}" + (f", the first {ROWS}" if len(rows) == ROWS else ""))
    columns = {name: name for name in ("instruction", "input", "output", "iteration")}
    table(rows, columns, key, height=260, instruction=text(260), output=text(220))

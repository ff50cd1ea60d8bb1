"""Runs & data: what was run, how two runs differ, what was spent, and data on its way in and out."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from pages.ui import called, comparison, exporting, history, importing, shell, spend, templating
from sedi_engine.desk import Desk

PAGE = "runs"
SECTIONS: dict[str, Callable[[Desk, str | None], None]] = {
    "History": history.show,
    "Compare": comparison.show,
    "Spend": spend.show,
    "Import": importing.show,
    "Export": exporting.show,
    "Templates": templating.show,
    "Calls": called.show,
}

service = shell.open_service()
chosen = shell.choose_run(service, PAGE, "Runs & data")
# only the open one is drawn, and the address names it
for section, tab in zip(
    SECTIONS, st.tabs(list(SECTIONS), key="runs_section", on_change="rerun", bind="query-params"), strict=True
):
    if tab.open:
        with tab:
            SECTIONS[section](service, chosen)

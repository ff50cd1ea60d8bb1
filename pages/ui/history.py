"""Every run in one table; the chosen one with its settings and where its data came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.ui import controls, words
from pages.ui.tables import number, table, text
from sedi_engine import spec
from sedi_engine.config import RunConfig
from sedi_engine.desk import Desk
from store import history, runs

COLUMNS = {
    "run_id": "run",
    "state": "state",
    "preset": "preset",
    "model": "generator",
    "windows": "iterations",
    "asked": "asked",
    "kept": "kept",
    "exportable": "exportable",
    "share": "kept of parsed",
    "tokens": "tokens",
    "cost": "cost",
    "steps": "steps",
    "heldout_loss": "held-out loss",
    "device": "device",
    "worked": "work",
    "created": "created (UTC)",
}


def show(service: Desk, run_id: str | None) -> None:
    """The table, and below it the run that the header names."""
    rows = service.store.read(history.history)
    if not rows or run_id is None:
        st.caption("There is no run yet. Start one on Generate, or the demo on the Overview.")
        return
    table(
        [_row(row) for row in rows],
        COLUMNS,
        "runs_table",
        height="content" if len(rows) <= 12 else 460,
        run_id=text(190, pinned=True),
        model=text(170),
        heldout_loss=number(format="%.3f"),
        created=st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
    )
    _details(service, run_id)


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "state": words.STATUS[row["status"]][0],
        "windows": f"{row['iteration']} of {row['iterations']}",
        "share": words.share(row["kept"], row["parsed"]),
        "cost": words.usd(row["cost_usd"]) if row["tokens"] or row["cost_usd"] is not None else "–",
        "worked": words.duration(row["elapsed_s"]),
    }


def _details(service: Desk, run_id: str) -> None:
    run = service.store.read(runs.get, run_id)
    config = RunConfig.model_validate(run["config"])
    st.subheader(f"Run {run_id}", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center"):
        controls.controls(service, run_id, run["status"], "runs")
        st.download_button(
            "Settings as TOML",
            lambda: spec.to_toml(config),
            f"{run_id}.toml",
            "application/toml",
            key="runs_spec",
            icon=":material/download:",
            on_click="ignore",
        )
    settings, origin = st.columns(2, gap="medium")
    with settings:
        st.text(f"What differs from the defaults (preset {config.preset})")
        standard = RunConfig().dotted()
        rows = [
            {"setting": name, "default": words.value(standard[name]), "value": words.value(value)}
            for name, value in config.dotted().items()
            if name != "preset" and value != standard[name]
        ]
        table(rows, {name: name for name in ("setting", "default", "value")}, "runs_settings")
    with origin:
        st.text("Where its data came from")
        found = service.store.read(history.provenance, run_id)
        facts = [{"what": name, "value": words.plain_value(value)} for name, value in found.items()]
        table(facts, {"what": "what", "value": "value"}, "runs_provenance", height=min(420, 40 + 35 * len(facts)))

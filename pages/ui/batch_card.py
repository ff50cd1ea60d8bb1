"""A batch in short, where a point of a curve or of the map leads to it."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from pages.ui.tables import number, table, text
from sedi_engine.desk import Desk
from store import training

COLUMNS = {"cluster": "cluster", "instruction": "instruction", "loss": "own loss"}
SIGNALS = {"el2n": "EL2N", "grand": "GraNd", "ifd": "IFD"}


def brief(service: Desk, run_id: str, step: int) -> None:
    """Its numbers, its members, and the ways to the batch and to the map."""
    found = [row for row in service.store.read(training.batches, run_id) if row["step"] == step]
    with st.container(border=True, key="batch_brief"):
        if not found:
            st.text(f"This run has no batch of step {step}.")
            return
        batch = found[0]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(f"Batch of step {step}", anchor=False)
            if batch["attractive"]:
                st.badge("attractive", icon=":material/star:", color="orange")
            st.text(numbers(batch))
            query = {"run": run_id, "step": str(step)}
            st.page_link("pages/batches.py", label="The batch", icon=":material/grid_view:", query_params=query)
            st.page_link("pages/diversity.py", label="On the map", icon=":material/scatter_plot:", query_params=query)
        of_window = service.store.read(training.members, run_id, batch["iteration"])
        members([row for row in of_window if row["step"] == step], "batch_brief_members")


def numbers(batch: dict[str, Any]) -> str:
    """What its step measured, in a line."""
    if batch["loss"] is None:
        return f"window {batch['iteration']}, not trained yet"
    loss, norm = (
        f"{value:.3f}" if value is not None and math.isfinite(value) else "no number"
        for value in (batch["loss"], batch["grad_norm"])
    )
    measured = f"loss {loss} · gradient norm {norm} · {batch['response_tokens']:,} response tokens"
    return f"window {batch['iteration']} · {measured}"


def members(rows: list[dict[str, Any]], key: str) -> None:
    """The examples with those of their own signals that were measured."""
    measured = {field: name for field, name in SIGNALS.items() if any(row[field] is not None for row in rows)}
    columns = {**COLUMNS, **measured, "response_tokens": "response tokens"}
    three = {field: number(80, format="%.3f") for field in ("loss", *measured)}
    table(rows, columns, key, height="content" if len(rows) < 10 else 380, cluster=number(70), instruction=text(380),
          response_tokens=number(110), **three)  # fmt: skip

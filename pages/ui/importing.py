"""Import: a file of tasks becomes seeds, held-out, a reference or a stream; a report says what it left out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import streamlit as st

from pages.ui import cards, command, shell, words
from pages.ui.tables import number, table, text
from sedi_engine.desk import Desk
from sedi_engine.imports.formats import PARTS, guess_columns
from sedi_engine.imports.job import HEAD_BYTES, preview
from store import imports
from store.errors import StudioError

POLL_S = 0.5
TARGETS = {
    "seeds": "Seeds: new runs start from them",
    "heldout": "Held-out: training is measured on them, and near-copies are dropped",
    "reference": "Reference: shown on the diversity map",
    "stream": "Stream: recorded candidates, filtered and trained on in place of a model's replies",
}
RECOGNISED = "recognised"
FORMS = {
    RECOGNISED: "recognised by itself",
    "self_instruct": "Self-Instruct",
    "alpaca": "Alpaca",
    "sharegpt": "ShareGPT",
    "openai": "OpenAI messages",
    "prompt_completion": "Prompt and completion",
    "columns": "Columns that I name",
}
COLUMNS = {
    "name": "file",
    "target": "became",
    "status": "state",
    "read": "read",
    "taken": "taken",
    "duplicates": "duplicates",
    "refused": "refused",
    "error": "what happened",
    "next_step": "next step",
    "at": "at (UTC)",
}


def show(service: Desk, _run_id: str | None) -> None:
    """The file and what it shall become, then every import with its report."""
    with st.container(key="runs_import"):
        left, right = st.columns([2, 3], gap="medium")
        with left:
            file = st.file_uploader(
                "JSON, JSONL, CSV or Parquet, also in gzip or zip",
                key="runs_import_file",
                help="A larger file: python -m sedi_engine import FILE --as seeds",
            )
            target = st.selectbox("It becomes", list(TARGETS), format_func=TARGETS.get, key="runs_import_target")
            form = st.selectbox("Form of its records", list(FORMS), format_func=FORMS.get, key="runs_import_form")
        if file:
            with right:
                mapping = _look(file, form)
            with left:
                wanted = mapping is not None and command.button(
                    service.imports.start, "Import", type="primary", icon=":material/upload:", key="runs_import_start"
                )
            if wanted:
                file.seek(0)
                named = None if form in (RECOGNISED, "columns") else form
                if import_id := cards.attempt(service.imports.start, file, file.name, target, named, mapping):
                    st.session_state["runs_import_chosen"] = import_id
                st.rerun()
        else:
            right.caption("Nothing is stored before you press Import. What is in the library already is left out.")
        _recording(service)
        going = any(row["status"] == "running" for row in service.store.read(imports.listed))
        st.fragment(_listed, run_every=POLL_S if going else None)(service, going)


def _recording(service: Desk) -> None:
    with st.expander("Open a recording", icon=":material/movie:", key="runs_play"):
        file = st.file_uploader("A run as Export writes it", type=["sedi"], key="runs_play_file")
        if file and command.button(service.runs.play, "Open it", icon=":material/play_arrow:", key="runs_play_start"):
            if run_id := cards.attempt(service.runs.play, file, file.name):
                shell.show_run(run_id)
            st.rerun()


def _look(file: BinaryIO, form: str) -> dict[str, str] | None:
    """The first tasks as they would be read, and the columns that they come from; None where it cannot be read."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    by_column = form == "columns"
    with tempfile.TemporaryDirectory() as scratch:
        try:
            named = None if form in (RECOGNISED, "columns") else form
            seen = preview(head, "", named, {}, Path(scratch))
            mapping = _columns(seen["columns"]) if by_column else {}
            if mapping:
                seen = preview(head, "", None, mapping, Path(scratch))
        except StudioError as problem:
            whole = len(head) < HEAD_BYTES
            if whole:
                cards.error(problem)
                return None
            st.caption("Its beginning alone cannot be shown; the import reads it whole.")
            return {}
    st.caption(f"Read as {seen['container']}. The first of it:")
    columns = {name: name for name in ("line", *PARTS, "fault")}
    sizes = {"line": number(50), "instruction": text(260), "output": text(220), "fault": text(220)}
    table(seen["rows"], columns, "runs_import_preview", **sizes)
    return mapping


def _columns(names: list[str]) -> dict[str, str]:
    """Which column is what; the names tell what to offer first."""
    guessed = guess_columns(names)
    mapping: dict[str, str] = {}
    for column, part in zip(st.columns(len(PARTS)), PARTS, strict=True):
        options = [*names] if part == "instruction" else [None, *names]
        place = options.index(guessed[part]) if part in guessed else 0
        chosen = column.selectbox(
            part.capitalize(), options, place, format_func=lambda one: one or "none", key=f"runs_column_{part}"
        )
        if chosen:
            mapping[part] = chosen
    return mapping


def _listed(service: Desk, was_going: bool) -> None:
    """Every import, those under way with their counts; the buttons and the report of the chosen one."""
    rows = [_row(service, row) for row in service.store.read(imports.listed)]
    if was_going and not any(row["status"] == "running" for row in rows):
        st.rerun()
    if not rows:
        return
    st.subheader("Imports", anchor=False)
    table(rows, COLUMNS, "runs_imports", name=text(220), error=text(240), next_step=text(200))
    by_id = {row["import_id"]: row for row in rows}
    chosen = st.selectbox(
        "Report of", list(by_id), format_func=lambda ident: f"{by_id[ident]['name']}, {ident}", key="runs_import_chosen"
    )
    _actions(service, by_id[chosen])
    faults = service.store.read(imports.report, chosen)
    if faults:
        st.text(f"Left out, by line; the first {imports.FAULTS_KEPT:,} are listed.")
        columns = {name: name for name in ("line", "reason", "excerpt")}
        sizes = {"line": number(70), "reason": text(380), "excerpt": text(420)}
        table(faults, columns, "runs_import_report", height=min(300, 40 + 35 * len(faults)), **sizes)
    elif by_id[chosen]["status"] == "completed":
        st.caption("It left nothing out.")


def _row(service: Desk, row: Mapping[str, Any]) -> dict[str, Any]:
    live = service.imports.get(row["import_id"]) if row["status"] == "running" else dict(row)
    return {**live, "error": live["error"] or "", "next_step": live["next_step"] or ""}


def _actions(service: Desk, row: Mapping[str, Any]) -> None:
    ident, status = row["import_id"], row["status"]
    with st.container(horizontal=True):
        stop, resume = service.imports.cancel, service.imports.resume
        if command.button(stop, "Stop", icon=":material/stop:", key="runs_import_cancel", disabled=status != "running"):
            cards.attempt(stop, ident)
            st.rerun()
        again = status in ("interrupted", "failed", "cancelled")
        if command.button(resume, "Start again", icon=":material/replay:", key="runs_import_again", disabled=not again):
            cards.attempt(resume, ident)
            st.rerun()
        if status == "running":
            st.caption(f"{words.count(row['read'])} read so far. It goes on while you work on other pages.")

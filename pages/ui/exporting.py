"""Export: exactly the rows that the filter on screen shows, in the forms that other tools read."""

from __future__ import annotations

from typing import Any, get_args

import streamlit as st

from pages.ui import cards, pending, words
from pages.ui.tables import number, table, text
from sedi_engine.desk import Desk
from sedi_engine.exports import FORMATS, selection_of
from sedi_engine.exports.job import Prepared
from store import export_rows, views
from store.errors import StudioError
from store.records import DropReason, Flag
from store.selection import Selection

KEY = "runs_exported"
ASKED = "runs_export_asked"
ADAPTER, RECORDING = "adapter", "recording"
WHATS = {
    "kept": "Kept examples",
    "candidates": "All candidates",
    "seeds": "Seeds",
    ADAPTER: "Trained adapter",
    RECORDING: "Recording",
}
FORMAT_WORDS = {
    "alpaca": "Alpaca, JSON",
    "jsonl": "JSONL, every column",
    "parquet": "Parquet, every column",
    "csv": "CSV, every column",
    "self_instruct": "Self-Instruct, JSONL",
    "sharegpt": "ShareGPT, JSONL",
    "openai": "OpenAI messages, JSONL",
    "openai_parquet": "OpenAI messages, Parquet",
    "prompt_completion": "Prompt and completion, JSONL",
    "hf": "Hugging Face folder with card, TRL, Axolotl",
    "llamafactory": "LLaMA-Factory folder",
}
SHOWN = 200


def show(service: Desk, run_id: str | None) -> None:
    """The filter with its rows, then the form of the file and the file."""
    with st.container(key="runs_export"):
        if run_id is None:
            st.caption("There is no run yet whose data could be exported.")
            return
        what = st.segmented_control(
            "What", list(WHATS), format_func=WHATS.get, default="kept", required=True, key="runs_export_what"
        )
        if what == ADAPTER:
            st.caption("The LoRA adapter of the last finished window, with its card, as a zip archive.")
            file(service, (run_id, ADAPTER))
            return
        if what == RECORDING:
            st.caption("The whole run as one file, which another dashboard shows with no key, GPU or network.")
            with st.container(key="runs_record"):
                file(service, (run_id, RECORDING))
            return
        try:
            selection = selection_of({"run_id": run_id, "what": what, **_filter(service, run_id, what)})
        except StudioError as problem:
            cards.error(problem)
            return
        _rows(service, selection)
        left, right = st.columns([2, 3], gap="medium", vertical_alignment="bottom")
        form = left.selectbox("Format", FORMATS, format_func=FORMAT_WORDS.get, key="runs_export_format")
        lineage = right.toggle(
            "With lineage", key="runs_export_lineage", help="Seeds, call, model, prompt version, batch step, decision."
        )
        file(service, (selection, form, lineage))


def _filter(service: Desk, run_id: str, what: str) -> dict[str, Any]:
    """The conditions as they stand; seeds know the search alone."""
    columns = st.columns([3, 2, 2, 2, 3] if what == "candidates" else [3, 2, 2, 5], gap="small")
    found: dict[str, Any] = {"search": columns[0].text_input("Search", key="runs_export_search")}
    if what == "seeds":
        return found
    if what == "candidates":
        found["verdict"] = columns[3].selectbox(
            "Verdict", (None, "kept", "dropped"), format_func=_any, key="runs_verdict"
        )
        found["reasons"] = columns[4].multiselect("Drop reason", get_args(DropReason), key="runs_reasons")
    summary = service.store.read(views.overview, run_id)
    windows = range(1, summary["iteration"] + 2)
    found["iterations"] = columns[1].multiselect("Iteration", windows, key="runs_iterations")
    flags = columns[2].selectbox("Flags", (None, "without", *get_args(Flag)), format_func=_flag, key="runs_flags")
    if flags == "without":
        found["without_flags"] = True
    elif flags:
        found["flags"] = [flags]
    return found


def _rows(service: Desk, selection: Selection) -> None:
    total = service.store.read(export_rows.count, selection)
    rows = service.store.read(export_rows.first_rows, selection, SHOWN)
    st.text(f"{words.count(total)} rows" + (f", the first {SHOWN} are shown" if total > SHOWN else ""))
    if not rows:
        st.caption("Nothing passes this filter.")
        return
    columns = {name: words.plain(name) for name in rows[0]}
    known = {"instruction": text(320), "input": text(160), "output": text(320), "max_rouge_l": number(format="%.3f")}
    shown = [{name: words.cell(value) for name, value in row.items()} for row in rows]
    table(shown, columns, "runs_export_rows", height=300, **{n: c for n, c in known.items() if n in columns})


def file(service: Desk, asked: tuple[Any, ...], page: str = "runs") -> None:
    """The button that writes the file, and then the one that hands it over; `page` begins their keys."""
    busy = pending.busy(KEY)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Write the file", icon=":material/ios_share:", key=f"{page}_export_write", disabled=busy):
            st.session_state[ASKED] = asked
            exports = service.exports
            start = {ADAPTER: exports.adapter, RECORDING: exports.recording}.get(asked[-1], exports.rows)
            pending.begin(KEY, start, *(asked if start == exports.rows else asked[:1]))
            st.rerun()
        if busy:
            st.caption("Writing …")
        elif st.session_state.get(ASKED) == asked and (made := pending.result(KEY)):
            _hand_over(made, page)
    if busy:
        pending.wait(KEY)


def _hand_over(made: Prepared, page: str) -> None:
    st.download_button(
        f"Download {made.name}",
        lambda: made.path.open("rb"),
        made.name,
        key=f"{page}_export_download",
        icon=":material/download:",
        type="primary",
        on_click="ignore",
    )
    st.caption(f"{words.count(made.rows)} rows, {made.size_bytes / 1e6:,.2f} MB")


def _any(value: str | None) -> str:
    return value or "any"


def _flag(value: str | None) -> str:
    return {None: "any", "without": "without flags"}.get(value) or words.plain(str(value))

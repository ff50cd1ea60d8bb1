"""One prompt sent once, beside the page: the tasks in its reply, the reply itself, and what it cost."""

from __future__ import annotations

import streamlit as st

from pages.ui import command, pending, words
from pages.ui.tables import table, text
from sedi_engine.config import RunConfig
from sedi_engine.desk import Desk
from sedi_engine.generator.caller import Ask
from sedi_engine.probe import Trial

COLUMNS = {"instruction": "instruction", "input": "input", "output": "output"}


def offer(service: Desk, config: RunConfig, ask: Ask, label: str, key: str) -> None:
    """The button that sends it, and what came back."""
    state, sent = f"{key}_future", f"{key}_sent"
    busy, wanted = pending.busy(state), (config.generator.model_dump(), ask.request.as_dict())
    with st.container(horizontal=True, vertical_alignment="center"):
        if command.button(service.prompts.trial, label, icon=":material/send:", key=key, disabled=busy):
            st.session_state[sent] = wanted
            pending.begin(state, service.prompts.trial, config, ask)
            st.rerun()
        st.caption("Waiting for the reply …" if busy else "One call, paid for and entered in the ledger.")
    if busy:
        pending.wait(state)
    elif st.session_state.get(sent) == wanted and (found := pending.result(state)):
        _show(found, key)


def _show(found: Trial, key: str) -> None:
    probe = found.probe
    counts = ", ".join(f"{number} {cause}" for cause, number in found.failed.items() if number)
    used = f"{words.count(probe.prompt_tokens)} prompt + {words.count(probe.completion_tokens)} completion tokens"
    read = f"{len(found.items)} read{f', {counts}' if counts else ''}"
    st.caption(f"{read}; {used}, {words.usd(probe.cost_usd)}, {probe.latency_s:.1f} s")
    if probe.error:
        st.text(probe.error)
    if found.items:
        rows = [{name: getattr(item, name) or "" for name in COLUMNS} for item in found.items]
        table(rows, COLUMNS, f"{key}_items", instruction=text(300), output=text(300))
    if probe.raw_reply:
        st.text("The reply as it came")
        st.code(probe.raw_reply, language=None, wrap_lines=True, height=240)

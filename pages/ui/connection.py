"""Test connection: what an endpoint can do, found out beside the page, which is never blocked."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import streamlit as st

from pages.ui import command, pending, words
from pages.ui.tables import table, text
from sedi_engine.config import RunConfig
from sedi_engine.desk import Desk
from sedi_engine.examine import Examination

KEY = "generate_examination"
ASKED = "generate_examined"
COLUMNS = {"subject": "subject", "state": "state", "found": "found", "next_step": "next step"}
COSTS = "Up to five short calls, a few hundred tokens in all. They are paid for and entered in the ledger."


def show(service: Desk, config: RunConfig) -> None:
    """The button, and what was found; only an endpoint is tested."""
    if config.generator.kind != "endpoint":
        return
    asked = config.generator.model_dump()
    busy = pending.busy(KEY)
    with st.container(horizontal=True, vertical_alignment="center", key="generate_connection"):
        if command.button(
            service.prompts.examine,
            "Test connection",
            icon=":material/cable:",
            key="generate_test_connection",
            disabled=busy,
        ):
            st.session_state[ASKED] = asked
            pending.begin(KEY, service.prompts.examine, config)
            st.rerun()
        st.caption("Testing the connection …" if busy else COSTS)
    if busy:
        pending.wait(KEY)
        return
    if st.session_state.get(ASKED, asked) != asked:
        st.caption("The generator's settings were changed since this test.")
    if found := pending.result(KEY):
        _show(found)


def _show(found: Examination) -> None:
    table(
        [_row(asdict(one)) for one in found.findings],
        COLUMNS,
        "generate_findings",
        subject=text(110),
        state=text(80),
        found=text(430),
        next_step=text(430),
    )
    cost = "at an unknown price" if found.cost_usd is None else f"for {words.usd(found.cost_usd)}"
    st.caption(
        f"A run with these settings would {'' if found.usable else 'not '}get its calls answered. "
        f"The test sent {found.calls} calls {cost}."
    )


def _row(finding: dict[str, Any]) -> dict[str, Any]:
    return {**finding, "state": words.FOUND[finding["state"]]}

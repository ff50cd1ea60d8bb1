"""Test connection: what an endpoint can do, found out beside the page, which is never blocked."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from dataclasses import asdict
from typing import Any

import streamlit as st

from pages.ui import cards, words
from pages.ui.tables import table, text
from sedi_engine.config import RunConfig
from sedi_engine.examine import Examination
from sedi_engine.service import Service
from store.errors import StudioError

KEY = "generate_examination"
POLL_S = 0.5
COLUMNS = {"subject": "subject", "state": "state", "found": "found", "next_step": "next step"}
COSTS = "Up to five short calls, a few hundred tokens in all. They are paid for and entered in the ledger."


def show(service: Service, config: RunConfig) -> None:
    """The button, and what was found; only an endpoint is tested."""
    if config.generator.kind != "endpoint":
        return
    asked = config.generator.model_dump()
    with st.container(horizontal=True, vertical_alignment="center", key="generate_connection"):
        busy = _pending()
        if st.button("Test connection", icon=":material/cable:", key="generate_test_connection", disabled=busy):
            st.session_state[KEY] = (asked, _begin(service, config))
            st.rerun()
        st.caption("Testing the connection …" if busy else COSTS)
    if busy:
        st.fragment(_wait, run_every=POLL_S)()
    elif KEY in st.session_state:
        tested, future = st.session_state[KEY]
        if tested != asked:
            st.caption("The generator's settings were changed since this test.")
        _result(future)


def _begin(service: Service, config: RunConfig) -> Future[Examination]:
    """The test under way; a refusal comes as its result."""
    try:
        return service.examine(config)
    except StudioError as problem:
        refused: Future[Examination] = Future()
        refused.set_exception(problem)
        return refused


def _pending() -> bool:
    return KEY in st.session_state and not st.session_state[KEY][1].done()


def _wait() -> None:
    if not _pending():
        st.rerun()


def _result(future: Future[Examination]) -> None:
    try:
        found = future.result()
    except StudioError as problem:
        cards.error(problem)
        return
    except (Exception, CancelledError) as problem:
        cards.card(f"The test ended early: {type(problem).__name__}: {problem}", "Try again.", key="error_card")
        return
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

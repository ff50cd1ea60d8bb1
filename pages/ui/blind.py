"""The blind promotion test: making one, how far it is, and once enough is decided what people said to each rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from pages.ui import cards, curation_charts, pictures, saving
from pages.ui.tables import number, table
from sedi_engine.curation.blind import (
    ENOUGH_DECIDED,
    MOST_PER_RULE,
    Acceptance,
    acceptance,
    is_revealed,
    verdict,
)
from store import blind

KEY = "seeds_blind"
PER_RULE = 2
RULE_WORDS = {
    "grad_norm": "highest gradient norm",
    "loss": "highest loss",
    "random": "a batch at random",
}
COLUMNS = {
    "rule": "batch chosen by",
    "items": "items",
    "decided": "decided",
    "accepted": "accepted",
    "share": "share accepted",
    "low": "95 % from",
    "high": "to",
}
Make = Callable[[str, int, int], Any]


def show(service: Any, run_id: str, make: Make | None) -> None:
    """The tests of a run; `make(run_id, per_rule, random_seed)` draws one, and is None for who may not."""
    st.subheader("Blind promotion test", anchor=False)
    st.caption(
        "From every finished window: what the promotion rule would take from the batch with the highest gradient norm, "
        "from the one with the highest loss, and from one drawn at random, mixed in one queue without labels. "
        "Decisions on it compare the rules and do nothing to the run."
    )
    with st.container(key=KEY):
        tests = service.store.read(blind.of_run, run_id)
        if make:
            _form(run_id, make, len(tests))
        if not tests:
            st.caption("This run has no blind test yet.")
            return
        by_id = {one["test_id"]: one for one in tests}
        if len(tests) > 1:
            chosen = st.selectbox("Test", list(by_id), key=f"{KEY}_test", width=300) or tests[0]["test_id"]
        else:
            chosen = tests[0]["test_id"]
        _test(service, by_id[chosen])


def _form(run_id: str, make: Make, made: int) -> None:
    with st.form(f"{KEY}_new", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        per_rule = st.number_input(
            "Most per rule and window", 1, MOST_PER_RULE, PER_RULE, key=f"{KEY}_per_rule", width=200
        )
        random_seed = st.number_input("Random seed", 0, 2**31 - 1, made, key=f"{KEY}_random_seed", width=200)
        if st.form_submit_button("Make a test", icon=":material/shuffle:", key=f"{KEY}_make"):
            cards.attempt(make, run_id, int(per_rule), int(random_seed))
            st.rerun()


def _test(service: Any, test: Mapping[str, Any]) -> None:
    items, decided = test["items"], test["decided"]
    st.text(
        f"{test['test_id']}, made {test['at']:%Y-%m-%d %H:%M} UTC by {test['by']}: {decided:,} of {items:,} items "
        f"decided; at most {test['per_rule']} per rule and window, random seed {test['random_seed']}."
    )
    if not is_revealed(items, decided):
        st.progress(decided / items)
        st.caption(
            f"Which rule proposed what is told once {min(items, ENOUGH_DECIDED):,} items are decided, so that the "
            "test stays blind."
        )
        return
    _result(acceptance(service.store.read(blind.outcomes, test["test_id"])))


def _result(found: Sequence[Acceptance]) -> None:
    rows = [_row(one) for one in found]
    percent = {field: number(format="percent") for field in ("share", "low", "high")}
    table(rows, COLUMNS, f"{KEY}_result", **percent)
    st.text(verdict(found))
    st.caption("An item that several rules proposed counts for each of them. Intervals are Wilson's, at 95 %.")
    names = [RULE_WORDS[one.rule] for one in found]
    figure = pictures.once(curation_charts.acceptance, names, [one.accepted for one in found])
    saving.chart(figure, f"{KEY}_plot", "Acceptance by rule, with intervals", lambda: rows, name=KEY)


def _row(one: Acceptance) -> dict[str, Any]:
    share = one.accepted
    return {
        "rule": RULE_WORDS[one.rule],
        "items": one.items,
        "decided": share.of,
        "accepted": share.hits,
        "share": share.value,
        "low": share.low,
        "high": share.high,
    }

"""Seeds: what the machine proposes and a person decides, the seed set S of a run, and the library."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from pages.ui import cards, shell, words
from pages.ui.tables import number, table, text
from store import seeds, views

PAGE = "seeds"
ROWS_SHOWN = 500
PROPOSALS_SHOWN = 20
WIDTHS = [1, 4, 4, 2]
S_COLUMNS = {
    "seed_id": "seed",
    "status": "status",
    "instruction": "instruction",
    "origin": "origin",
    "credit": "credit",
    "calls": "calls with credit",
    "children": "children kept",
    "added_iteration": "joined in window",
    "removed_iteration": "left in window",
    "reason": "why",
}
EARLIER_COLUMNS = {name: name for name in ("window", "proposal", "instruction", "evidence", "decision", "by")}
LIBRARY_COLUMNS = {
    "seed_id": "seed",
    "instruction": "instruction",
    "input": "input",
    "output": "output",
    "is_classification": "classification",
    "origin": "origin",
}


def review(run_id: str, summary: dict[str, Any]) -> None:
    """The proposals of a run, those of the newest window first, and the way on."""
    st.subheader("Proposals", anchor=False)
    rows = service.store.read(views.proposals, run_id)
    _sizes(run_id, summary)
    _go_on(run_id, summary)
    for window in service.store.read(views.no_proposal_reasons, run_id)[:1]:
        st.text(f"Window {window['iteration']} proposed nothing: {window['reason']}")
    if not rows:
        st.caption("Proposals come at the end of each window; there is none yet.")
        return
    current = [row for row in rows if row["iteration"] == rows[0]["iteration"]]
    _table(current)
    if older := rows[len(current) :]:
        with st.expander(f"Earlier windows: {len(older)} proposals"):
            table([_flat(row) for row in older], EARLIER_COLUMNS, f"{PAGE}_earlier")


def _sizes(run_id: str, summary: dict[str, Any]) -> None:
    now, after = summary["seeds_active"], service.store.read(views.seeds_after, run_id)
    change = f"; with the decisions so far it goes on with {after:,}" if after != now else ""
    st.text(f"S holds {now:,} seeds ({summary['seeds_start']:,} at the start){change}.")


def _go_on(run_id: str, summary: dict[str, Any]) -> None:
    if summary["status"] != "waiting_for_review":
        return
    undecided = summary["proposals_open"]
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"{PAGE}_waiting"):
        said = f"{undecided} undecided: going on now, they do nothing." if undecided else "All are decided."
        st.text(f"The run waits for these decisions. {said}")
        kind = "secondary" if undecided else "primary"
        if st.button("Go on with the run", type=kind, icon=":material/play_arrow:", key=f"{PAGE}_resume"):
            cards.attempt(service.runs.resume, run_id)
            st.rerun()


def _table(rows: list[dict[str, Any]]) -> None:
    pages = math.ceil(len(rows) / PROPOSALS_SHOWN)
    with st.container(key=f"{PAGE}_proposals"):
        for column, head in zip(st.columns(WIDTHS), ("Proposal", "Task", "Evidence", "Decision"), strict=True):
            column.caption(head)
        first = PROPOSALS_SHOWN * (st.pagination(pages, key=f"{PAGE}_page") - 1) if pages > 1 else 0
        for row in rows[first : first + PROPOSALS_SHOWN]:
            with st.container(border=True):
                _proposal(row)


def _proposal(row: dict[str, Any]) -> None:
    what, task, why, decision = st.columns(WIDTHS)
    with what:
        promoting = row["kind"] == "promote"
        st.badge("promote" if promoting else "evict", color="green" if promoting else "orange")
        st.caption(f"window {row['iteration']}, rank {row['rank']}")
    with task:
        st.text(row["instruction"])
        if row["input"]:
            st.text(f"Input: {row['input']}")
        st.text(f"Output: {row['output']}")
    why.text(words.evidence(row["kind"], row["evidence"]))
    with decision:
        _decide(row)


def _decide(row: dict[str, Any]) -> None:
    ident = row["proposal_id"]
    if row["decision"] is None:
        with st.container(horizontal=True, gap="small"):
            if st.button("Accept", icon=":material/check:", key=f"{PAGE}_accept_{ident}"):
                _write(ident, "accept")
            if st.button("Reject", icon=":material/close:", key=f"{PAGE}_reject_{ident}"):
                _write(ident, "reject")
        return
    st.text(f"{row['decision']}ed by {row['by']}")
    if st.button("Undo", icon=":material/undo:", key=f"{PAGE}_undo_{ident}"):
        _write(ident, "undo")


def _write(proposal_id: str, kind: str) -> None:
    cards.attempt(service.decisions.of_proposal, proposal_id, kind)
    st.rerun()


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "window": row["iteration"],
        "proposal": row["kind"],
        "instruction": row["instruction"],
        "evidence": words.evidence(row["kind"], row["evidence"]),
        "decision": row["decision"] or "undecided",
        "by": row["by"],
    }


def seed_set(run_id: str) -> None:
    """S of the run, and what has left it."""
    rows = service.store.read(seeds.of_run, run_id)
    left = sum(row["status"] != "active" for row in rows)
    st.subheader("Seed set S of this run", anchor=False)
    st.caption(f"{len(rows) - left:,} active, {left:,} left. Credit: mean z of a seed’s calls, shrunken; 0 is average.")
    shown = rows[:ROWS_SHOWN]
    table(shown, S_COLUMNS, f"{PAGE}_of_run", height=360, credit=number(format="%+.3f"), instruction=text(360))


def library() -> None:
    """The store's accepted seeds, searched in all their texts."""
    st.subheader("Library", anchor=False)
    size = service.store.read(views.library_size)
    search = st.text_input("Search", placeholder="words of a seed", key=f"{PAGE}_search", width=360)
    rows = service.store.read(views.library, search.strip(), ROWS_SHOWN)
    st.caption(f"{len(rows):,} shown of {size:,} accepted seeds, which every run may start from.")
    wide = {name: text(300) for name in ("instruction", "input", "output")}
    table(rows, LIBRARY_COLUMNS, f"{PAGE}_library", height=420, **wide)


def of_run(run_id: str, was_alive: bool) -> None:
    """What concerns one run; polls while it is alive, since windows end and propose."""
    pulse = service.store.read(views.pulse, run_id)
    shell.noticed_end(pulse["status"], was_alive)
    review(run_id, service.store.read(views.overview, run_id))
    seed_set(run_id)


service = shell.open_service()
chosen = shell.choose_run(service, PAGE, "Seeds")
if chosen:
    alive = shell.is_alive(service.store.read(views.pulse, chosen)["status"])
    st.fragment(of_run, run_every=3 * shell.POLL_S if alive else None)(chosen, alive)
    if not alive:
        shell.notice_revival(service, chosen)
library()

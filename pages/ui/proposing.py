"""Proposals of the machine: why, what S would be with the decisions so far, and another in the place of one."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from pages.ui import cards, command, mapping, review_items, saving, scatter, words
from pages.ui.tables import table
from sedi_engine.desk import Desk
from store import edits, maps, neighbourhood, seeds, views

PAGE = "seeds"
SHOWN = 20
WIDTHS = [1, 4, 4, 2]
EARLIER = {name: name for name in ("window", "proposal", "instruction", "evidence", "decision", "by")}
CHANGES = {"seed": "seed", "change": "change", "instruction": "instruction"}


def show(desk: Desk, run_id: str, summary: dict[str, Any]) -> None:
    """The proposals of a run, those of the newest window first, what follows from them, and the way on."""
    rows = desk.store.read(views.proposals, run_id)
    _sizes(desk, run_id, summary)
    go_on(desk, run_id, summary)
    for window in desk.store.read(views.no_proposal_reasons, run_id)[:1]:
        st.text(f"Window {window['iteration']} proposed nothing: {window['reason']}")
    if not rows:
        st.caption("Proposals come at the end of each window; there is none yet.")
        return
    current = [row for row in rows if row["iteration"] == rows[0]["iteration"]]
    _list(desk, run_id, current)
    _preview(desk, run_id)
    if older := rows[len(current) :]:
        with st.expander(f"Earlier windows: {len(older)} proposals"):
            table([_flat(row) for row in older], EARLIER, f"{PAGE}_earlier")


def _sizes(desk: Desk, run_id: str, summary: dict[str, Any]) -> None:
    now = summary["seeds_active"]
    after = len(desk.store.read(views.seeds_after, run_id))
    rule = len(desk.store.read(views.seeds_after, run_id, True))
    change = f"; with the decisions so far it goes on with {after:,}" if after != now else ""
    st.text(f"S holds {now:,} seeds ({summary['seeds_start']:,} at the start){change}.")
    if summary["proposals_open"]:
        st.caption(f"The rule would accept every proposal that is undecided: S would then hold {rule:,}.")


def go_on(desk: Desk, run_id: str, summary: dict[str, Any]) -> None:
    """What a run in review waits for, and the way on."""
    if summary["status"] != "waiting_for_review":
        return
    undecided = summary["proposals_open"]
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"{PAGE}_waiting"):
        said = f"{undecided} undecided: going on now, they do nothing." if undecided else "All are decided."
        st.text(f"The run waits for these decisions. {said}")
        kind = "secondary" if undecided else "primary"
        if command.button(
            desk.runs.resume, "Go on with the run", type=kind, icon=":material/play_arrow:", key=f"{PAGE}_resume"
        ):
            cards.attempt(desk.runs.resume, run_id)
            st.rerun()


def _list(desk: Desk, run_id: str, rows: list[dict[str, Any]]) -> None:
    pages = math.ceil(len(rows) / SHOWN)
    with st.container(key=f"{PAGE}_proposals"):
        for column, head in zip(st.columns(WIDTHS), ("Proposal", "Task", "Evidence", "Decision"), strict=True):
            column.caption(head)
        first = SHOWN * (st.pagination(pages, key=f"{PAGE}_page") - 1) if pages > 1 else 0
        for row in rows[first : first + SHOWN]:
            with st.container(border=True):
                _proposal(desk, run_id, row)


def _proposal(desk: Desk, run_id: str, row: dict[str, Any]) -> None:
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
        _decide(desk, run_id, row)


def _decide(desk: Desk, run_id: str, row: dict[str, Any]) -> None:
    ident = row["proposal_id"]
    give = desk.decisions.of_proposal
    if row["decision"] is not None:
        st.text(f"{row['decision']}ed by {row['by']}")
        if command.button(give, "Undo", icon=":material/undo:", key=f"{PAGE}_undo_{ident}"):
            _write(desk, ident, "undo")
        return
    with st.container(horizontal=True, gap="small"):
        if command.button(give, "Accept", icon=":material/check:", key=f"{PAGE}_accept_{ident}"):
            _write(desk, ident, "accept")
        if command.button(give, "Reject", icon=":material/close:", key=f"{PAGE}_reject_{ident}"):
            _write(desk, ident, "reject")
        if desk.person.may("annotator"):
            with st.popover("Swap", icon=":material/swap_horiz:", key=f"{PAGE}_swap_{ident}"):
                _swap(desk, run_id, row)


def _swap(desk: Desk, run_id: str, row: dict[str, Any]) -> None:
    others = {one["ident"]: one for one in desk.store.read(edits.instead, run_id, row["proposal_id"])}
    if not others:
        st.text("There is nothing else in this window that could take its place.")
        return
    shown = st.selectbox(
        "Instead of it", list(others), key=f"{PAGE}_instead_{row['proposal_id']}",
        format_func=lambda ident: f"{ident} · {others[ident]['said']}",
    )  # fmt: skip
    st.text(others[shown]["instruction"][:600])
    if st.button("Take this one", icon=":material/check:", key=f"{PAGE}_take_{row['proposal_id']}"):
        cards.attempt(desk.review.swap, row["proposal_id"], shown)
        st.rerun()


def _write(desk: Desk, proposal_id: str, kind: str) -> None:
    cards.attempt(desk.decisions.of_proposal, proposal_id, kind)
    st.rerun()


def _preview(desk: Desk, run_id: str) -> None:
    """The seeds that the next prompts would draw from, beside those of now, and how much of the map they cover."""
    members = {row["seed_id"]: row for row in desk.store.read(seeds.of_run, run_id)}
    now = [ident for ident, row in members.items() if row["status"] == "active"]
    ways = {"now": now, "with the decisions so far": desk.store.read(views.seeds_after, run_id),
            "as the rule would": desk.store.read(views.seeds_after, run_id, True)}  # fmt: skip
    with st.expander("What the next prompts would draw from", icon=":material/psychiatry:"):
        around = review_items.around(desk.store, run_id)
        rows = [
            {"S": name, "seeds": len(ids), "human": sum(_human(members, ident) for ident in ids),
             "tasks with a seed near": words.share(covered, 1) if covered is not None else "no vectors yet"}
            for name, ids in ways.items() for covered in [around.coverage(ids)]
        ]  # fmt: skip
        table(rows, {name: name for name in rows[0]}, f"{PAGE}_coverage")
        st.caption("A seed is near a task where the cosine of their embeddings is at least 0.5.")
        after = ways["with the decisions so far"]
        changes = [("joins", ident) for ident in after if ident not in now]
        changes += [("leaves", ident) for ident in now if ident not in after]
        if changes:
            texts = desk.store.read(neighbourhood.texts, [ident.removeprefix("m-") for _, ident in changes])
            said = [{"seed": ident, "change": how, "instruction": texts.get(ident.removeprefix("m-"), "")}
                    for how, ident in changes]  # fmt: skip
            table(said, CHANGES, f"{PAGE}_changes")
        _map(desk, run_id, changes)


def _human(members: dict[str, dict[str, Any]], ident: str) -> bool:
    return ident in members and members[ident]["origin"] != "machine"


def _map(desk: Desk, run_id: str, changes: list[tuple[str, str]]) -> None:
    if desk.store.read(maps.current) is None:
        st.caption("The map is made when Diversity map is first opened.")
        return
    rows = mapping.frame(desk.store, run_id)
    joins = {f"candidate:{ident.removeprefix('m-')}" for how, ident in changes if how == "joins"}
    leaves = {f"seed:{ident}" for how, ident in changes if how == "leaves"}
    everything = rows["subject"].notna().to_numpy()
    drawn = mapping.drawn(rows, everything, ~everything, mapping.MOST_DRAWN_SVG).copy()
    status = drawn["status"].where(drawn["kind"] == "seed", "task")
    drawn["S"] = status.mask(drawn["subject"].isin(joins), "joins S").mask(drawn["subject"].isin(leaves), "leaves S")
    tasks = (drawn["S"] != "task").to_numpy()
    figure = scatter.figure(scatter.layers(drawn, tasks, "S"), svg=True)
    figure.update_layout(height=360, dragmode=False)
    rows = drawn.loc[tasks, ["subject", "x", "y", "S", "instruction"]]
    saving.chart(figure, f"{PAGE}_map", "Seeds on the map, before and after", lambda: rows.to_dict("records"))


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "window": row["iteration"],
        "proposal": row["kind"],
        "instruction": row["instruction"],
        "evidence": words.evidence(row["kind"], row["evidence"]),
        "decision": row["decision"] or "undecided",
        "by": row["by"],
    }

"""One task with its whole lineage: seeds → call → candidate → batch → step → seed, and its nearest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.ui import cards, command, focus, words
from pages.ui.tables import number, table, text
from sedi_engine.curation.differing import differing
from sedi_engine.desk import Desk
from sedi_engine.neighbours import neighbours
from sedi_engine.rendering import rendered, said
from store import lineage, map_view, probes
from store.database import Reader

SHOWN_TEXT = 4000
LONG_TEXT, LONG_TEXT_PX = 500, 220
DECISIONS = {
    "accept": ("Accept", ":material/check:"),
    "reject": ("Reject", ":material/close:"),
    "rescue": ("Rescue", ":material/healing:"),
    "flag": ("Flag", ":material/flag:"),
    "use_as_seed": ("Use as seed", ":material/psychiatry:"),
}
COLOURS = {"kept": "blue", "dropped": "gray"}


def show(service: Desk, run_id: str, subject: str) -> None:
    """Everything that is known of a task."""
    found = service.store.read(lineage.record, run_id, subject)
    if found is None:
        cards.card(f"There is no task {subject!r} in this run.", "Click a point of the map.", key="map_record_gone")
        return
    with st.container(key="map_record", border=True):
        _head(found)
        for part in ("instruction", "input", "output"):
            if found[part]:
                st.caption(part)
                with st.container(height=LONG_TEXT_PX) if len(found[part]) > LONG_TEXT else st.container():
                    st.text(_cut(found[part]))
        if subject.startswith("candidate:"):
            _lineage(found)
            if found["call"]:
                _prompt(service, run_id, found["call"])
            _decide(service, found)
        elif "made" in found:
            _seed(found)
    _neighbours(service, run_id, found)


def _head(found: Mapping[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        status = found.get("verdict") or ("seed" if "made" in found else found["subject"].partition(":")[0])
        st.badge(status, color=COLOURS.get(status, "orange"))
        if found.get("decision"):
            st.badge(f"{words.plain(found['decision'])} by {found['decided_by']}", color="violet")
        st.caption(found["subject"].partition(":")[2])
        st.space("stretch")
        st.button("Close", icon=":material/close:", key="map_close", on_click=focus.clear)


def _lineage(found: Mapping[str, Any]) -> None:
    lines = []
    if found["verdict"] == "dropped":
        lines.append(f"Dropped at {found['stage']}: {words.plain(found['reason'])}.")
    if found["max_rouge_l"] is not None:
        lines.append(f"Max ROUGE-L {found['max_rouge_l']:.3f} to a {words.plain(found['nearest_source'])}.")
    if call := found["call"]:
        place = f"Call {call['call_index']} of window {found['iteration']}"
        lines.append(f"{place}, {call['model']}, {call['prompt_version']}.")
    if found["step"]:
        norm = "" if found["grad_norm"] is None else f", gradient norm {found['grad_norm']:.2f}"
        loss = "" if found["loss"] is None else f", own loss {found['loss']:.3f}"
        star = ", the window’s attractive batch" if found["attractive"] else ""
        lines.append(f"Batch of step {found['step']}{norm}{loss}{star}.")
    if found["promoted"]:
        lines.append("Promoted: it is a seed of this run.")
    st.text("\n".join(lines))
    if step := found["step"]:
        label = f"Batch of step {step} on the map"
        st.button(label, icon=":material/grid_view:", key="map_to_batch", on_click=focus.show_step, args=(step,))
    if nearest := found["nearest"]:
        st.caption("difference to its nearest: [-only in the nearest-] {+only here+}")
        st.code(difference(_cut(nearest["instruction"]), _cut(found["instruction"])), language=None, wrap_lines=True)
    if found["seeds"]:
        st.caption("seeds in its prompt")
        for seed in found["seeds"]:
            _link(seed)


def _prompt(service: Desk, run_id: str, call: Mapping[str, Any]) -> None:
    """The request as it was sent, and the reply as it came, read only when asked for."""
    if not st.toggle("Show its prompt and reply", key="map_prompt"):
        return
    at = (call["call_index"], call["stage"], -1, call["attempt"])
    sent = service.store.read(probes.call, run_id, *at)
    ask = cards.attempt(rendered, service.store.folder, run_id, sent) if sent else None
    if ask is None:
        cards.notice()
    else:
        st.code(said(ask.request), language=None, wrap_lines=True, height=LONG_TEXT_PX)
    if sent and sent["raw_reply"]:
        st.code(sent["raw_reply"], language=None, wrap_lines=True, height=LONG_TEXT_PX)


def _seed(found: Mapping[str, Any]) -> None:
    credit = "none yet" if found["credit"] is None else f"{found['credit']:+.3f}"
    st.text(
        f"{words.plain(found['status']).capitalize()} in S ({found['reason']}). Credit {credit}. "
        f"Its calls made {found['made']:,} candidates, {found['kept']:,} kept."
    )


def _link(task: Mapping[str, Any]) -> None:
    left, right = st.columns([1, 8], vertical_alignment="center", gap="small")
    left.button("", icon=":material/my_location:", key=f"map_go_{task['subject']}", help="Look at it",
                on_click=focus.show_item, args=(task["subject"],))  # fmt: skip
    right.text(task["instruction"][:200])


def _decide(service: Desk, found: Mapping[str, Any]) -> None:
    ident = found["candidate_id"]
    with st.container(horizontal=True, gap="small"):
        for kind in fitting(found):
            label, icon = DECISIONS[kind]
            if command.button(service.decisions.of_candidates, label, icon=icon, key=f"map_{kind}"):
                decide(service, [ident], kind)
        if found["decision"] and command.button(
            service.decisions.of_candidates, "Undo", icon=":material/undo:", key="map_undo"
        ):
            decide(service, [ident], "undo")


def fitting(found: Mapping[str, Any]) -> list[str]:
    """Decisions that make sense for a candidate."""
    own = ("rescue", "flag") if found["verdict"] == "dropped" else ("accept", "reject", "flag")
    return [*own, "use_as_seed"] if found["output"] else list(own)


def decide(service: Desk, idents: list[str], kind: str) -> None:
    """Write the same decision on each, and draw the page again."""
    cards.attempt(service.decisions.of_candidates, idents, kind)
    st.rerun()


def _neighbours(service: Desk, run_id: str, found: Mapping[str, Any]) -> None:
    mark = service.store.read(map_view.mark, run_id)
    near = _near(service.store, str(service.store.folder), run_id, found["subject"], mark)
    for name, rows in near.items():
        if rows:
            st.caption(f"nearest by {name}")
            columns = {"score": name.partition(" ")[0], "status": "status", "instruction": "instruction"}
            key = f"map_neighbours_{name.partition(' ')[0].lower().replace('-', '_')}"
            table(rows, columns, key, score=number(80, format="%.3f"), status=text(80), instruction=text(260))


@st.cache_resource(max_entries=64, show_spinner=False)
def _near(
    _store: Reader, folder: str, run_id: str, subject: str, mark: tuple[Any, ...]
) -> dict[str, list[dict[str, Any]]]:
    return neighbours(_store, run_id, subject)


def difference(before: str, after: str) -> str:
    """Both texts as one, token by token: [-only before-] and {+only after+}."""
    marks = {"same": "{}", "gone": "[-{}-]", "added": "{{+{}+}}"}
    return " ".join(marks[how].format(part) for how, part in differing(before, after))


def _cut(whole: str) -> str:
    if len(whole) <= SHOWN_TEXT:
        return whole
    return f"{whole[:SHOWN_TEXT]} … ({len(whole):,} characters in all)"

"""The family of a seed as a tree: what it descends from, its kept children, and what descends from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from sedi_engine.curation import family
from sedi_engine.curation.family import Member
from store import ledger

KEY = "seeds_ledger_family"
MEMBERS_SHOWN, CHILDREN_SHOWN, TEXT_SHOWN = 60, 5, 110
LONG, LONG_PX = 20, 460
ALL = 2**31
Rows = Sequence[Mapping[str, Any]]


def show(service: Any, run_id: str, seed_id: str, rows: Rows) -> None:
    """The family of a seed; `rows` is the run's ledger."""
    lineage = service.store.read(ledger.lineage, run_id)
    before, after = family.ancestors(seed_id, lineage), family.descendants(seed_id, lineage)
    st.caption(
        f"Family: {_people(before)} before it, {_people(after)} after it. ← made of a candidate whose prompt showed; "
        "→ became a seed; · kept child."
    )
    known = {row["seed_id"]: row for row in rows}
    shown = [seed_id, *(one.seed_id for one in after if not one.again)][:MEMBERS_SHOWN]
    children = service.store.read(ledger.first_children, run_id, shown, CHILDREN_SHOWN)
    with st.container(key=KEY):
        # Neither wrapped nor read as markup, so that the tree keeps its shape.
        lines = _tree(seed_id, before, after, known, children)
        st.code("\n".join(lines), language=None, height=LONG_PX if len(lines) > LONG else "content")
    st.download_button(
        "Family as JSON", lambda: as_json(service, run_id, seed_id, rows), f"family-{_plain(seed_id)}.json",
        "application/json", key=f"{KEY}_json", icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def _people(members: Sequence[Member]) -> str:
    number = len({one.seed_id for one in members})
    return f"{number:,} seed{'' if number == 1 else 's'}"


def _tree(
    seed_id: str, before: Sequence[Member], after: Sequence[Member], known: Mapping[str, Any], children: Rows
) -> list[str]:
    """A line a member: its ancestors above it, nearest first, then itself, then all that came of it."""
    promoted = {one.through for one in after}
    lines = [_line(one.depth - 1, "←", one, known) for one in before[:MEMBERS_SHOWN]]
    lines += _rest(len(before), "ancestors")
    lines.append(_line(0, "●", Member(seed_id, 0), known))
    lines += _children(seed_id, 1, known, children, promoted)
    for one in after[:MEMBERS_SHOWN]:
        lines.append(_line(one.depth, "→", one, known))
        if not one.again:
            lines += _children(one.seed_id, one.depth + 1, known, children, promoted)
    return lines + _rest(len(after), "descendants")


def _line(depth: int, mark: str, one: Member, known: Mapping[str, Any]) -> str:
    row = known.get(one.seed_id)
    if one.again:
        return f"{_indent(depth)}{mark} {one.seed_id} (see above)"
    if row is None:
        return f"{_indent(depth)}{mark} {one.seed_id}"
    credit = "" if row["credit"] is None else f", credit {row['credit']:+.2f}"
    facts = f"{row['status']}, {row['kept']:,} children kept{credit}"
    return f"{_indent(depth)}{mark} {one.seed_id} [{facts}] {_short(row['instruction'])}"


def _children(
    seed_id: str, depth: int, known: Mapping[str, Any], children: Rows, promoted: set[str | None]
) -> list[str]:
    """The first kept children that did not become seeds, and how many more there are."""
    own = [row for row in children if row["seed_id"] == seed_id]
    lines = [
        f"{_indent(depth)}· {row['candidate_id']} {_short(row['instruction'])}"
        for row in own
        if row["candidate_id"] not in promoted
    ]
    more = (known[seed_id]["kept"] if seed_id in known else len(own)) - len(own)
    return [*lines, *([f"{_indent(depth)}· and {more:,} more kept children"] if more > 0 else [])]


def _rest(number: int, what: str) -> list[str]:
    return [f"… and {number - MEMBERS_SHOWN:,} more {what}"] if number > MEMBERS_SHOWN else []


def _indent(depth: int) -> str:
    return "   " * depth


def _short(words: str) -> str:
    """A text on one line of the tree."""
    line = " ".join(words.split())
    return line if len(line) <= TEXT_SHOWN else f"{line[: TEXT_SHOWN - 1]}…"


def _plain(name: str) -> str:
    """A name as part of a file's name."""
    return "".join(letter if letter.isalnum() else "-" for letter in name)[:80]


def as_json(service: Any, run_id: str, seed_id: str, rows: Rows) -> bytes:
    """The whole family: each seed once with its texts, counts and parents, and all its kept children."""
    lineage = service.store.read(ledger.lineage, run_id)
    before, after = family.ancestors(seed_id, lineage), family.descendants(seed_id, lineage)
    made_of = {row["seed_id"]: row for row in lineage}
    names = list(dict.fromkeys([*(one.seed_id for one in before), seed_id, *(one.seed_id for one in after)]))
    children: dict[str, list[dict[str, Any]]] = {}
    for child in service.store.read(ledger.first_children, run_id, [seed_id, *(one.seed_id for one in after)], ALL):
        children.setdefault(child.pop("seed_id"), []).append(child)
    known = {row["seed_id"]: row for row in rows}
    facts = ("status", "origin", "instruction", "input", "output", "calls", "kept", "dropped", "reasons", "credit")
    seeds = [
        {
            "seed_id": name,
            **{field: known[name][field] for field in facts if name in known},
            "made_of": made_of[name]["candidate_id"] if name in made_of else None,
            "parents": made_of[name]["parents"] if name in made_of else [],
            "kept_children": children.get(name, []),
        }
        for name in names
    ]
    return json.dumps({"run_id": run_id, "seed_id": seed_id, "seeds": seeds}, ensure_ascii=False, indent=1).encode()

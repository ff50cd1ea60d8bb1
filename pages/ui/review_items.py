"""Open items as the review block shows them: texts, cut where they are long, and the evidence beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.ui import words
from sedi_engine.curation import surroundings
from sedi_engine.curation.differing import differing
from sedi_engine.curation.surroundings import Surroundings
from store import neighbourhood
from store.database import Reader

SHOWN_TEXT, SHOWN_LINE = 4000, 160
VERDICTS = {"kept": "blue", "dropped": "gray"}
KEYS = {
    "promote": {"accept": "Promote", "reject": "Reject", "edit": "Edit and promote", "flag": None},
    "evict": {"accept": "Let it leave", "reject": "Keep the seed", "edit": None, "flag": None},
    "library": {"accept": "Keep in library", "reject": "Take out", "flag": None},
    "blind": {"accept": "Should be a seed", "reject": "Should not", "edit": None, "flag": None},
    "dropped": {"accept": "Rescue", "reject": "Confirm the drop"},
}
Row = Mapping[str, Any]


def around(store: Reader, run_id: str) -> Surroundings:
    """The vectors of a run, read again only when there are more of them or the map is another."""
    return _around(store, str(store.folder), run_id, store.read(neighbourhood.mark))


@st.cache_resource(max_entries=2, show_spinner="Reading the vectors …")
def _around(_store: Reader, folder: str, run_id: str, mark: tuple[Any, ...]) -> Surroundings:
    return Surroundings.of_run(_store, run_id)


def built(store: Reader, run_id: str, queue: str, rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Items by subject. The items of a blind test are texts and nothing else."""
    if queue == "blind":
        return {row["subject"]: _item(row, KEYS["blind"], [["blind test", "violet"]], {}) for row in rows}
    found = _evidence(store, run_id, rows)
    return {row["subject"]: _item(row, _keys(row), _badges(row), found) for row in rows}


def _task(row: Row) -> str:
    """The subject of the task that an item is about."""
    kind, _, ident = row["subject"].partition(":")
    if kind != "proposal":
        return f"{kind}:{ident}"
    return f"{'seed' if row['kind'] == 'evict' else 'candidate'}:{row['subject_id']}"


def _evidence(store: Reader, run_id: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Everything that the items of one drawing need to know of their surroundings, each thing read once."""
    tasks = [_task(row) for row in rows]
    candidates = [task.partition(":")[2] for task in tasks if task.startswith("candidate:")]
    nearest = around(store, run_id).nearest(tasks)
    near = [subject for found in nearest.values() for subject, _ in found]
    calls = [row["call_index"] for row in rows if row.get("call_index") is not None]
    prompts = store.read(neighbourhood.prompts, run_id, calls)
    compared = [row["nearest_id"] for row in rows if row.get("nearest_id")]
    shown = [ident for call in prompts.values() for ident in call["demo_seed_ids"]]
    return {
        "ranks": store.read(neighbourhood.ranks, run_id, candidates),
        "nearest": nearest,
        "known": store.read(neighbourhood.known, near),
        "prompts": prompts,
        "texts": store.read(neighbourhood.texts, [*compared, *shown]),
        "places": surroundings.places(store, tasks),
        "history": store.read(neighbourhood.history, [*tasks, *(row["subject"] for row in rows)]),
    }


def _item(
    row: Row, keys: Mapping[str, str | None], badges: list[list[str]], found: Mapping[str, Any]
) -> dict[str, Any]:
    full = [row["instruction"], row["input"], row["output"]]
    task = _task(row)
    near = found["texts"].get(row["nearest_id"]) if found and row.get("nearest_id") else None
    call = found["prompts"].get(row.get("call_index")) if found else None
    return {
        "subject": row["subject"],
        "seen": row.get("seen", 0),
        "title": "" if not found else row["subject"].partition(":")[2],
        "task": task if found else "",
        "badges": badges,
        "keys": dict(keys),
        "editable": keys.get("edit", "Edit") is not None,
        "full": full,
        "texts": [
            _text(name, text) for name, text in zip(("instruction", "input", "output"), full, strict=True) if text
        ],
        "diff": differing(near[:SHOWN_TEXT], full[0][:SHOWN_TEXT]) if near else None,
        "facts": _facts(row, found) if found else [],
        "seeds": [_line(found["texts"].get(ident, ident)) for ident in call["demo_seed_ids"]] if call else [],
        "near": [_near(found["known"].get(subject), score) for subject, score in found["nearest"].get(task, ())]
        if found
        else [],
        "place": found["places"].get(task) if found else None,
        "history": [_said(one) for one in found["history"].get(row["subject"], ())] if found else [],
    }


def _text(name: str, text: str) -> list[str]:
    cut = len(text) > SHOWN_TEXT
    return [name, text[:SHOWN_TEXT], f"… {len(text):,} characters in all" if cut else ""]


def _line(text: str) -> str:
    line = " ".join(text[: 2 * SHOWN_LINE].split())
    return line if len(line) <= SHOWN_LINE else f"{line[: SHOWN_LINE - 1]}…"


def _near(known: Row | None, score: float) -> list[str]:
    if known is None:
        return [f"{score:.2f}", "gone", ""]
    status = known["verdict"] or "seed"
    if known["decision"]:
        status = f"{words.plain(known['decision'])} by {known['by']}"
    return [f"{score:.2f}", status, _line(known["instruction"])]


def _said(decision: Row) -> str:
    reason = f" ({words.plain(decision['reason'])})" if decision["reason"] else ""
    return f"{decision['at']:%Y-%m-%d %H:%M} {decision['by']}: {words.plain(decision['kind'])}{reason}"


def _keys(row: Row) -> Mapping[str, str | None]:
    kind = row["subject"].partition(":")[0]
    if kind == "proposal":
        return KEYS[row["kind"]]
    if kind == "seed":
        return KEYS["library"]
    return KEYS["dropped"] if row["verdict"] == "dropped" else {}


def _badges(row: Row) -> list[list[str]]:
    kind = row["subject"].partition(":")[0]
    if kind == "proposal":
        return [[row["kind"], "green" if row["kind"] == "promote" else "orange"]]
    if kind == "seed":
        return [["library seed", "orange"], [row["origin"], "gray"]]
    made = [[row["verdict"], VERDICTS[row["verdict"]]]]
    if row["reason"]:
        made.append([words.plain(row["reason"]), "red"])
    if row["flagged"]:
        made.append(["flagged", "violet"])
    made += [[words.plain(flag), "red"] for flag in row["flags"]]
    if row["decision"]:
        made.append([f"{words.plain(row['decision'])} by {row['decided_by']}", "violet"])
    return made


def _facts(row: Row, found: Mapping[str, Any]) -> list[str]:
    lines = []
    if row["subject"].startswith("proposal:"):
        lines.append(words.evidence(row["kind"], row["evidence"]).replace("; ", "\n"))
    if row.get("max_rouge_l") is not None:
        to = f" to {row['nearest_id']} ({words.plain(row['nearest_source'])})" if row["nearest_id"] else ""
        lines.append(f"Max ROUGE-L {row['max_rouge_l']:.3f}{to}")
    if call := found["prompts"].get(row.get("call_index")):
        lines.append(
            f"Call {row['call_index']} of window {row['iteration']}, {call['model']}, {call['prompt_version']}"
        )
    if ranks := found["ranks"].get(_task(row).partition(":")[2]):
        star = ", the window’s attractive batch" if ranks["attractive"] else ""
        lines.append(
            f"Batch of step {ranks['step']}: gradient norm {ranks['grad_norm']:.3f}, "
            f"number {ranks['norm_rank']} of its window{star}"
        )
        lines.append(f"Own loss {ranks['loss']:.3f}, number {ranks['loss_rank']} of {ranks['trained']} trained with it")
    return lines

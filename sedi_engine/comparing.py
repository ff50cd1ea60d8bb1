"""Two runs side by side: their settings, where they ran, their figures and their data sets."""

from __future__ import annotations

from typing import Any

from sedi_engine.config import RunConfig
from sedi_engine.errors import InputError, NotFoundError
from store import history, runs, views
from store.database import Cursor, Reader

NOT_COMPARED = ("preset",)
FIGURES = ("asked", "parsed", "kept", "calls", "prompt_tokens", "completion_tokens", "cost_usd", "batches", "steps")
RATIOS = {
    "kept of parsed": ("kept", "parsed"),
    "parsed of asked": ("parsed", "asked"),
    "calls per kept": ("calls", "kept"),
    "completion tokens per kept": ("completion_tokens", "kept"),
    "USD per kept": ("cost_usd", "kept"),
}


def compare(store: Reader, first: str, second: str) -> dict[str, Any]:
    """What differs between two runs, JSON-ready; every pair is (first's, second's).

    `settings` and `provenance` hold what differs alone; `figures` all counts and ratios, None where a ratio has
    nothing to divide by; `data` what `store.history.shared` counts. Raises NotFoundError, or InputError for one run
    twice.
    """
    if first == second:
        raise InputError(f"{first} is compared with itself.", "Name two runs.")
    return store.read(views.consistent, _compare, first, second)


def _compare(cursor: Cursor, first: str, second: str) -> dict[str, Any]:
    summaries = [_found(runs.summary(cursor, run_id), run_id) for run_id in (first, second)]
    configs = [RunConfig.model_validate((runs.get(cursor, run_id) or {})["config"]) for run_id in (first, second)]
    return {
        "first": first,
        "second": second,
        "settings": _differing(*(config.dotted() for config in configs)),
        "provenance": _differing(*(history.provenance(cursor, run_id) for run_id in (first, second))),
        "figures": _figures(*summaries),
        "data": history.shared(cursor, first, second),
    }


def _found(summary: dict[str, Any] | None, run_id: str) -> dict[str, Any]:
    if summary is None:
        raise NotFoundError(f"There is no run {run_id!r}.", "`runs` lists those there are.")
    return summary


def _differing(one: dict[str, Any], other: dict[str, Any]) -> dict[str, list[Any]]:
    names = [name for name in dict.fromkeys((*one, *other)) if name not in NOT_COMPARED]
    return {name: [one.get(name), other.get(name)] for name in names if one.get(name) != other.get(name)}


def _figures(one: dict[str, Any], other: dict[str, Any]) -> dict[str, list[Any]]:
    found = {name.replace("_", " "): [one[name], other[name]] for name in FIGURES}
    found |= {name: [_ratio(run, *pair) for run in (one, other)] for name, pair in RATIOS.items()}
    reasons = sorted({*one["dropped"], *other["dropped"]})
    return found | {f"dropped: {why}": [run["dropped"].get(why, 0) for run in (one, other)] for why in reasons}


def _ratio(summary: dict[str, Any], above: str, below: str) -> float | None:
    return summary[above] / summary[below] if summary[above] is not None and summary[below] else None

"""The parts of a run that a person watches: state, progress, counts, charts, candidates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.ui import cards, pictures, saving, training_charts, words
from pages.ui.live import FEED_ROWS, tail
from pages.ui.tables import number, table, text
from sedi_engine.costs import projected
from store import runs, views
from store.database import Reader

GENERATING = 0.7
FEED = {
    "verdict": "verdict",
    "reason": "reason",
    "flags": "flags",
    "instruction": "instruction",
    "output": "output",
    "max_rouge_l": "max ROUGE-L",
    "nearest": "nearest text",
    "nearest_source": "nearest is",
    "iteration": "window",
    "candidate_id": "candidate",
}


def state(summary: Mapping[str, Any], pulse: Mapping[str, Any]) -> None:
    """Status and phase in words, and how far the run has come."""
    label, colour = words.STATUS[summary["status"]]
    done = progress(summary)
    with st.container(horizontal=True, vertical_alignment="center", key="generate_state"):
        st.badge(label, color=colour)
        if summary["phase"]:
            st.text(words.PHASE[summary["phase"]])
        st.text(f"{summary['iteration']} of {summary['iterations']} iterations done")
        st.text(f"{words.duration(pulse['elapsed_s'])} of work")
        if summary["status"] == "running" and 0 < done < 1:
            st.text(f"about {words.duration(pulse['elapsed_s'] * (1 - done) / done)} to go")
    st.progress(done)


def progress(summary: Mapping[str, Any]) -> float:
    """Share of the run that is done, 0 to 1: filling a window counts 0.7 of an iteration, training it the rest."""
    if summary["status"] == "completed":
        return 1.0
    per_window = max(1, summary["window"] // max(1, summary["batch_size"]))
    trained = summary["steps"] - summary["iteration"] * per_window
    filled = 1.0 if summary["phase"] not in ("loading", "generate", None) else summary["queued"] / summary["window"]
    part = GENERATING * min(1.0, filled) + (1 - GENERATING) * min(1.0, max(0, trained) / per_window)
    return min(1.0, (summary["iteration"] + part) / summary["iterations"])


def told(store: Reader, summary: Mapping[str, Any]) -> None:
    """What ended the run, what waits for a person, and what the run warned of."""
    if end := words.end_of(summary):
        cards.card(*end, colour="red" if summary["status"] in ("failed", "interrupted") else "orange")
    if summary["status"] == "waiting_for_review":
        cards.waiting(summary["proposals_open"], summary["iteration"], "generate_waiting")
    for warning in store.read(views.warnings, summary["run_id"]):
        cards.card(warning, colour="orange", title="Warning")


def counts_and_charts(store: Reader, summary: Mapping[str, Any], pulse: Mapping[str, Any]) -> None:
    """Counts that add up beside loss and gradient norm."""
    left, right = st.columns([5, 8], gap="medium")
    with left:
        _counts(store, summary, pulse)
    with right:
        st.subheader("Training", anchor=False)
        if summary["device"]:
            st.caption(f"On {summary['device']}, {summary['precision']}.")
        seen = tail(summary["run_id"])
        seen.refresh(store, pulse["iteration"])
        if seen.steps:
            shown = {summary["run_id"]: seen.steps}
            figure = pictures.once(training_charts.curves, shown, "raw", log=False, lit=(), height=400)
            alt = "Loss and gradient norm over optimiser steps"
            saving.chart(figure, "generate_training", alt, lambda: seen.steps)
        else:
            st.caption("The chart begins with the first optimiser step, once a window is full.")


def _counts(store: Reader, summary: Mapping[str, Any], pulse: Mapping[str, Any]) -> None:
    st.subheader("Counts", anchor=False)
    with st.container(key="generate_counts"):
        st.text("\n".join(words.equations(summary)))
        table(count_rows(summary), {name: name for name in ("count", "tasks", "share")}, "generate_count_rows")
        st.text(f"{words.spent(summary)}\n{_ahead(store, summary, pulse)}")


def _ahead(store: Reader, summary: Mapping[str, Any], pulse: Mapping[str, Any]) -> str:
    """What the run will have cost at its end, and what its caps let it do."""
    done = progress(summary)
    run = store.read(runs.get, summary["run_id"])
    said = words.caps(summary, run["config"]["budget"], pulse["elapsed_s"], done)
    at_end = projected(summary["cost_usd"], done) if summary["status"] == "running" else None
    return f"About {words.usd(at_end)} at its end. {said}" if at_end else said


def count_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Asked, parsed, failed by cause, kept, dropped by reason: each with its number and its share of what."""
    asked, parsed = summary["asked"], summary["parsed"]
    causes = {cause: n for cause, n in summary["failed_by_cause"].items() if n}
    rows = [("asked", asked, ""), ("parsed", parsed, f"{words.share(parsed, asked)} of asked")]
    rows += [(f"failed: {cause}", n, f"{words.share(n, asked)} of asked") for cause, n in causes.items()]
    rows.append(("kept", summary["kept"], f"{words.share(summary['kept'], parsed)} of parsed"))
    rows += [(f"dropped: {why}", n, f"{words.share(n, parsed)} of parsed") for why, n in summary["dropped"].items()]
    flags = summary["flags"].items()
    rows += [(f"flag: {words.plain(flag)}", n, f"{words.share(n, parsed)} of parsed, a note") for flag, n in flags]
    if summary["surplus"]:
        rows.append(("surplus, not read", summary["surplus"], "outside parsed"))
    return [{"count": name, "tasks": tasks, "share": share} for name, tasks, share in rows]


def feed(store: Reader, summary: Mapping[str, Any]) -> None:
    """The newest candidates with their verdicts; text of the model is only ever a cell."""
    st.subheader("Candidates, newest first", anchor=False)
    rows = tail(summary["run_id"]).feed
    if not rows:
        st.caption("They appear here as soon as the first reply is judged.")
        return
    st.caption(f"The newest {len(rows):,} of {summary['parsed']:,} parsed; at most {FEED_ROWS} are shown.")
    table(
        [{**row, "flags": words.cell(row["flags"])} for row in rows],
        FEED,
        "generate_feed",
        height=420,
        verdict=text(70, pinned=True),
        reason=text(90),
        flags=text(80),
        instruction=text(320),
        output=text(260),
        max_rouge_l=number(95, format="%.3f", help="Exact where at least 0.5."),
        nearest=text(240),
        nearest_source=text(90),
        iteration=number(65),
    )

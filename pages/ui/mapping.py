"""The map of one run as the page needs it: its rows, what of them is shown, and another threshold beside the run's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from pages.ui import focus, scatter
from pages.ui.focus import Corners
from sedi_engine.replay import Replay, of_run
from store import aims, map_view
from store.database import Reader

MOST_DRAWN = 10_000
MOST_DRAWN_SVG = 2_000
SEARCH_SCORE = 90  # a letter in ten may differ
COLOURS = {
    "status": "Status",
    "reason": "Drop reason",
    "cluster": "Cluster",
    "batch": "Batch",
    "iteration": "Iteration",
    "origin": "Origin",
    "max_rouge_l": "Max ROUGE-L",
    "loss": "Loss",
    "credit": "Seed credit",
}
SAVED = [
    "subject",
    "x",
    "y",
    "status",
    "reason",
    "iteration",
    "step",
    "origin",
    "max_rouge_l",
    "loss",
    "credit",
    "instruction",
]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class View:
    """What the controls ask for; a threshold that is not the run's gives the rows other statuses."""

    colour: str = "status"
    search: str = ""
    show: str = "all"
    iteration: int | None = None
    threshold: float | None = None


def frame(store: Reader, run_id: str) -> pd.DataFrame:
    """Every placed task of the run's part of the map; read again only when something changed: `attrs["mark"]`."""
    return _frame(store, str(store.folder), run_id, store.read(map_view.mark, run_id))


@st.cache_resource(max_entries=8, show_spinner="Reading the map …")
def _frame(_store: Reader, folder: str, run_id: str, mark: tuple[Any, ...]) -> pd.DataFrame:
    rows = _store.read(map_view.frame, run_id)
    rows["batch"] = [None if pd.isna(step) else f"step {step}" for step in rows["step"]]
    rows["cluster"] = [
        None if pd.isna(cluster) else f"window {window}, {cluster}"
        for window, cluster in zip(rows["cluster_window"], rows["cluster"], strict=True)
    ]
    rows["hover"] = [scatter.hover(text) for text in rows["instruction"]]
    # A seed that joins for the next window is there once the window that made it is over.
    last = rows.loc[rows["kind"] == "candidate", "iteration"].max()
    rows["since"] = rows["iteration"] if pd.isna(last) else rows["iteration"].clip(upper=last)
    aimed = set(_store.read(aims.iterations, run_id))
    rows["iteration"] = [
        f"window {number}{', aimed' * (number in aimed)}" if number else "start" for number in rows["iteration"]
    ]
    rows.attrs["mark"] = mark
    return rows


def replayed(store: Reader, run_id: str, threshold: float, judged: int) -> Replay:
    """The run's candidates at another threshold; computed once for each threshold and length of the log."""
    return _replayed(store, str(store.folder), run_id, threshold, judged)


@st.cache_resource(max_entries=64, show_spinner="Replaying the filter …")
def _replayed(_store: Reader, folder: str, run_id: str, threshold: float, judged: int) -> Replay:
    return of_run(_store, run_id, threshold)[0]


def beside(rows: pd.DataFrame, replay: Replay) -> pd.Series:
    """What another threshold changes for each row judged again: kept at both, appears, disappears, dropped at both."""
    there = rows["ident"].isin(set(replay.kept_ids))
    here = rows["status"].isin(["kept", "rejected"])
    changed = np.select(
        [there & here, there & ~here, here], ["kept at both", "appears", "disappears"], "dropped at both"
    )
    return rows["status"].where(~rows["ident"].isin(replay.judged_ids), changed)


def shown(rows: pd.DataFrame, view: View) -> Mask:
    """Which rows pass the controls; the others stay as grey context."""
    passes = np.ones(len(rows), dtype=bool)
    if view.show != "all":
        passes &= ((rows["kind"] != "candidate") | (rows["status"] == view.show)).to_numpy()
    if view.iteration is not None:
        passes &= (rows["since"] <= view.iteration).to_numpy()
    if view.search:
        passes &= found(rows, view.search)
    return passes


def found(rows: pd.DataFrame, words: str) -> Mask:
    """Which instructions hold something like these words."""
    from rapidfuzz import fuzz, process, utils

    clean = utils.default_process(words)
    texts = [utils.default_process(text) for text in rows["instruction"]]
    scores = process.cdist([clean], texts, scorer=fuzz.partial_ratio, score_cutoff=SEARCH_SCORE)[0]
    return np.asarray(scores) >= SEARCH_SCORE


def chosen(rows: pd.DataFrame, step: int | None, subject: str | None = None, corners: Corners = ()) -> Mask:
    """Which rows are looked at: a batch, one task, or a region."""
    if step is not None:
        return of_step(rows, step)
    if subject:
        return (rows["subject"] == subject).to_numpy()
    if corners:
        return focus.inside(rows["x"], rows["y"], corners)
    return np.zeros(len(rows), dtype=bool)


def of_step(rows: pd.DataFrame, step: int) -> Mask:
    """Which rows were in the batch of a step."""
    return (rows["step"] == step).fillna(False).to_numpy(dtype=bool)


def drawn(rows: pd.DataFrame, passes: Mask, always: Mask, most: int) -> pd.DataFrame:
    """At most `most` rows: what must be there, then what passes, then context; each part a stable sample."""
    if len(rows) <= most:
        return rows
    rank = np.where(always, 0, np.where(rows["kind"] == "seed", 1, np.where(passes, 2, 3)))
    kept = np.argsort(rank, kind="stable")[:most]
    return rows.iloc[np.sort(kept)]

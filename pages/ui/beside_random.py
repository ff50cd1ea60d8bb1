"""A batch beside the same items dealt at random, over many shuffles, and the pairs in it that are most alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from pages.ui import batch_charts, pictures, saving
from pages.ui.tables import number, table, text
from sedi_engine import batch_study
from sedi_engine.batch_study import Standing
from sedi_engine.desk import Desk
from store import maps
from store.database import Reader

MEASURE_WORDS = {
    "distinct_clusters": "distinct clusters",
    "largest_share": "largest cluster’s share",
    "vendi": "Vendi score",
    "mean_distance": "mean cosine distance",
    "near_duplicates": "near-duplicate pairs",
}
STANDING = {"measure": "measure", "own": "this batch", "random": "random: median (5 to 95 %)", "beats": "beats"}


@st.cache_resource(max_entries=64, show_spinner="Dealing the same items at random …")
def _control(
    _store: Reader,
    _subjects: Sequence[str],
    _clusters: Sequence[int],
    folder: str,
    iteration: int,
    size: int,
    content: int,
    embedded: int,
):
    """The random batches of a window, and its vectors in the order of its subjects; None while some have no vector.

    `content` is a hash of subjects and clusters, `embedded` the number of vectors that there are.
    """
    known, vectors = _store.read(maps.vectors, _subjects)
    if len(known) < len(_subjects):
        return None
    return vectors, batch_study.random_measures(vectors, _clusters, size, seed=iteration)


def show(
    service: Desk, run_id: str, batch: dict[str, Any], of_window: list[dict[str, Any]], rows: list[dict[str, Any]]
) -> None:
    """Where each of its measures stands among random batches, and its nearest pairs."""
    st.subheader("Beside the same items at random", anchor=False)
    subjects = tuple(row["subject"] for row in of_window)
    clusters = tuple(row["cluster"] for row in of_window)
    store, of_batch = service.store, (batch["iteration"], len(rows))
    known = (hash((subjects, clusters)), store.read(maps.embedded))
    found = _control(store, subjects, clusters, str(store.folder), *of_batch, *known)
    if found is None:
        st.caption("Drawn once the window is embedded.")
        return
    vectors, at_random = found
    places = {subject: at for at, subject in enumerate(subjects)}
    own = vectors[[places[row["subject"]] for row in rows]]
    standings = batch_study.standings(batch, at_random)
    with st.container(key="batches_compare"):
        whole = f"the same {len(subjects)} tasks of window {batch['iteration']}"
        st.caption(f"{batch_study.SHUFFLES} random batches of {len(rows)} from {whole}.")
        table([_row(one) for one in standings], STANDING, "batches_standings")
        figure = pictures.once(batch_charts.among_random, at_random, batch, MEASURE_WORDS)
        saving.chart(figure, "batches_random", "This batch among random ones", lambda: _shuffles(at_random))
    st.caption("nearest pairs inside the batch")
    pairs = [
        {"cosine": cosine, "one": rows[i]["instruction"], "other": rows[j]["instruction"]}
        for i, j, cosine in batch_study.nearest_pairs(own)
    ]
    shown = {"cosine": "cosine", "one": "one", "other": "other"}
    table(pairs, shown, "batches_pairs", cosine=number(80, format="%.3f"), one=text(480), other=text(480))


def _shuffles(at_random: dict[str, Any]) -> list[dict[str, float]]:
    return [
        {"shuffle": number, **{name: float(values[number]) for name, values in at_random.items()}}
        for number in range(batch_study.SHUFFLES)
    ]


def _row(one: Standing) -> dict[str, str]:
    how = "{:.0%}" if one.measure == "largest_share" else "{:.3g}"
    value, low, median, high = (how.format(x) for x in (one.value, one.low, one.median, one.high))
    return {
        "measure": MEASURE_WORDS[one.measure],
        "own": value,
        "random": f"{median} ({low} to {high})",
        "beats": f"{one.better_than:.0%} of them",
    }

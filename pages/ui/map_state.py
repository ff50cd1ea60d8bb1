"""How the map itself stands: brought up to date on its own, fitted anew only when a person asks."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.ui import cards, command, words
from sedi_engine.desk import Desk, Map
from sedi_engine.mapping.job import why_refit
from store import map_view, maps
from store.database import Reader

POLL_S = 1.0
TRIED = "map_tried"


def show(service: Desk, run_id: str) -> bool:
    """Bring the map up to date if it is not, and say how that goes; whether there is a map to draw."""
    held, waiting = counts(service, run_id)
    if not held:
        cards.card("There is nothing to draw: no seed and no candidate.", "Start a run on Generate.", "blue")
        return False
    progress = service.map.progress
    if progress.error is not None:
        cards.error(progress.error)
    if not service.person.may("annotator"):
        _left_out(waiting)
    elif waiting and progress.doing is None and st.session_state.get(TRIED) != (run_id, waiting):
        st.session_state[TRIED] = (run_id, waiting)
        cards.attempt(service.map.update, run_id)
    busy = service.map.progress.doing is not None
    st.fragment(_progress, run_every=POLL_S if busy else None)(service.map, busy)
    return service.store.read(maps.current) is not None


def _left_out(waiting: int) -> None:
    if waiting:
        said = "1 task is not on the map yet" if waiting == 1 else f"{waiting:,} tasks are not on the map yet"
        st.caption(f"{said}: it is brought up to date when an annotator or a researcher opens it.")


def counts(service: Desk, run_id: str) -> tuple[int, int]:
    """Tasks of a run's part of the map, and those of them that it does not show yet."""
    store = service.store
    return _counts(store, str(store.folder), run_id, store.read(map_view.mark, run_id))


@st.cache_resource(max_entries=32, show_spinner=False)
def _counts(_store: Reader, folder: str, run_id: str, mark: tuple[Any, ...]) -> tuple[int, int]:
    return _store.read(maps.held, run_id), _store.read(maps.waiting, run_id)


def _progress(worker: Map, was_busy: bool) -> None:
    """Always drawn, if only as nothing, so that the map below keeps its place in the page and with it its zoom."""
    now = worker.progress
    if now.doing is None:
        if was_busy:
            st.rerun()
        return
    said = {
        "starting": "The map is being brought up to date …",
        "embedding": f"Embedding {now.done:,} of {now.total:,} new tasks …",
        "fitting": f"Fitting the map on {now.total:,} anchors …",
        "placing": f"Placing {now.total:,} tasks …",
    }[str(now.doing)]
    with st.container(key="map_progress"):
        st.progress(now.done / now.total if now.total else 0.0, text=said)


def about(service: Desk, run_id: str) -> None:
    """Version, anchors, and the way to fit it anew, offered openly when it is due."""
    current = service.store.read(maps.current)
    if current is None:
        return
    if reason := why_refit(current):
        with st.container(border=True, horizontal=True, vertical_alignment="center", key="map_refit_offer"):
            st.badge("The map has been outgrown", icon=":material/map:", color="orange")
            st.text(reason)
            _refit(service, run_id, "map_refit_now")
    with st.popover("About this map", icon=":material/info:", key="map_about"):
        method = "UMAP" if current["method"] == "umap" else "principal components (too few points for UMAP)"
        moved = "" if current["moved"] is None else (
            f"\nThe last fit moved points by {current['moved']:.2f} map radii in the median."
        )  # fmt: skip
        st.text(
            f"Version {current['version']}, by {method}.\n"
            f"{words.count(current['anchors'])} anchors; {words.count(current['now'])} tasks on it, of all runs.\n"
            f"What comes later is placed between its nearest anchors: nothing else moves.{moved}"
        )
        _refit(service, run_id, "map_refit")


def _refit(service: Desk, run_id: str, key: str) -> None:
    busy = service.map.progress.doing is not None
    help_ = "Starts from this layout and is aligned to it; says how far points moved."
    if command.button(service.map.refit, "Fit it anew", icon=":material/refresh:", key=key, disabled=busy, help=help_):
        cards.attempt(service.map.refit, run_id)
        st.rerun()

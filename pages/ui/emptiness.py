"""Empty neighbourhoods beside the map: listed, outlined, and filled on demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.ui import cards, command
from pages.ui.focus import Corners
from sedi_engine.desk import Desk
from sedi_engine.holes import demonstrations, holes
from store import map_view, maps, recordings, views
from store.database import Reader

SHOWN = 5
ALIKE = 8


@dataclass(frozen=True)
class Region:
    """An empty neighbourhood: what its most central guide asks, its numbers, its outline, and what would be shown."""

    name: str
    guides: int
    kept: int
    expected: float
    outline: Corners
    demo_ids: tuple[str, ...]


def found(service: Desk, run_id: str, rows: pd.DataFrame) -> list[Region]:
    """The emptiest regions of a run's part of the map; computed again only when something changed."""
    store = service.store
    return _found(store, str(store.folder), run_id, store.read(map_view.mark, run_id), rows)


@st.cache_resource(max_entries=16, show_spinner="Looking for empty neighbourhoods …")
def _found(_store: Reader, folder: str, run_id: str, mark: tuple[Any, ...], _rows: pd.DataFrame) -> list[Region]:
    guides = _rows[_rows["status"].isin(["seed", "former seed", "reference"])].reset_index(drop=True)
    kept = _rows[_rows["status"].isin(["kept", "rescued"])].reset_index(drop=True)
    active = (guides["status"] == "seed").tolist()
    made = []
    of_guides, of_kept = (_store.read(maps.vectors, part["subject"].tolist())[1] for part in (guides, kept))
    for hole in holes(of_guides, of_kept)[:SHOWN]:
        seeds, filled = demonstrations(hole, active, ALIKE)
        own = guides.iloc[list(hole.guides)]
        made.append(
            Region(
                name=str(own["instruction"].iloc[0]),
                guides=len(own),
                kept=len(hole.kept),
                expected=hole.expected,
                outline=outline(own["x"].to_numpy(), own["y"].to_numpy()),
                demo_ids=(*guides["ident"].iloc[seeds], *kept["ident"].iloc[filled]),
            )
        )
    return made


def outline(x: np.ndarray, y: np.ndarray) -> Corners:
    """The convex hull of points, a little wider; a small square around points on one line."""
    from scipy.spatial import ConvexHull, QhullError

    points = np.column_stack([x, y]).astype(float)
    centre = points.mean(axis=0)
    try:
        corners = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):
        reach = max(0.1, float(np.abs(points - centre).max()))
        corners = centre + reach * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    return tuple((float(a), float(b)) for a, b in centre + 1.08 * (corners - centre))


def show(service: Desk, run_id: str, regions: list[Region]) -> None:
    """The list, and for each the iteration that would be aimed at it."""
    with st.container(key="map_holes"):
        st.subheader("Empty neighbourhoods", anchor=False)
        if not regions:
            st.caption("None: every region of the seeds has about its share of kept examples.")
            return
        st.caption("Regions of seeds and reference tasks with few kept examples; dotted on the map.")
        settings = service.store.read(views.settings, run_id)
        recorded = service.store.read(recordings.is_recording, run_id)
        fixed = recorded or settings["generator"]["kind"] == "stream"
        for place, region in enumerate(regions):
            with st.container(border=True, gap="xsmall"):
                st.text(f"like: {region.name[:120]}")
                st.text(
                    f"{region.kept} kept of about {region.expected:.0f} by its share; {region.guides} seeds and "
                    "reference tasks."
                )
                key = "map_generate_here" if place == 0 else f"map_generate_here_{place}"
                help_ = (
                    f"One iteration more whose prompts show only {len(region.demo_ids)} tasks of this region. It costs "
                    "what an iteration costs, is marked as aimed, and is left out of replays."
                )
                if command.button(
                    service.runs.generate_here,
                    "Generate here",
                    icon=":material/add_location:",
                    key=key,
                    help=help_,
                    disabled=fixed,
                ):
                    cards.attempt(service.runs.generate_here, run_id, region.demo_ids)
                    st.rerun()

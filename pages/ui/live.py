"""What a session has read of a run so far: each look fetches only what is new since the last."""

from __future__ import annotations

from typing import Any

import streamlit as st

from store import training, views
from store.database import Reader

FEED_ROWS = 200
CHART_STEPS = 3000


class Tail:
    """The newest candidates and the training steps of one run."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.feed: list[dict[str, Any]] = []
        self._steps: dict[tuple[int, int], dict[str, Any]] = {}
        self._window = 0

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The newest steps as `training.steps` gives them, each attempt's in order."""
        return [self._steps[taken] for taken in sorted(self._steps)[-CHART_STEPS:]]

    def refresh(self, store: Reader, finished_windows: int) -> None:
        """Read what came since: candidates of later calls, steps of windows that were not finished then."""
        last = self.feed[0]["call_index"] if self.feed else -1
        self.feed = (store.read(views.feed, self.run_id, last, FEED_ROWS) + self.feed)[:FEED_ROWS]
        self._steps = {taken: row for taken, row in self._steps.items() if row["iteration"] <= self._window}
        for row in store.read(training.steps, self.run_id, self._window + 1):
            self._steps[row["attempt"], row["step"]] = row
        self._window = finished_windows


def tail(run_id: str) -> Tail:
    """The session's tail of a run; the one of another run is let go."""
    kept = st.session_state.get("tail")
    if not isinstance(kept, Tail) or kept.run_id != run_id:
        kept = st.session_state["tail"] = Tail(run_id)
    return kept

"""The map of a store, brought up to date for a run: vectors for what has none, a fit where there is none, places.

Texts are embedded and the map is fitted in a process of its own, one order at a time; what it gives is in the store
piece by piece, so that a kill costs at most the piece under way.
"""

from __future__ import annotations

import contextlib
import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sedi_engine import process, project
from sedi_engine.errors import StudioError
from store import maps
from store.database import Store

MOST_ANCHORS = 10_000
RANDOM_SEED = 42
GROWN_RECORDS, GROWN_DISTANCE = 2.0, 1.5


@dataclass(frozen=True)
class Progress:
    """What is being done to the map (None: nothing), how much of it, and what went wrong the last time."""

    doing: str | None = None
    done: int = 0
    total: int = 0
    error: StudioError | None = None


class Maps:
    """Keeps the map of a store; requests wait for each other."""

    def __init__(self, store: Store) -> None:
        self._store, self._folder = store, store.folder / "maps"
        self._waiting: queue.Queue[tuple[str, bool] | None] = queue.Queue()
        self._lock, self._closing = threading.Lock(), False
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = 0
        self._idle = threading.Condition()
        self.progress = Progress()
        self._thread = threading.Thread(target=self._work, name="maps", daemon=True)
        self._thread.start()

    def update(self, run_id: str, *, refit: bool = False) -> None:
        """Bring the map up to date for a run, or fit it anew; does nothing more while that is under way."""
        with self._idle:
            if self._asked and not refit:
                return
            self._asked += 1
            self.progress = Progress("starting")
        self._waiting.put((run_id, refit))

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing is under way; False when the time is over before."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._asked, timeout_s)

    def close(self) -> None:
        """End what is under way; what it had brought in is kept."""
        self._waiting.put(None)
        with self._lock:
            self._closing = True
            if self._process:
                self._process.kill()
        self._thread.join()

    def _work(self) -> None:
        while (asked := self._waiting.get()) is not None:
            error: StudioError | None = None
            try:
                self._bring_up_to_date(*asked)
            except StudioError as problem:
                error = problem
            except Exception as problem:
                error = StudioError(f"The map was not made: {type(problem).__name__}: {problem}.", "Try again.")
            with self._idle:
                self._asked -= 1
                self.progress = Progress(error=error)
                self._idle.notify_all()

    def _bring_up_to_date(self, run_id: str, refit: bool) -> None:
        self._embed(self._store.read(maps.without_vector, run_id))
        current = self._store.read(maps.current)
        fits = current is None or refit or self._outgrown(current)
        if fits:
            self._fit(current)
        if current := self._store.read(maps.current):
            self._place(current["version"])
            if fits:
                self._store.write(maps.count_records, current["version"])

    def _outgrown(self, current: dict[str, Any]) -> bool:
        """Whether there are enough points now for what there were too few for."""
        if current["method"] == "umap":
            return False
        _, vectors = self._store.read(maps.anchors, MOST_ANCHORS)
        return len(np.unique(vectors, axis=0)) >= project.FEWEST_FOR_UMAP

    def _embed(self, rows: list[dict[str, Any]]) -> None:
        from sedi_engine.embed import example_text

        if not rows:
            return
        self.progress = Progress("embedding", 0, len(rows))
        texts = [json.dumps(example_text(row["instruction"], row["input"])) for row in rows]
        with self._workplace({"do": "embed"}) as place:
            (place / "texts.jsonl").write_text("\n".join(texts), encoding="utf-8")
            for said in self._follow(place):
                part = rows[said["first"] : said["first"] + said["count"]]
                vectors = np.load(place / f"vectors-{said['first']}.npy")
                self._store.write(maps.add_vectors, [row["subject"] for row in part], vectors, said["model"])
                self.progress = replace(self.progress, done=said["first"] + said["count"])

    def _fit(self, current: dict[str, Any] | None) -> None:
        subjects, vectors = self._store.read(maps.anchors, MOST_ANCHORS)
        if not subjects:
            return
        self.progress = Progress("fitting", 0, len(subjects))
        with self._workplace({"do": "fit", "seed": RANDOM_SEED}) as place:
            np.save(place / "anchors.npy", vectors)
            if current is not None and current["method"] == "umap":
                self._place(current["version"])
                before = self._store.read(maps.coordinates, current["version"])
                np.save(place / "previous.npy", np.array([before[subject] for subject in subjects]))
            for said in self._follow(place):
                layout = np.load(place / "layout.npz")
                moved = float(np.median(layout["moved"])) if "moved" in layout else None
                points = layout["coordinates"]
                known = (said["method"], RANDOM_SEED, said["spacing"], moved)
                self._store.write(maps.begin_version, subjects, points, *known)

    def _place(self, version: int) -> None:
        subjects, vectors = self._store.read(maps.unplaced, version)
        if not subjects:
            return
        self.progress = Progress("placing", 0, len(subjects))
        _, anchors, coordinates = self._store.read(maps.fitted_on, version)
        placed = project.place(vectors, anchors, coordinates)
        self._store.write(maps.place, version, subjects, placed.coordinates, placed.distances)

    @contextlib.contextmanager
    def _workplace(self, order: dict[str, Any]) -> Iterator[Path]:
        """A folder for one order; what a kill left of the last one goes first."""
        place = self._folder / "work"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        (place / "order.json").write_text(json.dumps(order), encoding="utf-8")
        yield place
        shutil.rmtree(place, ignore_errors=True)

    def _follow(self, place: Path) -> Iterator[dict[str, Any]]:
        """What the process says, as it says it; raises StudioError where it ends in an error."""
        with self._lock:
            if self._closing:
                raise StudioError("The program is closing.", "Open the map again later.")
            self._process = worker = process.spawn(
                "sedi_engine.mapping.worker", str(place), log=self._folder / "worker.log"
            )
        assert worker.stdout is not None
        assert worker.stdin is not None
        said: dict[str, Any] = {}
        try:
            for line in worker.stdout:
                said = json.loads(line)
                if "error" in said:
                    raise StudioError(said["error"], said["next_step"])
                yield said
        finally:
            with self._lock:
                self._process = None
            worker.stdin.close()
            worker.stdout.close()
            code = worker.wait()
        if code or not said:
            raise StudioError(
                f"The process that makes the map ended with {code}.",
                "If it ends again, see maps/worker.log.",
            )


def why_refit(current: dict[str, Any]) -> str | None:
    """Why the map should be fitted anew, in words; None while it need not be.

    It is offered once more than twice as many tasks are on it as it began with, or once those placed since lie on
    the median 1.5 times as far from its anchors as these lie from each other.
    """
    if current["now"] > GROWN_RECORDS * max(current["anchors"], current["records"]):
        return f"{current['now']:,} tasks are on a map that began with {current['records']:,}."
    if current["distance"] and current["distance"] > GROWN_DISTANCE * current["spacing"] > 0:
        ratio = current["distance"] / current["spacing"]
        return f"What came since lies {ratio:.1f} times as far from the map’s anchors as these from each other."
    return None

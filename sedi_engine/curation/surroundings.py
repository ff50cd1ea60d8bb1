"""Where tasks lie among the others of their run: nearest by embedding, place on the map, novelty to the seeds.

The vectors of a run are held as one matrix, (N, d) float32 of length 1; at 50,000 × 384 that is 77 MB and a look at 20
tasks a few milliseconds. What people decided changes all the time and is not held: it is read for the nearest alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from store import maps, neighbourhood
from store.database import Reader

NEAREST = 4
BACKGROUND = 1200


@dataclass(frozen=True)
class Surroundings:
    """The embedded tasks of a run: subjects, their vectors, and the row of each subject."""

    subjects: tuple[str, ...]
    vectors: NDArray[np.float32]
    row: dict[str, int]

    @classmethod
    def of_run(cls, store: Reader, run_id: str) -> Surroundings:
        """Read them; without a map there are none yet."""
        subjects, vectors = store.read(maps.vectors, store.read(neighbourhood.embedded, run_id))
        return cls(tuple(subjects), vectors, {subject: place for place, subject in enumerate(subjects)})

    def nearest(self, subjects: list[str]) -> dict[str, list[tuple[str, float]]]:
        """For each of these, the NEAREST others with the cosine of their embeddings, nearest first."""
        known = [subject for subject in subjects if subject in self.row]
        if not known:
            return {}
        here, rows = np.arange(len(known)), [self.row[subject] for subject in known]
        scores = self.vectors[rows] @ self.vectors.T
        scores[here, rows] = -np.inf
        found: dict[str, list[tuple[str, float]]] = {subject: [] for subject in known}
        for _ in range(min(NEAREST, len(self.subjects) - 1)):  # a few maxima cost a thirtieth of one partition
            places = scores.argmax(axis=1)
            for subject, place, score in zip(known, places, scores[here, places], strict=True):
                found[subject].append((self.subjects[place], float(score)))
            scores[here, places] = -np.inf
        return found

    def novelty(self, seed_ids: list[str]) -> pa.Table:
        """1 − the largest cosine to a seed, for every embedded task: subject, novelty. 0 is a copy of a seed."""
        seeds = [place for ident in seed_ids if (place := self._of_seed(ident)) is not None]
        if not seeds:
            return pa.table({"subject": pa.array([], pa.string()), "novelty": pa.array([], pa.float64())})
        largest = (self.vectors @ self.vectors[seeds].T).max(axis=1)
        return pa.table({"subject": list(self.subjects), "novelty": (1.0 - largest).astype(np.float64)})

    def coverage(self, seed_ids: list[str], at_least: float = 0.5) -> float | None:
        """Share of the run's embedded candidates with a seed at this cosine or nearer; None while there are none."""
        seeds = [place for ident in seed_ids if (place := self._of_seed(ident)) is not None]
        tasks = [place for subject, place in self.row.items() if subject.startswith("candidate:")]
        if not seeds or not tasks:
            return None
        largest = (self.vectors[tasks] @ self.vectors[seeds].T).max(axis=1)
        return float((largest >= at_least).mean())

    def _of_seed(self, ident: str) -> int | None:
        """The row of a seed; one that is promoted, or only proposed, has its vector as the candidate it was."""
        return self.row.get(f"seed:{ident}", self.row.get(f"candidate:{ident.removeprefix('m-')}"))


def places(store: Reader, subjects: list[str]) -> dict[str, tuple[float, float]]:
    """Where these lie on the newest map, as far as they are on it."""
    return {row["subject"]: (row["x"], row["y"]) for row in store.read(neighbourhood.places, subjects)}


def background(store: Reader, run_id: str) -> list[dict[str, Any]]:
    """A stable sample of the run's map to draw a place in: x, y."""
    return store.read(neighbourhood.sample, run_id, BACKGROUND)

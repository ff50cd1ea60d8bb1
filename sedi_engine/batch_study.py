"""One batch beside the same items dealt at random, its nearest pairs, and why it was or was not the attractive one.

Pure: vectors, labels and steps in, numbers out. The control is a distribution over shuffles, not one shuffle: a single
one can be better or worse than the batch by luck.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedi_engine.compose import Vectors, diversity

SHUFFLES = 200
MEASURES = ("distinct_clusters", "largest_share", "vendi", "mean_distance", "near_duplicates")
SMALLER_IS_BETTER = ("largest_share", "near_duplicates")
PAIRS = 5


@dataclass(frozen=True)
class Standing:
    """A measure of a batch among random batches of the same items.

    `low`, `median`, `high` are the random ones' 5th, 50th and 95th percentile; `better_than` the share of them that
    the batch beats, ties counted half.
    """

    measure: str
    value: float
    low: float
    median: float
    high: float
    better_than: float


def random_measures(vectors: Vectors, labels: Sequence[int], size: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Each measure (SHUFFLES,) of a random batch of `size` of a window's unit vectors (W, d) with their clusters."""
    random, clusters = np.random.default_rng((seed, 3)), np.asarray(labels)
    found: list[dict[str, float]] = []
    for _ in range(SHUFFLES):
        members = random.permutation(len(vectors))[:size]
        found.append(asdict(diversity(vectors[members], clusters[members].tolist())))
    return {name: np.array([one[name] for one in found], dtype=float) for name in MEASURES}


def standings(own: Mapping[str, float], at_random: Mapping[str, NDArray[np.float64]]) -> list[Standing]:
    """Where a batch stands in each measure."""
    made = []
    for name in MEASURES:
        others, value = at_random[name], float(own[name])
        sign = -1 if name in SMALLER_IS_BETTER else 1
        beats = float(np.mean(sign * value > sign * others) + 0.5 * np.mean(np.isclose(value, others)))
        low, median, high = (float(one) for one in np.percentile(others, [5, 50, 95], method="nearest"))
        made.append(Standing(name, value, low, median, high, min(1.0, beats)))
    return made


def nearest_pairs(vectors: Vectors, count: int = PAIRS) -> list[tuple[int, int, float]]:
    """The pairs (i, j, cosine) of unit vectors (n, d) that are most alike, nearest first."""
    upper = np.triu_indices(len(vectors), k=1)
    cosines = (vectors @ vectors.T)[upper]
    order = np.argsort(-cosines, kind="stable")[:count]
    return [(int(upper[0][at]), int(upper[1][at]), float(cosines[at])) for at in order]


def position_wins(steps: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """How often each position of a window, from 1, held the attractive batch; positions that never won included."""
    first: dict[int, int] = {}
    for step in steps:
        first[step["iteration"]] = min(step["step"], first.get(step["iteration"], step["step"]))
    positions = {step["step"]: step["step"] - first[step["iteration"]] + 1 for step in steps}
    won = Counter(positions[step["step"]] for step in steps if step["attractive"])
    return {position: won[position] for position in sorted(set(positions.values()))}


def correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's; None for fewer than three finite pairs, or where one side never changes."""
    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    known = np.isfinite(one) & np.isfinite(other)
    one, other = one[known], other[known]
    if len(one) < 3 or not one.std() or not other.std():
        return None
    return float(np.corrcoef(one, other)[0, 1])


def length_residual(norms: Sequence[float], tokens: Sequence[int]) -> list[float]:
    """The norms less what a straight line over the response tokens explains; their own mean where it cannot."""
    y, x = np.asarray(norms, dtype=float), np.asarray(tokens, dtype=float)
    known = np.isfinite(y)
    if known.sum() < 3 or not x[known].std():
        return (y - y[known].mean() if known.any() else y).tolist()
    slope, start = np.polyfit(x[known], y[known], 1)
    return (y - slope * x - start).tolist()

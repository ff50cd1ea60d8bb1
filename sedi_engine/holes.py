"""Empty neighbourhoods: regions where seeds or a reference set have points and kept examples have few.

They are found in embedding space, not on the picture. The guides (seeds, reference tasks) are clustered; every
kept example belongs to the region of its nearest guide; a region is empty where it has significantly fewer of them than
its share of the guides would give it. Pure: vectors in, regions out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sedi_engine.compose import Vectors, cluster

GUIDES_A_REGION, MOST_REGIONS = 5, 24
FEW = 0.6  # of what a region's share of the guides would give it
SIGNIFICANT = 0.05
SEED = 0


@dataclass(frozen=True)
class Hole:
    """A region with too few kept examples: indices of its guides, nearest to its centre first, and of its kept ones.

    `expected` is the number of kept examples that its share of the guides would give it.
    """

    guides: tuple[int, ...]
    kept: tuple[int, ...]
    expected: float


def holes(guides: Vectors, kept: Vectors) -> list[Hole]:
    """The empty regions among `guides` (G, d) given `kept` (K, d), unit vectors, emptiest first; none without both."""
    if len(guides) < 2 * GUIDES_A_REGION or not len(kept):
        return []
    regions = min(MOST_REGIONS, len(guides) // GUIDES_A_REGION)
    labels = cluster(guides, regions, SEED)
    of_kept = labels[np.argmax(kept @ guides.T, axis=1)]
    found = []
    for region in range(labels.max() + 1):
        own = np.flatnonzero(labels == region)
        inside = np.flatnonzero(of_kept == region)
        expected = len(kept) * len(own) / len(guides)
        if len(inside) < FEW * expected and _chance(len(inside), len(kept), len(own) / len(guides)) < SIGNIFICANT:
            found.append(Hole(tuple(_central(guides, own)), tuple(_central(kept, inside)), expected))
    return sorted(found, key=lambda hole: len(hole.kept) / hole.expected)


def demonstrations(hole: Hole, active: Sequence[bool], count: int) -> tuple[list[int], list[int]]:
    """Guides and kept examples that show a generator what a region is about.

    Its active seeds, the most central first, at most `count`; filled up with its kept examples. `active` says of each
    guide whether it may be shown (a reference task is none).
    """
    seeds = [guide for guide in hole.guides if active[guide]][:count]
    return seeds, list(hole.kept[: count - len(seeds)])


def _central(vectors: Vectors, members: np.ndarray) -> list[int]:
    if not len(members):
        return []
    centre = vectors[members].mean(axis=0)
    return members[np.argsort(-(vectors[members] @ centre), kind="stable")].tolist()


def _chance(count: int, draws: int, share: float) -> float:
    """Probability of at most `count` of `draws` falling into a region of this share by chance (binomial)."""
    from scipy.stats import binom

    return float(binom.cdf(count, draws, share))

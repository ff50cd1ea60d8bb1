"""Whose part of the map a candidate lies in: the active seed that its embedding is nearest to. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from store.maps import Vectors

AT_ONCE = 8192


def shares(seed_ids: Sequence[str], seeds: Vectors, candidates: Vectors) -> dict[str, float]:
    """For each seed the share, 0 to 1, of the candidates (N, d) that it is nearest to among the seeds (S, d).

    Vectors are L2-normalised, so the nearest has the largest cosine; of equals it is the first. Empty where there is
    no seed or no candidate.
    """
    if not len(seeds) or not len(candidates):
        return {}
    nearest = [(candidates[at : at + AT_ONCE] @ seeds.T).argmax(axis=1) for at in range(0, len(candidates), AT_ONCE)]
    counts = np.bincount(np.concatenate(nearest), minlength=len(seeds))
    return dict(zip(seed_ids, (counts / len(candidates)).tolist(), strict=True))

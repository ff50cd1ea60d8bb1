"""Windows become batches: k-means clusters dealt evenly, or the random control, and how diverse they are.

Pure: vectors and a seed in, indices and measures out. That the batches come from clusters is said of
SeDi-Instruct by summaries of it; the deal and the measures are this project's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Composer = Literal["deal", "random"]
Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]
NEAR_DUPLICATE_COSINE = 0.7


@dataclass(frozen=True)
class Composition:
    """Batches of indices into the vectors, in training order, and the cluster of every index."""

    batches: tuple[tuple[int, ...], ...]
    labels: tuple[int, ...]

    def clusters(self, batch: int) -> tuple[int, ...]:
        """The cluster of each member of one batch, in the batch's order."""
        return tuple(self.labels[member] for member in self.batches[batch])


@dataclass(frozen=True)
class BatchDiversity:
    """How varied one batch is; `near_duplicates` counts pairs with a cosine above 0.7."""

    distinct_clusters: int
    largest_share: float
    vendi: float
    mean_distance: float
    near_duplicates: int


@dataclass(frozen=True)
class CompositionDiversity:
    """Means over the batches of a composition, and the worst batch's Vendi score."""

    vendi: float
    worst_vendi: float
    mean_distance: float
    near_duplicates: float
    distinct_clusters: float
    largest_share: float

    def as_dict(self) -> dict[str, float]:
        """The measures by name."""
        return asdict(self)


def compose(vectors: Vectors, batches: int, composer: Composer, seed: int, clusters: int | None = None) -> Composition:
    """All rows of `vectors` (N, d) in so many batches: each in exactly one, sizes differing by at most 1.

    `clusters` is k of the k-means (at most the number of distinct rows); without it ⌈N/batches⌉. The random
    control reports the same labels, so that both can be compared. Deterministic for a seed.
    """
    labels = cluster(vectors, clusters or math.ceil(len(vectors) / batches), seed)
    groups = deal(labels, batches, seed) if composer == "deal" else random_batches(len(labels), batches, seed)
    return Composition(tuple(tuple(group) for group in groups), tuple(labels.tolist()))


def cluster(vectors: Vectors, k: int, seed: int) -> Labels:
    """k-means labels (N,) of the rows of `vectors` (N, d), numbered by first appearance; equal rows share.

    k is lowered to the number of distinct rows. One thread, so that sums have one order and the labels depend
    on nothing but the vectors and the seed.
    """
    distinct = len(np.unique(vectors, axis=0))
    k = min(k, distinct)
    if k <= 1:
        return np.zeros(len(vectors), dtype=np.int64)
    if k == distinct:
        return _by_first_appearance(np.unique(vectors, axis=0, return_inverse=True)[1].reshape(-1))
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        model = KMeans(n_clusters=k, n_init=4, random_state=seed)
        return _by_first_appearance(model.fit_predict(vectors.astype(np.float64)))


def deal(labels: Sequence[int] | Labels, batches: int, seed: int) -> list[list[int]]:
    """Clusters shuffled inside, laid end to end, position p given to batch p mod n.

    A cluster of c members then has ⌊c/n⌋ or ⌈c/n⌉ of them in every batch: the best that can be had for all
    clusters at once. Raises ValueError unless 1 <= batches <= len(labels).
    """
    labels = np.asarray(labels)
    order = np.random.default_rng((seed, 1)).permutation(len(labels))
    return _round_robin(order[np.argsort(labels[order], kind="stable")], batches)


def random_batches(count: int, batches: int, seed: int) -> list[list[int]]:
    """The control: a shuffle of range(count) in `batches` batches whose sizes differ by at most 1."""
    return _round_robin(np.random.default_rng((seed, 2)).permutation(count), batches)


def diversity(vectors_of_batch: Vectors, labels_of_batch: Sequence[int]) -> BatchDiversity:
    """Measures of one batch from its unit vectors (n, d), n >= 1, and the clusters of its members.

    Vendi score (Friedman & Dieng, 2023): exp(-Σ λ log λ) over the eigenvalues λ of K/n, K the cosine matrix;
    here λ = s²/n with s the singular values of the vectors. A batch of one has Vendi 1 and distance 0.
    """
    x = np.asarray(vectors_of_batch, dtype=np.float64)
    size = len(x)
    _, counts = np.unique(np.asarray(labels_of_batch), return_counts=True)
    cosines = (x @ x.T)[np.triu_indices(size, k=1)]
    return BatchDiversity(
        distinct_clusters=len(counts),
        largest_share=float(counts.max() / size),
        vendi=_exp_entropy(np.linalg.svd(x, compute_uv=False) ** 2 / size),
        mean_distance=float(1 - cosines.mean()) if size > 1 else 0.0,
        near_duplicates=int((cosines > NEAR_DUPLICATE_COSINE).sum()),
    )


def batch_diversities(vectors: Vectors, composition: Composition) -> list[BatchDiversity]:
    """The measures of every batch of a composition over `vectors` (N, d)."""
    return [
        diversity(vectors[list(members)], composition.clusters(number))
        for number, members in enumerate(composition.batches)
    ]


def summarise(diversities: Iterable[BatchDiversity]) -> CompositionDiversity:
    """The measures of a whole composition from those of its batches (at least one)."""
    table = [asdict(measures) for measures in diversities]
    means = {name: float(np.mean([row[name] for row in table])) for name in table[0]}
    return CompositionDiversity(worst_vendi=min(row["vendi"] for row in table), **means)


def _round_robin(order: NDArray[np.int64], batches: int) -> list[list[int]]:
    if not 1 <= batches <= len(order):
        raise ValueError(f"{batches} batches of {len(order)} items; allowed are 1 to {len(order)}")
    return [order[first::batches].tolist() for first in range(batches)]


def _by_first_appearance(labels: NDArray[np.integer]) -> Labels:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def _exp_entropy(weights: NDArray[np.float64]) -> float:
    """Exp of the Shannon entropy of weights that sum to about 1; zeros count nothing."""
    positive = weights[weights > 0]
    shares = positive / positive.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))

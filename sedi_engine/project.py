"""Vectors become a map that does not move: UMAP fitted once on anchors, everything later placed between them.

Pure: vectors, an earlier layout and a seed in, coordinates out. Equal vectors share a place. Placement is the
softmax-weighted mean of the nearest anchors' coordinates: on clustered data it puts new points into their cluster more
often than UMAP's own transform does, and needs no compiled code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Coordinates = NDArray[np.float64]
Method = Literal["umap", "pca"]
NEIGHBOURS = 15
PLACED_FROM = 5
SHARPNESS = 20.0  # of the softmax over cosines
FEWEST_FOR_UMAP = 10  # distinct vectors; principal components below
REFIT_EPOCHS = 50
ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class Layout:
    """Coordinates (N, 2) of the anchors, how they were made, and how far each moved, in map radii (None: first)."""

    coordinates: Coordinates
    method: Method
    moved: NDArray[np.float64] | None


@dataclass(frozen=True)
class Placement:
    """Coordinates (N, 2), and the cosine distance (N,) to the nearest anchor: how much the place is to be trusted."""

    coordinates: Coordinates
    distances: NDArray[np.float64]


def fit(anchors: Vectors, seed: int, previous: Coordinates | None = None) -> Layout:
    """A map of unit vectors (N, d), N >= 1; with `previous` (N, 2) it starts there and is aligned to it.

    Deterministic for a seed on one kind of machine: keep the coordinates, not the seed.
    """
    distinct, first, inverse = np.unique(anchors, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)  # by first appearance, so that the layout does not depend on the vectors' sorting
    distinct, start = distinct[order], None if previous is None else previous[first[order]]
    method: Method = "umap" if len(distinct) >= FEWEST_FOR_UMAP else "pca"
    found = _umap(distinct, seed, start) if method == "umap" else _principal_components(distinct)
    found = found - found.mean(axis=0)
    moved = None
    if start is not None:
        found = align(found, start)
        moved = np.linalg.norm(found - start, axis=1) / radius(start)
    place = np.argsort(order)[inverse.reshape(-1)]
    return Layout(found[place], method, None if moved is None else moved[place])


def place(vectors: Vectors, anchors: Vectors, coordinates: Coordinates, count: int = PLACED_FROM) -> Placement:
    """Places for unit vectors (N, d) on the map of `anchors` (A, d) with `coordinates` (A, 2), A >= 1.

    A vector equal to an anchor lands on it. No anchor moves, and no placed vector is an anchor.
    """
    count = min(count, len(anchors))
    placed, distances = np.empty((len(vectors), 2)), np.empty(len(vectors))
    for first in range(0, len(vectors), ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        cosines = vectors[rows] @ anchors.T
        nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        near = np.take_along_axis(cosines, nearest, axis=1).astype(np.float64)
        best = near.max(axis=1, keepdims=True)
        weights = np.exp(SHARPNESS * (near - best))
        weights = np.where(best > 1 - 1e-6, near >= best - 1e-7, weights)
        placed[rows] = (weights[:, :, None] * coordinates[nearest]).sum(axis=1) / weights.sum(axis=1, keepdims=True)
        distances[rows] = np.maximum(0.0, 1 - best[:, 0])
    return Placement(placed, distances)


def align(found: Coordinates, to: Coordinates) -> Coordinates:
    """`found` (N, 2) shifted, turned, mirrored and scaled to lie as near `to` (N, 2) as it can (Procrustes)."""
    here, there = found.mean(axis=0), to.mean(axis=0)
    centred, target = found - here, to - there
    spread = (centred**2).sum()
    if spread == 0:
        return np.broadcast_to(there, found.shape).copy()
    left, scales, right = np.linalg.svd(centred.T @ target)
    return centred @ (left @ right) * (scales.sum() / spread) + there


def radius(coordinates: Coordinates) -> float:
    """Root mean square distance from the centre; 1 where all lie on it."""
    spread = float(np.sqrt(((coordinates - coordinates.mean(axis=0)) ** 2).sum(axis=1).mean()))
    return spread or 1.0


def nearest_others(vectors: Vectors) -> NDArray[np.float64]:
    """Cosine distance (N,) of each unit vector to the nearest other one; zeros for a single one."""
    if len(vectors) < 2:
        return np.zeros(len(vectors))
    return _neighbours(vectors, 2)[1][:, 1].astype(np.float64)


def _neighbours(vectors: Vectors, count: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Indices and cosine distances (N, count) of the nearest, each itself first; exact, in blocks of rows."""
    indices = np.empty((len(vectors), count), dtype=np.int32)
    distances = np.empty((len(vectors), count), dtype=np.float32)
    for first in range(0, len(vectors), ROWS_AT_ONCE):
        block = vectors[first : first + ROWS_AT_ONCE]
        apart = np.maximum(0.0, 1 - block @ vectors.T)
        own = np.arange(len(block))
        apart[own, first + own] = -1.0
        near = np.argpartition(apart, count - 1, axis=1)[:, :count]
        near = np.take_along_axis(near, np.argsort(np.take_along_axis(apart, near, axis=1), axis=1), axis=1)
        indices[first : first + len(block)] = near
        distances[first : first + len(block)] = np.maximum(0.0, np.take_along_axis(apart, near, axis=1))
    return indices, distances


def _umap(vectors: Vectors, seed: int, start: Coordinates | None) -> Coordinates:
    import warnings

    import umap

    count = min(NEIGHBOURS, len(vectors) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that one thread is used for a fixed seed, and no index given, is meant so
        model = umap.UMAP(
            n_neighbors=count,
            metric="cosine",
            random_state=seed,
            n_jobs=1,
            precomputed_knn=_neighbours(vectors, count),
            init="spectral" if start is None else start.astype(np.float32),
            n_epochs=None if start is None else REFIT_EPOCHS,
        )
        return np.asarray(model.fit_transform(vectors), dtype=np.float64)


def _principal_components(vectors: Vectors) -> Coordinates:
    """Of too few points for UMAP: the two directions in which they differ most; zeros where there is none."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    left, scales, _ = np.linalg.svd(centred, full_matrices=False)
    found = np.zeros((len(vectors), 2))
    used = min(2, len(scales))
    found[:, :used] = left[:, :used] * scales[:used]
    return found

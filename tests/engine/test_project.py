"""The map: equal vectors share a place, nothing moves when something comes, a refit stays near what it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedi_engine.project import align, fit, nearest_others, place, radius


def clusters(groups: int, each: int, seed: int = 0, noise: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors in well separated groups, and the group of each."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(groups, 48))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    labels = np.repeat(np.arange(groups), each)
    points = centres[labels] + noise / np.sqrt(48) * random.normal(size=(len(labels), 48))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), labels


def test_umap_keeps_groups_together_and_later_points_land_in_theirs() -> None:
    vectors, labels = clusters(6, 40)
    anchors, later = np.arange(len(vectors)) % 4 != 0, np.arange(len(vectors)) % 4 == 0
    layout = fit(vectors[anchors], seed=7)
    assert layout.method == "umap"
    assert layout.moved is None
    placed = place(vectors[later], vectors[anchors], layout.coordinates)
    nearest = np.linalg.norm(placed.coordinates[:, None] - layout.coordinates[None], axis=2).argmin(axis=1)
    assert np.mean(labels[anchors][nearest] == labels[later]) > 0.95

    again = fit(vectors[anchors], seed=7, previous=layout.coordinates)
    assert again.moved is not None
    assert np.median(again.moved) < 0.35
    mixed = fit(vectors[anchors], seed=7, previous=np.random.default_rng(1).normal(size=layout.coordinates.shape))
    assert np.median(mixed.moved) > np.median(again.moved)


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_too_few_for_umap_are_laid_out_by_principal_components(count: int) -> None:
    vectors, _ = clusters(count, 1)
    layout = fit(vectors, seed=0)
    assert layout.method == "pca"
    assert layout.coordinates.shape == (count, 2)
    assert np.isfinite(layout.coordinates).all()
    apart = np.linalg.norm(layout.coordinates[:, None] - layout.coordinates[None], axis=2)
    assert (apart[~np.eye(count, dtype=bool)] > 1e-3).all()


def test_equal_vectors_share_a_place_and_a_map_of_equal_ones_is_one_point() -> None:
    vectors, _ = clusters(3, 1)
    layout = fit(vectors[[0, 1, 0, 2, 1]], seed=0)
    assert np.array_equal(layout.coordinates[0], layout.coordinates[2])
    assert np.array_equal(layout.coordinates[1], layout.coordinates[4])
    same = fit(np.repeat(vectors[:1], 50, axis=0), seed=0)
    assert same.method == "pca"
    assert not same.coordinates.any()
    assert np.array_equal(fit(vectors[:1], seed=0, previous=np.array([[3.0, 4.0]])).coordinates, [[3.0, 4.0]])


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 2**20))
def test_a_placed_vector_lies_among_its_anchors_and_an_anchor_on_itself(anchors: int, later: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(anchors + later, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    coordinates = random.normal(size=(anchors, 2))
    placed = place(vectors[anchors:], vectors[:anchors], coordinates)
    assert (placed.coordinates <= coordinates.max(axis=0) + 1e-9).all()
    assert (placed.coordinates >= coordinates.min(axis=0) - 1e-9).all()
    assert (placed.distances >= 0).all()
    onto = place(vectors[:anchors], vectors[:anchors], coordinates)
    assert np.allclose(onto.coordinates, coordinates, atol=1e-6)
    assert np.allclose(onto.distances, 0, atol=1e-6)


@given(st.integers(2, 30), st.floats(0.1, 9), st.floats(0, 6), st.booleans(), st.integers(0, 2**20))
def test_alignment_undoes_a_shift_a_turn_a_mirror_and_a_scale(
    count: int, scale: float, turn: float, mirror: bool, seed: int
) -> None:
    target = np.random.default_rng(seed).normal(size=(count, 2))
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    found = scale * (target * [-1 if mirror else 1, 1]) @ matrix + [5, -3]
    assert np.allclose(align(found, target), target, atol=1e-6)
    assert radius(target) > 0


def test_the_distance_to_the_nearest_other_is_that_of_a_whole_comparison() -> None:
    vectors, _ = clusters(5, 7)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    assert np.allclose(nearest_others(vectors), 1 - cosines.max(axis=1), atol=1e-6)
    assert nearest_others(vectors[:1]).tolist() == [0.0]

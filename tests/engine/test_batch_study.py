"""A batch among random ones: dealt batches stand above them, and every number is recounted plainly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.batch_study import (
    SHUFFLES,
    correlation,
    length_residual,
    nearest_pairs,
    position_wins,
    random_measures,
    standings,
)
from sedi_engine.compose import batch_diversities, compose
from tests.engine.test_project import clusters


def test_a_dealt_batch_stands_above_random_ones_and_a_batch_of_one_cluster_below() -> None:
    vectors, labels = clusters(8, 10)
    at_random = random_measures(vectors, labels.tolist(), 8, seed=0)
    assert {len(values) for values in at_random.values()} == {SHUFFLES}
    composed = compose(vectors, 10, "deal", seed=1, clusters=8)
    dealt = {one.measure: one for one in standings(vars(batch_diversities(vectors, composed)[0]), at_random)}
    assert dealt["distinct_clusters"].value == 8
    assert dealt["vendi"].better_than > 0.95
    assert dealt["near_duplicates"].better_than > 0.9
    assert dealt["largest_share"].better_than > 0.9
    same = random_measures(vectors[:10], [0] * 10, 8, seed=0)
    alone = {name: float(np.median(values)) for name, values in same.items()}
    worst = {one.measure: one for one in standings(alone, at_random)}
    assert worst["vendi"].better_than < 0.05
    assert worst["near_duplicates"].better_than < 0.05
    assert all(one.low <= one.median <= one.high for one in worst.values())


def test_the_nearest_pairs_are_the_largest_cosines() -> None:
    vectors, _ = clusters(3, 4)
    found = nearest_pairs(vectors, 4)
    cosines = vectors @ vectors.T
    everything = sorted((float(cosines[i, j]) for i in range(12) for j in range(i + 1, 12)), reverse=True)
    assert [score for *_, score in found] == pytest.approx(everything[:4])
    assert all(cosines[i, j] == pytest.approx(score) for i, j, score in found)
    assert nearest_pairs(vectors[:1]) == []


def test_wins_are_counted_by_the_place_in_the_window() -> None:
    steps = [{"iteration": 1 + at // 3, "step": at + 1, "attractive": at in (2, 3, 8)} for at in range(9)]
    assert position_wins(steps) == {1: 1, 2: 0, 3: 2}
    assert position_wins([]) == {}


@given(st.lists(st.tuples(st.floats(-9, 9), st.integers(1, 400)), max_size=20))
def test_the_length_residual_has_nothing_left_of_the_length(pairs: list[tuple[float, int]]) -> None:
    norms, tokens = [norm for norm, _ in pairs], [count for _, count in pairs]
    rest = length_residual(norms, tokens)
    assert len(rest) == len(pairs)
    if pairs:
        assert abs(float(np.mean(rest))) < 1e-6
    if len(pairs) > 2 and len(set(tokens)) > 1:
        assert abs(float(np.dot(rest, np.asarray(tokens) - np.mean(tokens)))) < 1e-3


def test_a_norm_that_is_no_number_is_left_out() -> None:
    assert correlation([1, 2, float("nan"), 3], [2, 4, 9, 6]) == pytest.approx(1.0)
    assert correlation([1, 2], [2, 4]) is None
    assert correlation([1, 1, 1], [2, 4, 5]) is None
    assert np.isnan(length_residual([1.0, float("nan"), 2.0, 4.0], [1, 2, 3, 4])[1])

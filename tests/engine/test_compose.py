import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.compose import (
    batch_diversities,
    cluster,
    compose,
    deal,
    diversity,
    random_batches,
    summarise,
)

seeds = st.integers(0, 2**31 - 1)


@st.composite
def labels_and_batches(draw):
    labels = draw(st.lists(st.integers(0, 6), min_size=1, max_size=60))
    return labels, draw(st.integers(1, len(labels)))


def unit_vectors(count: int, dimensions: int = 16, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@given(labels_and_batches(), seeds)
def test_deal_gives_every_batch_its_even_part_of_every_cluster(case, seed):
    labels, n = case
    batches = deal(labels, n, seed)
    assert len(batches) == n
    for label, size in Counter(labels).items():
        parts = [sum(labels[member] == label for member in batch) for batch in batches]
        assert set(parts) <= {size // n, math.ceil(size / n)}


@given(labels_and_batches(), seeds, st.booleans())
def test_every_member_once_and_sizes_differ_by_at_most_one(case, seed, dealt):
    labels, n = case
    batches = deal(labels, n, seed) if dealt else random_batches(len(labels), n, seed)
    sizes = {len(batch) for batch in batches}
    assert sorted(member for batch in batches for member in batch) == list(range(len(labels)))
    assert max(sizes) - min(sizes) <= 1


@given(labels_and_batches(), seeds)
def test_dealing_again_gives_the_same(case, seed):
    assert deal(*case, seed) == deal(*case, seed)


def test_another_seed_deals_otherwise():
    labels = [0] * 20 + [1] * 20
    assert deal(labels, 5, 1) != deal(labels, 5, 2)
    assert random_batches(40, 5, 1) != random_batches(40, 5, 2)


@pytest.mark.parametrize("batches", [0, -1, 4])
def test_a_number_of_batches_that_cannot_be_filled_is_refused(batches):
    with pytest.raises(ValueError, match="allowed are 1 to 3"):
        deal([0, 1, 0], batches, 0)


def test_clusters_find_groups_and_are_numbered_by_first_appearance():
    centres = np.eye(4, dtype=np.float32)
    groups = np.array([2, 2, 0, 3, 1, 0, 3, 1, 2])
    noise = np.random.default_rng(0).normal(scale=0.01, size=(9, 4)).astype(np.float32)
    assert cluster(centres[groups] + noise, 4, seed=0).tolist() == [0, 0, 1, 2, 3, 1, 2, 3, 0]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=25), st.integers(1, 9), st.integers(0, 99))
def test_clusters_never_outnumber_distinct_vectors_and_equal_ones_stay_together(rows, k, seed):
    vectors = unit_vectors(5)[rows]
    labels = cluster(vectors, k, seed)
    assert len(set(labels.tolist())) <= min(k, len(set(rows)))
    assert labels.tolist() == cluster(vectors, k, seed).tolist()
    for one, other in combinations(range(len(rows)), 2):
        assert rows[one] != rows[other] or labels[one] == labels[other]


def test_identical_vectors_are_one_cluster():
    vectors = np.repeat(unit_vectors(1), 12, axis=0)
    composition = compose(vectors, 3, "deal", seed=0)
    assert set(composition.labels) == {0}
    assert [len(batch) for batch in composition.batches] == [4, 4, 4]


def test_random_reports_the_labels_of_deal():
    vectors = unit_vectors(40)
    dealt, control = (compose(vectors, 5, composer, seed=3) for composer in ("deal", "random"))
    assert dealt.labels == control.labels
    assert dealt.batches != control.batches
    assert max(dealt.labels) + 1 == 8


def test_clusters_of_a_batch_follow_its_order():
    composition = compose(unit_vectors(12), 3, "deal", seed=0)
    for number, batch in enumerate(composition.batches):
        assert composition.clusters(number) == tuple(composition.labels[member] for member in batch)


@given(st.integers(2, 12), st.integers(2, 20), st.integers(0, 999))
def test_measures_agree_with_their_definitions(size, dimensions, seed):
    x = unit_vectors(size, dimensions, seed).astype(np.float64)
    labels = (np.arange(size) % 3).tolist()
    measures = diversity(x, labels)
    eigenvalues = np.clip(np.linalg.eigvalsh(x @ x.T / size), 1e-300, None)
    pairs = [float(x[i] @ x[j]) for i, j in combinations(range(size), 2)]
    assert measures.vendi == pytest.approx(np.exp(-(eigenvalues * np.log(eigenvalues)).sum()), rel=1e-6)
    assert measures.mean_distance == pytest.approx(1 - np.mean(pairs), abs=1e-9)
    assert measures.near_duplicates == sum(cosine > 0.7 for cosine in pairs)
    assert measures.distinct_clusters == min(3, size)
    assert measures.largest_share == math.ceil(size / 3) / size


def test_the_ends_of_the_scale():
    one = diversity(unit_vectors(1), [4])
    assert (one.vendi, one.mean_distance, one.near_duplicates) == (pytest.approx(1), 0.0, 0)
    orthogonal = diversity(np.eye(5, dtype=np.float32), [0, 1, 2, 3, 4])
    assert (orthogonal.vendi, orthogonal.mean_distance) == (pytest.approx(5), pytest.approx(1))
    same = diversity(np.repeat(unit_vectors(1), 4, axis=0), [0] * 4)
    assert (same.vendi, same.near_duplicates) == (pytest.approx(1), 6)
    assert same.mean_distance == pytest.approx(0, abs=1e-6)


def test_dealing_clusters_parts_what_chance_leaves_together():
    groups = np.repeat(np.arange(8), 10)
    noise = np.random.default_rng(0).normal(scale=0.05, size=(80, 16)).astype(np.float32)
    vectors = np.eye(16, dtype=np.float32)[groups] + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    dealt, control = (
        summarise(batch_diversities(vectors, compose(vectors, 10, composer, seed=0))) for composer in ("deal", "random")
    )
    assert dealt.near_duplicates == 0 < control.near_duplicates
    assert dealt.worst_vendi > control.vendi
    assert dealt.worst_vendi <= dealt.vendi

"""Regions of seeds that kept examples leave out are found, and those that they fill are not."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sedi_engine.holes import FEW, demonstrations, holes
from tests.engine.test_project import clusters


def test_the_group_that_nothing_was_kept_of_is_the_hole() -> None:
    guides, of_guide = clusters(5, 8)
    kept, of_kept = clusters(5, 20, noise=0.3)  # the same centres
    some = of_kept != 3
    found = holes(guides, kept[some])
    assert found
    assert {of_guide[guide] for hole in found for guide in hole.guides} == {3}
    assert sum(len(hole.guides) for hole in found) >= 5
    assert all(hole.kept == () and hole.expected > 5 for hole in found)
    assert holes(guides, kept) == []
    active = [guide % 2 == 0 for guide in range(len(guides))]
    seeds, filled = demonstrations(found[0], active, 3)
    assert seeds and all(active[seed] for seed in seeds)
    assert filled == []


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 40), st.integers(0, 60), st.integers(0, 2**16))
def test_a_hole_is_always_emptier_than_its_share_and_no_task_is_in_two(guides: int, kept: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(guides + kept, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = holes(vectors[:guides], vectors[guides:])
    assert all(len(hole.kept) < FEW * hole.expected for hole in found)
    members = [guide for hole in found for guide in hole.guides]
    assert len(members) == len(set(members))
    for hole in found:
        chosen, filled = demonstrations(hole, [True] * guides, 3)
        assert len(chosen) + len(filled) <= 3
        assert len(chosen) == min(3, len(hole.guides))

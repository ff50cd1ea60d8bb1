from __future__ import annotations

import numpy as np
import pytest

from sedi_engine.curation import territory


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_shares_are_of_the_nearest_and_add_up_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    seeds, candidates = unit(random.normal(size=(7, 5))), unit(random.normal(size=(100, 5)))
    names = [f"s{n}" for n in range(7)]
    shares = territory.shares(names, seeds, candidates)
    nearest = np.linalg.norm(candidates[:, None] - seeds[None], axis=2).argmin(axis=1)
    assert shares == {name: np.mean(nearest == at) for at, name in enumerate(names)}
    assert sum(shares.values()) == pytest.approx(1)
    monkeypatch.setattr(territory, "AT_ONCE", 9)
    assert territory.shares(names, seeds, candidates) == shares, "however many at once"


def test_nobody_has_a_share_of_nothing() -> None:
    none, some = np.zeros((0, 0), dtype=np.float32), unit(np.ones((2, 3)))
    assert territory.shares([], none, some) == {}
    assert territory.shares(["a", "b"], some, none) == {}

"""What each seed's calls brought, and which seeds may leave: per-example signals, never a batch's.

`deal` spreads a seed's children over all batches on purpose, so a batch's norm says almost nothing of one seed.
Pure, and this project's reconstruction.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sedi_engine.window import Signal, TrainedStep, z_scores
from store.records import SeedOrigin

Evidence = dict[str, float | int | str | bool | list[float] | None]
SHRINKAGE = 3


@dataclass(frozen=True)
class ActiveSeed:
    """A member of S. Its origin decides what is human: own, import and edit are, machine is not."""

    seed_id: str
    instruction: str
    origin: SeedOrigin
    added_at_iteration: int = 0

    @property
    def is_human(self) -> bool:
        """Whether a person wrote or edited it."""
        return self.origin != "machine"


@dataclass(frozen=True)
class Credit:
    """What a seed's calls brought, over all windows so far."""

    sum_z: float = 0.0
    calls: int = 0
    children: int = 0

    @property
    def value(self) -> float:
        """The mean z over its calls, shrunken towards 0: Σz / (calls + 3)."""
        return self.sum_z / (self.calls + SHRINKAGE)


@dataclass(frozen=True)
class Change:
    """A candidate to promote, or a seed to evict, and why; rank 1 goes first."""

    subject_id: str
    rank: int
    evidence: Evidence


def add_credits(earlier: Mapping[str, Credit], window: Sequence[TrainedStep], signal: Signal) -> dict[str, Credit]:
    """The credits with this window's calls added, for every seed that one of them showed.

    z of an example: its signal less the window's linear trend in step, over the standard deviation of that.
    z of a call: the mean over its trained children. A call whose children are trained in two windows brings
    its seeds one z from each.
    """
    calls: dict[int, list[float]] = defaultdict(list)
    demos: dict[int, tuple[str, ...]] = {}
    for example, z in z_scores(window, signal):
        if example.call_index is not None:
            calls[example.call_index].append(z)
            demos[example.call_index] = example.demo_seed_ids
    credits = dict(earlier)
    for call_index, scores in sorted(calls.items()):
        for seed_id in dict.fromkeys(demos[call_index]):
            old = credits.get(seed_id, Credit())
            credits[seed_id] = Credit(old.sum_z + sum(scores) / len(scores), old.calls + 1, old.children + len(scores))
    return credits


def evictable(seeds: Sequence[ActiveSeed], credits: Mapping[str, Credit]) -> list[Change]:
    """Seeds with a credit below 0, lowest first, ties to the oldest, as far as half of S stays human.

    What replaces a seed is machine-made; once one more human seed may not leave, only machine-made ones follow.
    Without such a half to begin with nobody leaves.
    """
    spare = sum(seed.is_human for seed in seeds) - math.ceil(len(seeds) / 2)
    changes: list[Change] = []
    for seed in below_zero(seeds, credits) if spare >= 0 else []:
        if seed.is_human and spare == 0:
            continue
        spare -= seed.is_human
        credit = credits[seed.seed_id]
        evidence: Evidence = {
            "credit": credit.value,
            "sum_z": credit.sum_z,
            "calls": credit.calls,
            "children": credit.children,
            "origin": seed.origin,
            "seeds_active": len(seeds),
        }
        changes.append(Change(seed.seed_id, len(changes) + 1, evidence))
    return changes


def below_zero(seeds: Sequence[ActiveSeed], credits: Mapping[str, Credit]) -> list[ActiveSeed]:
    """Seeds with a credit below 0: lowest first, ties to the oldest, then in the order given."""
    below = [seed for seed in seeds if credits.get(seed.seed_id, Credit()).value < 0]
    return sorted(below, key=lambda seed: (credits[seed.seed_id].value, seed.added_at_iteration))

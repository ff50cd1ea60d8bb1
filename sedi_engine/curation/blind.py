"""The blind promotion test: do people prefer what the gradient norm proposes to what the loss or chance would?

From each finished window three rules choose a batch: the highest gradient norm, the highest loss, and chance. What the
promotion rule's sieve lets through of that batch is proposed, and all proposals go into one queue without their rules.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from sedi_engine.config import RunConfig
from sedi_engine.credit import ActiveSeed
from sedi_engine.curation.intervals import Share, wilson
from sedi_engine.errors import InputError, NotFoundError
from sedi_engine.feedback import attractive, promotable
from sedi_engine.proposals import trained
from sedi_engine.window import TrainedStep
from store import blind, runs, windows
from store.database import Store
from store.windows import Window

RULES = ("grad_norm", "loss", "random")
MOST_PER_RULE = 64
ENOUGH_DECIDED = 30
ORDER_STREAM = 0  # of the generator that mixes the items; windows are numbered from 1


@dataclass(frozen=True)
class Item:
    """A candidate of the test, the window it was proposed from, and every rule that proposed it."""

    candidate_id: str
    iteration: int
    rules: tuple[str, ...]


def make(store: Store, run_id: str, per_rule: int, random_seed: int, by: str) -> str:
    """Draw a test from the run's finished windows and enter it; its id. Raises NotFoundError or InputError."""
    if not 1 <= per_rule <= MOST_PER_RULE:
        raise InputError(
            f"per_rule is {per_rule}, but should be from 1 to {MOST_PER_RULE}.", "Change it and try again."
        )
    run = store.read(runs.get, run_id)
    if run is None:
        raise NotFoundError(f"There is no run {run_id!r}.", "Choose one of the list.")
    config = RunConfig.model_validate(run["config"])
    items = draw(store.read(windows.finished, run_id), config, per_rule, random_seed)
    if not items:
        raise InputError(
            f"Run {run_id} has nothing to test: no finished window with two trained batches has an example that may "
            "be promoted.",
            "Let it finish a window, or choose another run.",
        )
    return store.write(blind.add, run_id, random_seed, per_rule, by, [vars(item) for item in items])


def draw(found: Sequence[Window], config: RunConfig, per_rule: int, random_seed: int) -> list[Item]:
    """The items of all windows in their mixed order; the same for the same windows and seed.

    A window with less than two steps, or with a norm or loss that is no number, has no highest and is left out.
    """
    proposed: dict[tuple[str, int], list[str]] = {}
    for window in found:
        steps = [
            trained(step, batch, window.members, lineage=False)
            for step, batch in zip(window.steps, window.batches, strict=True)
        ]
        for rule, place in places(steps, random_seed, window.iteration).items():
            sieve = promotable(steps, place, _seeds(window), config.feedback, config.filter.tokenizer)
            for change in sieve.passed[:per_rule]:
                proposed.setdefault((change.subject_id, window.iteration), []).append(rule)
    items = [Item(name, iteration, tuple(rules)) for (name, iteration), rules in proposed.items()]
    order = np.random.default_rng([random_seed, ORDER_STREAM]).permutation(len(items))
    return [items[at] for at in order]


def places(steps: Sequence[TrainedStep], random_seed: int, iteration: int) -> dict[str, int]:
    """Which step of a window each rule chooses, by its place; none for a window that has no highest."""
    values = [value for step in steps for value in (step.grad_norm, step.loss)]
    if len(steps) < 2 or not all(map(math.isfinite, values)):
        return {}
    chance = int(np.random.default_rng([random_seed, iteration]).integers(len(steps)))
    chosen = (attractive(steps, "grad_norm"), attractive(steps, "loss"), chance)
    return {rule: place for rule, place in zip(RULES, chosen, strict=True) if place is not None}


def _seeds(window: Window) -> list[ActiveSeed]:
    return [
        ActiveSeed(row["seed_id"], row["instruction"], row["origin"], row["added_iteration"]) for row in window.active
    ]


@dataclass(frozen=True)
class Acceptance:
    """What people said to a rule's items: how many it has, and the share accepted of those decided."""

    rule: str
    items: int
    accepted: Share


def acceptance(outcomes: Sequence[Mapping[str, Any]]) -> list[Acceptance]:
    """Acceptance of each rule; an item of several rules counts for each. Rows as `store.blind.outcomes` gives them."""
    of, decided, accepted = Counter(), Counter(), Counter()
    for row in outcomes:
        of.update(row["rules"])
        if row["kind"] in ("accept", "reject"):
            decided.update(row["rules"])
        if row["kind"] == "accept":
            accepted.update(row["rules"])
    return [Acceptance(rule, of[rule], wilson(accepted[rule], decided[rule])) for rule in RULES]


def is_revealed(items: int, decided: int) -> bool:
    """Whether the rules may be told: all is decided, or enough is."""
    return decided >= min(items, ENOUGH_DECIDED)


def verdict(found: Sequence[Acceptance]) -> str:
    """What the test says, in a sentence that takes no difference inside the intervals for one."""
    told = [one for one in found if one.accepted.of]
    apart = [(one, other) for one, other in combinations(told, 2) if not one.accepted.overlaps(other.accepted)]
    if not apart:
        return "All intervals overlap: a difference inside the intervals is no difference."
    said = "; ".join(_difference(one, other) for one, other in apart)
    return f"{said}. Every other difference is inside the intervals and is no difference."


def _difference(one: Acceptance, other: Acceptance) -> str:
    better, worse = sorted((one, other), key=lambda each: -(each.accepted.value or 0.0))
    return f"People accept more of {_words(better.rule)} than of {_words(worse.rule)}: the intervals are apart"


def _words(rule: str) -> str:
    return {"grad_norm": "the gradient norm's proposals", "loss": "the loss's", "random": "the random batch's"}[rule]

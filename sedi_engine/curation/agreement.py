"""How far people who decided the same items agree, and how sure that is. Pure.

Labels are nominal: two people agree on an item when they gave it the same kind of decision. Intervals are 95 %
percentile bootstrap intervals over items, from a seeded generator, so equal decisions give equal numbers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Row = tuple[str, str, str]
Way = tuple[str | None, ...]  # the labels of one item, by person; None where that person gave none
Draws = NDArray[np.int64]  # (draws, ways): how many items of each way
Values = NDArray[np.float64]

FEWEST_ITEMS = 10
RESAMPLES = 500
PERCENT, KAPPA, ALPHA = "percent agreement", "Cohen’s κ", "Krippendorff’s α"
ONE_LABEL = "undefined: every item got the same label from everybody, so there is no chance to agree against"
NO_INTERVAL = "no interval: it is undefined in most resamples, since nearly every item got the same label"
NO_SPREAD = "no interval: every resample gives the same value"


@dataclass(frozen=True)
class Measure:
    """`value` of all items is a library's. `of_draws` is the same in closed form over all draws at once.

    A library's function, a draw at a time, takes seconds for an interval; the tests hold the two to each other.
    """

    name: str
    value: Callable[[Sequence[Way], Sequence[str]], float]
    of_draws: Callable[[Sequence[Way], Sequence[str], Draws], Values]


@dataclass(frozen=True)
class Estimate:
    """A measure with its 95 % interval over items; where one is missing, `note` says why."""

    measure: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    note: str | None = None


@dataclass(frozen=True)
class Agreement:
    """People who share an item, in the order in which they came; how many items two or more decided; what these say."""

    annotators: tuple[str, ...]
    items: int
    estimates: tuple[Estimate, ...]


def agreement(rows: Iterable[Row], seed: int = 0, resamples: int = RESAMPLES) -> Agreement:
    """Percent agreement, and Cohen's κ for two people or Krippendorff's α for more, of (subject, annotator, kind).

    A person's last word on a subject counts. Below FEWEST_ITEMS items there is no value; with one person no measure.
    """
    several = [given for given in _by_subject(rows).values() if len(given) > 1]
    people = tuple(dict.fromkeys(person for given in several for person in given))
    shared = [tuple(given.get(person) for person in people) for given in several]
    if len(people) < 2:
        return Agreement(people, 0, ())
    beyond_chance = _KAPPA if len(people) == 2 else _ALPHA
    estimates = tuple(_estimate(one, shared, seed, resamples) for one in (_PERCENT, beyond_chance))
    return Agreement(people, len(shared), estimates)


def pairs(rows: Iterable[Row], seed: int = 0, resamples: int = RESAMPLES) -> list[Agreement]:
    """The agreement of every two people who have decided the same item, on those that both decided."""
    labels = _by_subject(rows)
    people = dict.fromkeys(person for given in labels.values() for person in given)
    both = {pair: [one for one in labels.items() if set(pair) <= one[1].keys()] for pair in combinations(people, 2)}
    return [
        agreement([(subject, who, given[who]) for subject, given in items for who in pair], seed, resamples)
        for pair, items in both.items()
        if items
    ]


def _by_subject(rows: Iterable[Row]) -> dict[str, dict[str, str]]:
    labels: dict[str, dict[str, str]] = defaultdict(dict)
    for subject, annotator, kind in rows:
        labels[subject][annotator] = kind
    return labels


def _estimate(measure: Measure, items: Sequence[Way], seed: int, resamples: int) -> Estimate:
    """The measure, and its interval from drawing as many items with replacement `resamples` times.

    Items that were decided alike are told apart by nothing, so a draw of items is one of how many of each way.
    """
    name = measure.name
    if len(items) < FEWEST_ITEMS:
        return Estimate(name, note=f"needs {FEWEST_ITEMS} items that two people decided; there are {len(items)}")
    kinds = sorted({label for way in items for label in way if label})
    if len(kinds) == 1 and measure is not _PERCENT:
        return Estimate(name, note=ONE_LABEL)
    value = measure.value(items, kinds)
    counted = Counter(items)
    ways, numbers = list(counted), np.array(list(counted.values()), dtype=np.int64)
    drawn = np.random.default_rng(seed).multinomial(len(items), numbers / len(items), size=resamples)
    with np.errstate(invalid="ignore"):
        values = measure.of_draws(ways, kinds, drawn)
    defined = values[~np.isnan(values)]
    if len(defined) < resamples / 2:
        return Estimate(name, value, note=NO_INTERVAL)
    if np.ptp(defined) == 0:
        return Estimate(name, value, note=NO_SPREAD)
    low, high = np.percentile(defined, [2.5, 97.5])
    return Estimate(name, value, float(low), float(high))


def _percent(items: Sequence[Way], kinds: Sequence[str]) -> float:
    """Mean over items of the share of the pairs of people who gave it the same label."""
    return sum(map(_agreeing, items)) / len(items)


def _agreeing(way: Way) -> float:
    of = [one == other for one, other in combinations([label for label in way if label], 2)]
    return sum(of) / len(of)


def _percents(ways: Sequence[Way], kinds: Sequence[str], draws: Draws) -> Values:
    return draws @ np.array([_agreeing(way) for way in ways]) / draws.sum(axis=1)


def _kappa(items: Sequence[Way], kinds: Sequence[str]) -> float:
    from sklearn.metrics import cohen_kappa_score

    return float(cohen_kappa_score(*zip(*items, strict=True), labels=kinds))


def _kappas(ways: Sequence[Way], kinds: Sequence[str], draws: Draws) -> Values:
    """(observed - expected) / (1 - expected); NaN where both gave one label only, and the same."""
    total = draws.sum(axis=1)
    one, other = (draws @ np.array([[way[at] == kind for kind in kinds] for way in ways]) for at in (0, 1))
    observed, expected = draws @ np.array([way[0] == way[1] for way in ways]), (one * other).sum(axis=1)
    return (observed * total - expected) / (total**2 - expected)


def _alpha(items: Sequence[Way], kinds: Sequence[str]) -> float:
    from nltk.metrics.agreement import AnnotationTask

    said = ((str(at), str(item), label) for item, way in enumerate(items) for at, label in enumerate(way) if label)
    return float(AnnotationTask(list(said)).alpha())


def _alphas(ways: Sequence[Way], kinds: Sequence[str], draws: Draws) -> Values:
    """1 - observed / expected disagreement of the labels that can be paired; NaN where there is one label only."""
    counts = _counts(ways, kinds)
    several = counts.sum(axis=1)
    apart = (several**2 - (counts**2).sum(axis=1)) / (several - 1)
    totals = draws @ counts
    labels = totals.sum(axis=1)
    return 1 - (draws @ apart) * (labels - 1) / (labels**2 - (totals**2).sum(axis=1))


def _counts(ways: Sequence[Way], kinds: Sequence[str]) -> NDArray[np.int64]:
    """How many people gave an item each label (W, K)."""
    return np.array([[way.count(kind) for kind in kinds] for way in ways])


_PERCENT = Measure(PERCENT, _percent, _percents)
_KAPPA = Measure(KAPPA, _kappa, _kappas)
_ALPHA = Measure(ALPHA, _alpha, _alphas)

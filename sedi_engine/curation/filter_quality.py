"""Precision and recall of the similarity filter by its threshold, from what people said of single candidates. Pure.

The filter drops where max ROUGE-L is above τ. Precision: of the labelled that it would drop, the share that are
near-copies; recall: of the labelled near-copies, the share that it would drop. It speaks of the labelled alone, with
the largest ROUGE-L that each had in the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sedi_engine.curation.intervals import Share, wilson

GRID = tuple(round(0.5 + step / 100, 2) for step in range(51))
FEW = 20


@dataclass(frozen=True)
class Point:
    """What the filter would do to the labelled at a threshold."""

    threshold: float
    precision: Share
    recall: Share


@dataclass(frozen=True)
class Labels:
    """How many labels of each kind there are."""

    right_drops: int
    wrong_drops: int
    missed: int
    rightly_kept: int

    @property
    def copies(self) -> int:
        """Labelled near-copies."""
        return self.right_drops + self.missed

    @property
    def others(self) -> int:
        """Labelled as no near-copies."""
        return self.wrong_drops + self.rightly_kept


def counted(rows: Sequence[Mapping[str, Any]]) -> Labels:
    """The labels by kind; rows as `store.filter_labels.of_run` gives them."""
    found = [(row["verdict"] == "dropped", row["is_copy"]) for row in rows]
    return Labels(*(found.count(one) for one in ((True, True), (True, False), (False, True), (False, False))))


def by_threshold(rows: Sequence[Mapping[str, Any]], thresholds: Sequence[float] = GRID) -> list[Point]:
    """Precision and recall at each threshold, 0.5 or more: below that no largest ROUGE-L is known."""
    copies = [row["max_rouge_l"] or 0.0 for row in rows if row["is_copy"]]
    others = [row["max_rouge_l"] or 0.0 for row in rows if not row["is_copy"]]
    return [_point(threshold, copies, others) for threshold in thresholds]


def _point(threshold: float, copies: Sequence[float], others: Sequence[float]) -> Point:
    right, wrong = (sum(value > threshold for value in values) for values in (copies, others))
    return Point(threshold, wilson(right, right + wrong), wilson(right, len(copies)))


def caution(labels: Labels) -> str | None:
    """What to say where there are too few labels to rest on; None where there are enough."""
    if min(labels.copies, labels.others) >= FEW:
        return None
    return (
        f"Few labels: {labels.copies} near-copies and {labels.others} others; below {FEW} of each the intervals are so "
        "wide that thresholds can hardly be told apart."
    )

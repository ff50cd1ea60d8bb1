"""Intervals of shares that people's decisions give. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Share:
    """`hits` of `of`, as a share with its 95 % Wilson interval; the three are None where `of` is 0."""

    hits: int
    of: int
    value: float | None
    low: float | None
    high: float | None

    def overlaps(self, other: Share) -> bool:
        """Whether the two intervals have a value in common; one of nothing says nothing, so it overlaps all."""
        if None in (self.low, other.low):
            return True
        return self.low <= other.high and other.low <= self.high


@lru_cache(maxsize=4096)
def wilson(hits: int, of: int) -> Share:
    """The share with its 95 % Wilson interval."""
    if not of:
        return Share(hits, of, None, None, None)
    # Takes a second or two to import, and only screens of decisions need it.
    from scipy.stats import binomtest

    interval = binomtest(hits, of).proportion_ci(method="wilson")
    return Share(hits, of, hits / of, float(interval.low), float(interval.high))

"""How many calls may be in flight: grows slowly, halves on overload, and honours what the server asks to wait.

Plain additive increase spends a quarter of its time below what the server can do. So the level at which calls were
turned down is remembered: below it the way back is quick (one more for each success), and just under it the pace stays
for many rounds before one call more is tried, twice as many after each try that failed. Where calls are turned down
again soon after, below that level too (a limit on the rate and not on the number), the level sinks by a fifth.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

FIRST_LIMIT = 4
ROUNDS_BEFORE_TRYING, MOST_ROUNDS = 32, 2048
SOON_ROUNDS = 4
SINKS_TO = 0.8
LONGEST_PAUSE_S = 300.0


class Place(NamedTuple):
    """A call in flight: how often the pace had halved when it was sent, and the how many-eth it was then."""

    generation: int
    level: int


class Pace:
    """A limit on calls in flight, from 1 to `most`; a `fixed` one never moves. `clock` gives seconds."""

    def __init__(self, most: int, *, fixed: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._fixed, self._clock = most, fixed, clock
        self._limit = most if fixed else min(FIRST_LIMIT, most)
        self._ceiling = most
        self._rounds = ROUNDS_BEFORE_TRYING
        self._successes_here = 0  # since the ceiling moved
        self._successes = 0  # since a call was turned down
        self._generation = 0
        self._not_before = 0.0
        self._in_flight = 0
        self._changed = asyncio.Condition()

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return self._limit

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Place]:
        """Wait for a place, and hold it."""
        async with self._changed:
            while (wait_s := self._wait_s()) is not None:
                try:
                    await asyncio.wait_for(self._changed.wait(), wait_s or None)
                except TimeoutError:
                    continue
            self._in_flight += 1
            place = Place(self._generation, self._in_flight)
        try:
            yield place
        finally:
            self._in_flight -= 1
            async with self._changed:
                self._changed.notify_all()

    def succeeded(self) -> None:
        """A reply came: earn a little more, if what there is was used."""
        self._successes += 1
        self._successes_here += 1
        if self._fixed or self._in_flight < self._limit or self._limit >= self._most:
            return
        if self._limit < self._ceiling:
            self._limit += 1
        elif self._successes_here >= self._rounds * self._limit:
            self._successes_here = 0
            self._ceiling = self._limit = self._limit + 1

    def overloaded(self, place: Place, retry_after_s: float | None) -> None:
        """The server turned a call down: halve, once for all that were sent before, and wait as long as it asks."""
        if retry_after_s:
            self._not_before = max(self._not_before, self._clock() + min(retry_after_s, LONGEST_PAUSE_S))
        if self._fixed:
            return
        if place.generation != self._generation:
            if place.generation == self._generation - 1 and self._successes == 0:
                self._ceiling = max(1, min(self._ceiling, place.level - 1))
            return
        soon = self._generation > 0 and self._successes < SOON_ROUNDS * self._limit
        tried = not soon and place.level > self._ceiling - 1
        self._rounds = min(MOST_ROUNDS, 2 * self._rounds) if tried else ROUNDS_BEFORE_TRYING
        known = int(self._ceiling * SINKS_TO) if soon else self._ceiling
        self._ceiling = max(1, min(known, place.level - 1))
        self._limit = max(1, self._limit // 2)
        self._generation += 1
        self._successes = self._successes_here = 0

    def _wait_s(self) -> float | None:
        """None to go on; else seconds to wait, 0 for as long as it takes until something changes."""
        if self._in_flight >= self.limit:
            return 0.0
        left = self._not_before - self._clock()
        return left if left > 0 else None

"""Answers that are kept: a query marked here is asked again only once something was written that it could show.

Every write goes through the store's one writer, which counts them here; so what is kept is never out of date. A query
of one run is untouched by what the events of other runs write. What a marked query returns is shared by all who ask:
it is read, never changed.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

Query = TypeVar("Query", bound=Callable[..., Any])
Change = TypeVar("Change", bound=Callable[..., Any])
Mark = tuple[int, int]
MOST_ANSWERS = 256
SCOPE, UNSEEN = "kept_of_run", "unseen_by_kept"


def kept(query: Query) -> Query:
    """Mark a query of a cursor: its answer holds until anything is written."""
    setattr(query, SCOPE, False)
    return query


def kept_of_run(query: Query) -> Query:
    """Mark a query of (cursor, run_id, …) that shows one run alone, or what no event of another run changes."""
    setattr(query, SCOPE, True)
    return query


def unseen(change: Change) -> Change:
    """Mark a writing function of a cursor: it writes nothing that a marked query could show."""
    setattr(change, UNSEEN, True)
    return change


class Answers:
    """What was answered, and how much has been written since."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[Any, ...], tuple[Mark, Any]] = OrderedDict()
        self._events: Counter[str] = Counter()
        self._others = 0

    def written(self, change: Callable[..., Any], run_id: str | None) -> None:
        """What `change` writes is in the store now: the events of a run, or anything else."""
        if getattr(change, UNSEEN, False):
            return
        with self._lock:
            if run_id is None:
                self._others += 1
            else:
                self._events[run_id] += 1

    def mark(self, run_id: str | None = None) -> Mark:
        """It changes with every write that what is shown of a run could show; without a run, with every write."""
        with self._lock:
            return self._others, self._events[run_id] if run_id else self._events.total()

    def ask(self, query: Callable[..., Any], args: tuple[Any, ...], read: Callable[[], Any]) -> Any:
        """The answer that is kept, or else what `read` finds now."""
        of_run = getattr(query, SCOPE, None)
        if of_run is None:
            return read()
        key = (query.__module__, query.__qualname__, repr(args))
        now = self.mark(args[0] if of_run else None)
        with self._lock:
            before = self._held.get(key)
            if before and before[0] == now:
                self._held.move_to_end(key)
                return before[1]
        found = read()
        with self._lock:
            self._held[key] = (now, found)
            if len(self._held) > MOST_ANSWERS:
                self._held.popitem(last=False)
        return found

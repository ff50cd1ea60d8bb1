"""How much memory something took beyond what the process had before."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import psutil

EVERY_S = 0.02


class Growth:
    """Samples resident memory while it is open, of this process and of its children; peaks in MB."""

    def __init__(self) -> None:
        self._process, self._done = psutil.Process(), threading.Event()
        self._before, self._peak, self._children = self._process.memory_info().rss, 0, 0
        self._thread = threading.Thread(target=self._sample, daemon=True)

    @property
    def own_mb(self) -> float:
        """Growth of this process."""
        return max(0, self._peak - self._before) / 1e6

    @property
    def children_mb(self) -> float:
        """Largest sum over its children."""
        return self._children / 1e6

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(EVERY_S):
            self._peak = max(self._peak, self._process.memory_info().rss)
            try:
                found = sum(child.memory_info().rss for child in self._process.children(recursive=True))
            except psutil.Error:  # one that ended while it was looked at
                continue
            self._children = max(self._children, found)

"""A trained window as values: its steps, and what each showed of each example."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Signal = Literal["loss", "el2n", "grand", "ifd"]


@dataclass(frozen=True)
class TrainedExample:
    """A member of a trained batch: where it came from and what its step showed of it.

    `call_index` and `demo_seed_ids` are the instruction call that made it and the seeds it showed; None and
    empty without lineage. `machine_made` is false for a person's edit. `is_seed`: it is, or was, a seed.
    """

    candidate_id: str
    instruction: str
    output: str
    cluster: int
    loss: float
    el2n: float
    grand: float | None = None
    ifd: float | None = None
    call_index: int | None = None
    demo_seed_ids: tuple[str, ...] = ()
    machine_made: bool = True
    is_seed: bool = False

    def signal(self, name: Signal) -> float:
        """The per-example signal of that name; NaN when it was not measured."""
        value = getattr(self, name)
        return math.nan if value is None else value


@dataclass(frozen=True)
class TrainedStep:
    """One step of a window, with the examples that had a response token."""

    step: int
    loss: float
    grad_norm: float
    response_tokens: int
    examples: tuple[TrainedExample, ...]


def detrend(values: Sequence[float], positions: Sequence[float] | None = None) -> list[float]:
    """What is left of `values` less their linear fit over `positions` (else 0, 1, …); zeros for one or two."""
    y = np.asarray(values, dtype=np.float64)
    x = np.arange(len(y), dtype=np.float64) if positions is None else np.asarray(positions, dtype=np.float64)
    if len(y) <= 2:
        return [0.0] * len(y)
    x = x - x.mean()
    slope = (x @ y) / (x @ x) if x.any() else 0.0
    return (y - y.mean() - slope * x).tolist()


def z_scores(window: Sequence[TrainedStep], signal: Signal) -> Iterator[tuple[TrainedExample, float]]:
    """Every measured example with its signal less the window's trend in step, over the spread of that."""
    measured = [
        (place, example)
        for place, step in enumerate(window)
        for example in step.examples
        if math.isfinite(example.signal(signal))
    ]
    values = [example.signal(signal) for _, example in measured]
    residuals = np.asarray(detrend(values, [place for place, _ in measured]))
    # What rounding leaves of equal values is no spread.
    spread = residuals.std() if measured else 0.0
    z = residuals / spread if spread > 1e-9 * max(map(abs, values), default=0.0) else np.zeros(len(measured))
    return zip((example for _, example in measured), z.tolist(), strict=True)

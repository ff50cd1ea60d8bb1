"""What a window's training says about the seeds: an attractive batch, promotions from it, evictions by credit.

Pure: values of one window in, proposals with their evidence out. That the batch with the highest gradient norm
is chosen, instructions from it join the seeds and weak seeds leave is said of SeDi-Instruct by summaries of it;
which instructions, which seeds and how many is this project's reconstruction.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from sedi_engine.config import FeedbackConfig
from sedi_engine.credit import ActiveSeed, Change, Credit, Evidence, add_credits, below_zero, evictable
from sedi_engine.filters.rouge import RougeIndex, Tokenizer
from sedi_engine.window import Signal, TrainedExample, TrainedStep, detrend

BatchSignal = Literal["grad_norm", "grad_norm_detrended", "loss"]

NOISE_PERCENTILE = 95
NEAREST_SEED_LIMIT = 0.7
NEAREST_SEED_SHOWN = 0.5


@dataclass(frozen=True)
class RankedStep:
    """A step's place in its window by the batch signal; rank 1 is the attractive batch."""

    step: int
    rank: int
    grad_norm: float
    grad_norm_detrended: float
    loss: float


@dataclass(frozen=True)
class Feedback:
    """What one window proposes. `reason_none` says why nothing is, and is None when something is."""

    attractive_step: int | None
    ranking: tuple[RankedStep, ...]
    norm_token_correlation: float | None
    credits: Mapping[str, Credit]
    promotions: tuple[Change, ...] = ()
    evictions: tuple[Change, ...] = ()
    reason_none: str | None = None


@dataclass
class Sieve:
    """Who may be promoted, in order, and how many were held back for what."""

    passed: list[Change] = field(default_factory=list)
    held_back: Counter[str] = field(default_factory=Counter)


def propose(
    window: Sequence[TrainedStep],
    seeds: Sequence[ActiveSeed],
    config: FeedbackConfig,
    *,
    earlier: Mapping[str, Credit] | None = None,
    tokenizer: Tokenizer = "rouge",
    lineage: bool = True,
) -> Feedback:
    """Promotions and evictions, equally many, so that |S| stays and at least half of S stays human.

    `seeds` is S, `earlier` the credits up to the window before. Without `lineage` nobody knows which seed made
    what: there are no credits and no evictions, and up to m promotions are proposed to the library.
    """
    place = attractive(window, config.batch_signal)
    ranking = rank_steps(window, config.batch_signal)
    correlation = _correlation([s.grad_norm for s in window], [s.response_tokens for s in window])
    credits = add_credits(earlier or {}, window, config.signal) if lineage else {}
    seen = (None if place is None else window[place].step, ranking, correlation, credits)
    if place is None:
        return Feedback(*seen, reason_none=f"Choosing a batch takes two, and the window has {len(window)}.")
    if config.promote == 0:
        return Feedback(*seen, reason_none="feedback.promote is 0.")
    sieve = promotable(window, place, seeds, config, tokenizer)
    leaving = evictable(seeds, credits) if lineage else []
    count = min(config.promote, len(sieve.passed), len(leaving) if lineage else config.promote)
    return Feedback(
        *seen,
        promotions=tuple(sieve.passed[:count]),
        evictions=tuple(leaving[:count]),
        reason_none=None if count else _why_none(sieve, seeds, credits),
    )


def attractive(window: Sequence[TrainedStep], signal: BatchSignal) -> int | None:
    """Place of the step with the highest batch signal, the earliest of equals; None for less than two steps."""
    if len(window) < 2:
        return None
    values = _batch_values(window, signal)
    return max(range(len(values)), key=lambda place: (values[place], -place))


def rank_steps(window: Sequence[TrainedStep], signal: BatchSignal) -> tuple[RankedStep, ...]:
    """The window's steps in order of training, each with its rank by the batch signal."""
    values, detrended = _batch_values(window, signal), detrend([step.grad_norm for step in window])
    order = sorted(range(len(window)), key=lambda place: (-values[place], place))
    rank = {place: number for number, place in enumerate(order, start=1)}
    return tuple(
        RankedStep(step.step, rank[place], step.grad_norm, detrended[place], step.loss)
        for place, step in enumerate(window)
    )


def promotable(
    window: Sequence[TrainedStep],
    place: int,
    seeds: Sequence[ActiveSeed],
    config: FeedbackConfig,
    tokenizer: Tokenizer,
) -> Sieve:
    """Examples of the step at `place` that may become seeds, by falling signal, and what held the others back.

    Machine-made, complete, no seed; not above the window's 95th percentile of loss; ROUGE-L at most 0.7 to every
    active seed and to those before it in this list; one a cluster.
    """
    losses = sorted((example.loss for step in window for example in step.examples), reverse=True)
    guard = float(np.percentile(losses, NOISE_PERCENTILE)) if losses else math.nan
    index, names = RougeIndex(tokenizer), [seed.seed_id for seed in seeds]
    for seed in seeds:
        index.add(seed.instruction)
    sieve, clusters = Sieve(), set()
    for example in _by_signal(window[place].examples, config.signal):
        match = index.nearest(example.instruction, at_least=NEAREST_SEED_SHOWN)
        fault = _fault(example, guard, match.f1 if match else 0.0, clusters)
        if fault:
            sieve.held_back[fault] += 1
            continue
        clusters.add(example.cluster)
        index.add(example.instruction)
        names.append(example.candidate_id)
        evidence: Evidence = {
            **_window_evidence(window, place, config),
            "signal_value": example.signal(config.signal),
            "cluster": example.cluster,
            "loss": example.loss,
            "loss_rank": losses.index(example.loss) + 1,
            "loss_limit": guard,
            "nearest_seed_id": names[match.index] if match else None,
            "nearest_seed_rouge_l": match.f1 if match else None,
        }
        sieve.passed.append(Change(example.candidate_id, len(sieve.passed) + 1, evidence))
    return sieve


def _batch_values(window: Sequence[TrainedStep], signal: BatchSignal) -> list[float]:
    if signal == "grad_norm_detrended":
        return detrend([step.grad_norm for step in window])
    return [getattr(step, signal) for step in window]


def _by_signal(examples: Sequence[TrainedExample], signal: Signal) -> list[TrainedExample]:
    measured = [example for example in examples if math.isfinite(example.signal(signal))]
    return sorted(measured, key=lambda example: -example.signal(signal))


def _fault(example: TrainedExample, guard: float, nearest: float, clusters: set[int]) -> str | None:
    """Why an example may not be promoted."""
    faults = {
        "a person's edit or already a seed": example.is_seed or not example.machine_made,
        "without an output": not example.output.strip(),
        f"above the {NOISE_PERCENTILE}th percentile of loss": example.loss > guard,
        "in the cluster of a better one": example.cluster in clusters,
        f"within ROUGE-L {NEAREST_SEED_LIMIT} of a seed": nearest > NEAREST_SEED_LIMIT,
    }
    return next((fault for fault, applies in faults.items() if applies), None)


def _window_evidence(window: Sequence[TrainedStep], place: int, config: FeedbackConfig) -> Evidence:
    norms = [step.grad_norm for step in window]
    return {
        "step": window[place].step,
        "batch_signal": config.batch_signal,
        "batch_value": _batch_values(window, config.batch_signal)[place],
        "window_grad_norm": norms,
        "window_grad_norm_detrended": detrend(norms),
        "window_loss": [step.loss for step in window],
        "norm_token_correlation": _correlation(norms, [step.response_tokens for step in window]),
        "signal": config.signal,
    }


def _correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Pearson's r; None when either does not vary."""
    x, y = (np.asarray(values, dtype=np.float64) for values in (one, other))
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def _why_none(sieve: Sieve, seeds: Sequence[ActiveSeed], credits: Mapping[str, Credit]) -> str:
    if not sieve.passed:
        causes = ", ".join(f"{count} {fault}" for fault, count in sieve.held_back.items()) or "it is empty"
        return f"No example of the attractive batch may be promoted: {causes}."
    if not below_zero(seeds, credits):
        return "No seed has a credit below 0, so none has to leave."
    return "The seeds with a credit below 0 are human, and at least half of the seeds stay human."

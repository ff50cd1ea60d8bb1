"""Another threshold over what a run has already generated: what the filter would have kept, and what that had cost.

The logged candidates are judged again in their order, against a pool that grows as they pass, while S does not
change. Only similarity is decided anew: a candidate that the heuristics dropped stays dropped, and so does one whose
output was dropped. In staged form the latter had passed and holds its place in the pool; a whole task's output was
checked before similarity, so it never had one. A `similar` candidate that passes now counts as kept.

For thresholds up to the run's own this is an exact recount of what the filter alone would have kept. Above it, in
staged form, it is an upper bound: outputs that nobody paid for might have been dropped. Kept is not monotone in the
threshold, because one kept text can block several.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

from sedi_engine.errors import InputError
from sedi_engine.filters.rouge import RougeIndex, Tokenizer
from store import replays, views
from store.database import Reader
from store.replays import LoggedCall, LoggedCandidate, ReplayLog

NEVER_DROPS = 1.0


@dataclass(frozen=True)
class ReplayedCall:
    """One call at the replayed threshold: candidates it gave, how many passed similarity, how many were kept.

    In staged form its calls, tokens (of completion) and money are those of its list and of the outputs of what passed.
    """

    calls: int
    judged: int
    passed: int
    kept: int
    completion_tokens: int
    cost_usd: float | None


@dataclass(frozen=True)
class Replay:
    """A whole log at one threshold; `exact` is False where `kept_ids` is only an upper bound."""

    threshold: float
    exact: bool
    kept_ids: tuple[str, ...]
    dropped_similar: int
    start_pool: int
    calls: tuple[ReplayedCall, ...]
    judged_ids: frozenset[str]

    @property
    def kept(self) -> int:
        """Candidates kept."""
        return len(self.kept_ids)

    @property
    def cost_usd(self) -> float | None:
        """What all calls had cost; None when a price is unknown."""
        return _sum(call.cost_usd for call in self.calls)

    def summary(self) -> dict[str, Any]:
        """Counts and cost, whole and per 1,000 kept (None while nothing is kept)."""
        calls = sum(call.calls for call in self.calls)
        return {
            "threshold": self.threshold,
            "exact": self.exact,
            "judged": sum(call.judged for call in self.calls),
            "kept": self.kept,
            "dropped_similar": self.dropped_similar,
            "calls": calls,
            "completion_tokens": sum(call.completion_tokens for call in self.calls),
            "cost_usd": self.cost_usd,
            "calls_per_1000_kept": _per(1000 * calls, self.kept),
            "cost_usd_per_1000_kept": None if self.cost_usd is None else _per(1000 * self.cost_usd, self.kept),
        }


def replay(log: ReplayLog, threshold: float, run_threshold: float, tokenizer: Tokenizer) -> Replay:
    """Judge a log again at `threshold`, in (0, 1]; a candidate with a larger ROUGE-L F1 to the pool is dropped.

    Time grows with the number of candidates about linearly; compute again only when `log.judged` has grown.
    """
    pool = RougeIndex(tokenizer)
    for instruction in log.seed_instructions:
        pool.add(instruction)
    kept_ids: list[str] = []
    calls, similar = [], 0
    for call in log.calls:
        open_to = [candidate for candidate in call.candidates if _reaches_similarity(call, candidate)]
        passed = [candidate for candidate in open_to if _passes(pool, candidate.instruction, threshold)]
        kept = [candidate.candidate_id for candidate in passed if candidate.stage != "output"]
        similar += len(open_to) - len(passed)
        kept_ids += kept
        calls.append(_priced(call, passed, len(kept)))
    exact = threshold <= run_threshold or (threshold < NEVER_DROPS and all(c.stage == "whole_task" for c in log.calls))
    judged_ids = frozenset(candidate.candidate_id for call in log.calls for candidate in call.candidates)
    return Replay(threshold, exact, tuple(kept_ids), similar, len(log.seed_instructions), tuple(calls), judged_ids)


def of_run(store: Reader, run_id: str, *thresholds: float | None) -> list[Replay]:
    """A run of the store at each of these thresholds, None being its own; raises InputError for one that is none."""
    settings = store.read(views.settings, run_id)
    assert settings is not None
    own, tokenizer = settings["filter"]["threshold"], settings["filter"]["tokenizer"]
    wanted = [own if one is None else one for one in thresholds]
    for one in wanted:
        if not 0 < one <= 1:
            raise InputError(f"The threshold is {one:g}.", "Give one above 0 and at most 1, for example 0.7.")
    log = store.read(replays.rows_for_replay, run_id)
    return [replay(log, one, own, tokenizer) for one in wanted]


def _reaches_similarity(call: LoggedCall, candidate: LoggedCandidate) -> bool:
    if candidate.stage == "output":
        return call.stage == "instruction"
    return candidate.stage != "heuristics"


def _passes(pool: RougeIndex, instruction: str, threshold: float) -> bool:
    """Whether it is near nothing in the pool; if so it joins."""
    nearest = pool.nearest(instruction, at_least=threshold)
    if nearest and nearest.f1 > threshold:
        return False
    pool.add(instruction)
    return True


def _priced(call: LoggedCall, passed: Sequence[LoggedCandidate], kept: int) -> ReplayedCall:
    return ReplayedCall(
        1 + (len(passed) if call.stage == "instruction" else 0),
        len(call.candidates),
        len(passed),
        kept,
        call.completion_tokens + sum(candidate.output_tokens for candidate in passed),
        _sum([call.cost_usd, *(candidate.output_usd for candidate in passed)]),
    )


@dataclass(frozen=True)
class CurvePoint:
    """How well filtering goes by the time the pool has this size.

    `keep_rate` is that of the candidates since the point before; tokens (of completion) and money per kept are
    all that was paid up to here over all that was kept up to here, None while nothing is, or no price is known.
    """

    judged: int
    pool: int
    kept: int
    keep_rate: float
    completion_tokens_per_kept: float | None
    usd_per_kept: float | None


def pool_curve(replayed: Replay, points: int = 40) -> list[CurvePoint]:
    """Keep rate and price of what is kept against pool size, in about `points` bins of equally many candidates.

    A bin ends with a call, so that what the call cost is spread over what it gave.
    """
    at_once = max(1, math.ceil(sum(call.judged for call in replayed.calls) / points))
    curve: list[CurvePoint] = []
    judged, kept, pool, tokens = 0, 0, replayed.start_pool, 0
    judged_before, kept_before = 0, 0
    usd: float | None = 0.0
    for number, call in enumerate(replayed.calls, start=1):
        judged, kept, pool = judged + call.judged, kept + call.kept, pool + call.passed
        tokens, usd = tokens + call.completion_tokens, _sum([usd, call.cost_usd])
        fresh = judged - judged_before
        if fresh >= at_once or (fresh and number == len(replayed.calls)):
            rate = (kept - kept_before) / fresh
            curve.append(CurvePoint(judged, pool, kept, rate, _per(tokens, kept), _per(usd, kept)))
            judged_before, kept_before = judged, kept
    return curve


@dataclass(frozen=True)
class Saving:
    """Share of cost that one threshold saves over another at equally many kept; negative where it costs more.

    `share` is None where the first never keeps as many. `exact` is False where one of the two is an upper bound.
    """

    share: float | None
    kept: int
    measure: Literal["cost_usd", "completion_tokens"]
    exact: bool


def saving(of: Replay, over: Replay) -> Saving:
    """1 - cost until `of` has K' / cost until `over` has K', with K' what `over` keeps of the whole log.

    Cost is money where it is known and not nothing, else completion tokens; a call is paid as a whole.
    """
    paid = [call.cost_usd for one in (of, over) for call in one.calls]
    measure: Literal["cost_usd", "completion_tokens"] = "cost_usd" if _sum(paid) else "completion_tokens"
    spent, base = _cost_until(of, over.kept, measure), _cost_until(over, over.kept, measure)
    share = 1 - spent / base if spent is not None and base else None
    return Saving(share, over.kept, measure, of.exact and over.exact)


def _cost_until(replayed: Replay, kept: int, measure: str) -> float | None:
    """Cost of the calls up to the one that brings the `kept`-th; None if there is none."""
    have = accumulate(call.kept for call in replayed.calls)
    paid = accumulate(getattr(call, measure) for call in replayed.calls)
    return next((cost for count, cost in zip(have, paid, strict=True) if count >= kept > 0), None)


def _sum(amounts: Iterable[float | None]) -> float | None:
    """The sum; None if any is unknown."""
    total = 0.0
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def _per(amount: float | None, kept: int) -> float | None:
    return amount / kept if amount is not None and kept else None

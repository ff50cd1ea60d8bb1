"""The filter of one run: what a candidate's verdict is, why, and which text is nearest to it.

Judging adds nothing; the caller adds what it keeps, in the order of judgement, so that the pool grows at once.

    staged        judge(instruction) → kept: add(...) → the output comes → judge_output(...) → None: complete(...)
    whole_task    judge(instruction, output=(input, output)) → kept: add(...), complete(...)

Rules in order: heuristics, held-out texts, then (whole_task) the output, then similarity. So a whole task that is
an exact copy of a completed one is a `duplicate`, not `similar`. An instruction that passed stays in the pool even
if its output is dropped later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sedi_engine.filters import heuristics
from sedi_engine.filters.rouge import RougeIndex, Tokenizer, tokenize
from store.records import DropReason, NearestSource, Verdict, VerdictStage

HELDOUT_F1 = 0.7
REPORTED_F1 = 0.5


@dataclass(frozen=True)
class Judgement:
    """A verdict with its evidence; `max_rouge_l` is exact, and the last three are None where it is below 0.5."""

    verdict: Verdict
    stage: VerdictStage | None = None
    reason: DropReason | None = None
    max_rouge_l: float | None = None
    nearest_id: str | None = None
    nearest_source: NearestSource | None = None

    def dropped(self, stage: VerdictStage, reason: DropReason) -> Judgement:
        """The same evidence with a later drop: what became of a kept instruction whose output was bad."""
        return replace(self, verdict="dropped", stage=stage, reason=reason)


class Filter:
    """Heuristics, held-out check, output checks and similarity against the pool of one run.

    `threshold` is in (0, 1]: a candidate with a ROUGE-L F1 *above* it to any text of the pool is dropped.
    `heldout` are the instructions of the held-out tasks; a candidate above 0.7 to one of them is dropped.
    """

    def __init__(self, threshold: float, tokenizer: Tokenizer, heldout: Sequence[str] = ()) -> None:
        self.threshold = threshold
        self.tokenizer = tokenizer
        self._pool = RougeIndex(tokenizer)
        self._members: list[tuple[str, NearestSource]] = []
        self._completed: set[tuple[str, str, str]] = set()
        self._heldout = RougeIndex(tokenizer)
        for instruction in heldout:
            self._heldout.add(instruction)

    def __len__(self) -> int:
        return len(self._pool)

    def add(self, instruction: str, ident: str, source: NearestSource) -> None:
        """Put an instruction into the pool without judging it."""
        self._pool.add(instruction)
        self._members.append((ident, source))

    def complete(self, instruction: str, input: str, output: str) -> None:
        """Remember a whole task, so that the same one again is a duplicate."""
        self._completed.add(_stripped(instruction, input, output))

    def judge(self, instruction: str, output: tuple[str, str] | None = None, *, truncated: bool = False) -> Judgement:
        """The verdict on an instruction, or with `output` = (input, output) on a whole task.

        `truncated` says that the candidate is the last of a reply that was cut by length. The nearest text of
        the pool is reported whatever the verdict is.
        """
        match = self._pool.nearest(instruction, at_least=min(REPORTED_F1, self.threshold))
        stage, reason = self._early_fault(instruction, output, truncated)
        if reason is None and match and match.f1 > self.threshold:
            stage, reason = "similarity", "similar"
        verdict: Verdict = "dropped" if reason else "kept"
        if match is None or match.f1 < REPORTED_F1:
            return Judgement(verdict, stage, reason)
        return Judgement(verdict, stage, reason, match.f1, *self._members[match.index])

    def judge_output(self, instruction: str, input: str, output: str, *, truncated: bool = False) -> DropReason | None:
        """Why this task must be dropped for its output, or for being a completed one again; None if neither."""
        if truncated:
            return "truncated"
        if reason := heuristics.check_output(instruction, input, output):
            return reason
        return "duplicate" if _stripped(instruction, input, output) in self._completed else None

    def _early_fault(
        self, instruction: str, output: tuple[str, str] | None, truncated: bool
    ) -> tuple[VerdictStage | None, DropReason | None]:
        """What comes before similarity; a cut instruction without an output counts to the heuristics."""
        if reason := heuristics.check(instruction, self.tokenizer):
            return "heuristics", reason
        if self._near_heldout(instruction):
            return "heuristics", "heldout"
        if output and (reason := self.judge_output(instruction, *output, truncated=truncated)):
            return "output", reason
        return ("heuristics", "truncated") if truncated else (None, None)

    def _near_heldout(self, instruction: str) -> bool:
        match = self._heldout.nearest(instruction, at_least=HELDOUT_F1)
        return match is not None and match.f1 > HELDOUT_F1


def lost_all_tokens(text: str, tokenizer: Tokenizer) -> bool:
    """Whether `unicode` finds words in a text where this tokenizer finds none: similarity cannot see it."""
    return not tokenize(text, tokenizer) and bool(tokenize(text, "unicode"))


def _stripped(*texts: str) -> tuple[str, ...]:
    return tuple(text.strip() for text in texts)

"""Which rows of a run: one filter for what a screen shows and for what an export writes, so that they cannot differ.

Values are only ever bound to a query; the names in it are this module's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from store.records import DropReason, Flag, Record, Verdict

What = Literal["kept", "candidates", "seeds"]


class Selection(Record):
    """Rows of a run; an empty condition leaves everything in. `search` is found in any of the three texts, in any case.

    `what`: kept is what may be exported (kept, less rejected, plus rescued, edits in place of their originals);
    candidates are all, in the order of judgement; seeds are S and what left it. Seeds know `search` and `ids` alone.
    """

    run_id: str
    what: What = "kept"
    verdict: Verdict | None = None
    reasons: tuple[DropReason, ...] = ()
    iterations: tuple[int, ...] = ()
    flags: tuple[Flag, ...] = ()
    without_flags: bool = False
    search: str = ""
    min_rouge_l: float | None = None
    max_rouge_l: float | None = None
    ids: tuple[str, ...] = ()

    def values(self) -> dict[str, Any]:
        """What is bound to the query: the run, and a value for each condition that is set."""
        return {"run_id": self.run_id, **{name: value for name, _, value in self._conditions()}}

    def where(self) -> str:
        """The conditions that are set, as SQL that follows WHERE …."""
        return "".join(f" AND {condition}" for _, condition, _ in self._conditions())

    def _conditions(self) -> Iterator[tuple[str, str, Any]]:
        seeds = self.what == "seeds"
        task, ident = ("s", "s.seed_id") if seeds else ("c", "c.candidate_id")
        if self.search:
            texts = f"{task}.instruction || ' ' || {task}.input || ' ' || {task}.output"
            yield "search", f"contains(lower({texts}), lower($search))", self.search
        if self.ids:
            yield "ids", f"list_contains($ids::VARCHAR[], {ident})", list(self.ids)
        if seeds:
            return
        if self.verdict:
            yield "verdict", "c.verdict = $verdict", self.verdict
        if self.reasons:
            yield "reasons", "list_contains($reasons::VARCHAR[], c.reason)", list(self.reasons)
        if self.iterations:
            yield "iterations", "list_contains($iterations::INTEGER[], c.iteration)", list(self.iterations)
        if self.flags:
            yield "flags", "list_has_any(c.flags, $flags::VARCHAR[])", list(self.flags)
        if self.without_flags:
            yield "unflagged", "len(c.flags) = $unflagged", 0
        if self.min_rouge_l is not None:
            yield "min_rouge_l", "c.max_rouge_l >= $min_rouge_l", self.min_rouge_l
        if self.max_rouge_l is not None:
            yield "max_rouge_l", "coalesce(c.max_rouge_l, 0) <= $max_rouge_l", self.max_rouge_l

"""The instruction filter on a file of its own, without a run: what the command `filter` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sedi_engine.errors import InputError
from sedi_engine.filters import heuristics as rules
from sedi_engine.filters.rouge import RougeIndex, Tokenizer
from sedi_engine.filters.verdict import REPORTED_F1, lost_all_tokens
from sedi_engine.jsonl import check_target, read_records, write_lines

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class FilterSummary:
    """Counts of one pass: total = kept + Σ dropped; `without_tokens` texts were invisible to similarity."""

    total: int
    kept: int
    dropped: dict[str, int]
    without_tokens: int


def filter_file(
    source: Path,
    out: Path,
    *,
    threshold: float,
    pool: Path | None = None,
    heuristics: bool = True,
    tokenizer: Tokenizer = "rouge",
    progress: Progress | None = None,
) -> FilterSummary:
    """Judge the instructions of `source` in order against those of `pool` and those kept before; write `out`.

    Lines of `source` and `pool` are objects with a text `instruction`; other fields are ignored, outputs are not
    checked. A line of `out` has index (from 0), verdict, reason, max_rouge_l, nearest_index (a line of its own
    file, from 0) and nearest_source (pool or input); the last three are null below 0.5, and of equally near
    texts the earliest is named, pool lines first. `progress(done, total)` follows every candidate. Raises
    InputError, before anything is written, for a wrong line, a threshold outside (0, 1] or a bad place for `out`.
    """
    _check(source, out, pool, threshold)
    known = _instructions(pool) if pool else []
    candidates = _instructions(source)
    judged = _judge(known, candidates, threshold, heuristics, tokenizer)
    counts: Counter[str] = Counter()
    write_lines(out, _counted(judged, counts, len(candidates), progress))
    lost = sum(lost_all_tokens(text, tokenizer) for text in candidates)
    return FilterSummary(len(candidates), counts.pop("kept", 0), dict(counts), lost)


def _check(source: Path, out: Path, pool: Path | None, threshold: float) -> None:
    if not 0 < threshold <= 1:
        raise InputError(
            f"The threshold is {threshold}, but must be above 0 and at most 1.",
            "Give for example 0.85; 1 keeps every candidate that the heuristics keep.",
        )
    check_target(out)
    for read in filter(None, (source, pool)):
        if out.exists() and read.exists() and out.samefile(read):
            raise InputError(f"{out} is read and would be overwritten.", "Name another file to write to.")


def _instructions(path: Path) -> list[str]:
    return [record["instruction"] for record in read_records(path, _fault)]


def _fault(record: dict[str, Any]) -> str | None:
    """An empty instruction is no fault here: it gets the verdict `empty`."""
    if "instruction" not in record:
        return "it has no instruction"
    value = record["instruction"]
    return None if isinstance(value, str) else f"instruction is {type(value).__name__}, but should be text"


def _judge(
    known: Iterable[str], candidates: Iterable[str], threshold: float, heuristics: bool, tokenizer: Tokenizer
) -> Iterator[dict[str, Any]]:
    """One line a candidate; a kept one joins the index before the next is judged."""
    index = RougeIndex(tokenizer)
    members = [("pool", index.add(text)) for text in known]
    for number, text in enumerate(candidates):
        match = index.nearest(text, at_least=min(REPORTED_F1, threshold))
        reason = rules.check(text, tokenizer) if heuristics else None
        if reason is None and match and match.f1 > threshold:
            reason = "similar"
        if reason is None:
            index.add(text)
            members.append(("input", number))
        reported = match if match and match.f1 >= REPORTED_F1 else None
        yield {
            "index": number,
            "verdict": "dropped" if reason else "kept",
            "reason": reason,
            "max_rouge_l": reported.f1 if reported else None,
            "nearest_index": members[reported.index][1] if reported else None,
            "nearest_source": members[reported.index][0] if reported else None,
        }


def _counted(
    lines: Iterable[dict[str, Any]], counts: Counter[str], total: int, progress: Progress | None
) -> Iterator[dict[str, Any]]:
    for done, line in enumerate(lines, start=1):
        counts[line["reason"] or "kept"] += 1
        if progress:
            progress(done, total)
        yield line

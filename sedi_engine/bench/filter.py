"""What the filter costs per candidate, beside Alpaca's own loop, in one process.

    python -m sedi_engine bench filter [--data DATA.jsonl]

Alpaca's loop is rouge-score's `_score_lcs` of the candidate with every text of the pool, which is tokenised in
advance; here in a single process, so that CPU times compare. Both judge the same candidates, and how often
they differ is counted.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from sedi_engine.errors import InputError
from sedi_engine.filters.rouge import Match, RougeIndex
from sedi_engine.jsonl import read_records, text_fault

REPORTED_F1 = 0.5
SIZES = (1_000, 50_000)


def run(
    sizes: Sequence[int] = SIZES,
    candidates: int = 500,
    reference_candidates: int = 3,
    data: Path | None = None,
) -> dict[str, Any]:
    """CPU-microseconds per candidate at each pool size, tokenising included, and their ratio to Alpaca's loop.

    Texts are the instructions of `data` (the project's seeds without it), made up to the number needed by
    recombination: pieces of three to five words of several texts, as long as one of them. `real_texts` says
    how many are not recombined. The filter finds the exact largest F1 where it is at least 0.5; the loop,
    being slow, is timed on the first `reference_candidates` only.
    """
    texts, real = _texts(max(sizes) + candidates, data)
    fresh, rows = texts[max(sizes) :], []
    for size in sizes:
        index = RougeIndex()
        add_us, _ = _cpu_us(index.add, texts[:size])
        ours_us, found = _cpu_us(index.nearest, fresh)
        loop_us, values = _cpu_us(_alpaca_loop(texts[:size]), fresh[:reference_candidates])
        expected = [value if value >= REPORTED_F1 else None for value in values]
        rows.append(
            {
                "pool": size,
                "filter_us": round(ours_us, 1),
                "add_us": round(add_us, 1),
                "alpaca_us": round(loop_us, 1),
                "ratio": round(loop_us / ours_us),
                "different": sum(_f1(a) != b for a, b in zip(found, expected, strict=False)),
            }
        )
    return {"real_texts": real, "texts": len(texts), "candidates": len(fresh), "pools": rows}


def _alpaca_loop(pool: Sequence[str]) -> Callable[[str], float]:
    try:
        from rouge_score import rouge_scorer, tokenizers
    except ModuleNotFoundError:
        raise InputError(
            "Alpaca's loop needs the package rouge-score, which is not installed.", "pip install rouge-score==0.1.2"
        ) from None
    tokenize = tokenizers.DefaultTokenizer(use_stemmer=False).tokenize
    tokenised = [tokenize(text) for text in pool]

    def judge(text: str) -> float:
        tokens = tokenize(text)
        return max(rouge_scorer._score_lcs(tokens, other).fmeasure for other in tokenised)

    return judge


def _cpu_us(work: Callable[[str], Any], texts: Sequence[str]) -> tuple[float, list[Any]]:
    started = time.process_time()
    results = [work(text) for text in texts]
    return (time.process_time() - started) / max(1, len(texts)) * 1e6, results


def _f1(match: Match | None) -> float | None:
    return match.f1 if match else None


def _texts(count: int, data: Path | None) -> tuple[list[str], int]:
    """`count` distinct instructions in random order, and how many of them stand in the data as they are."""
    path = data or Path(str(files("sedi_engine") / "data" / "seeds.jsonl"))
    records = read_records(path, lambda record: text_fault(record, "instruction", required=True))
    given = list(dict.fromkeys(record["instruction"] for record in records))
    if not given:
        raise InputError(f"{path} holds no instruction.", "Name a JSONL file with instructions.")
    rng = random.Random(0)
    rng.shuffle(given)
    texts = dict.fromkeys(given[:count])
    while len(texts) < count:
        texts[_recombined(given, rng)] = None
    return rng.sample(list(texts), count), min(count, len(given))


def _recombined(given: Sequence[str], rng: random.Random) -> str:
    length = len(rng.choice(given).split()) + 2
    words: list[str] = []
    while len(words) < length:
        source = rng.choice(given).split()
        start = rng.randrange(len(source))
        words += source[start : start + rng.randint(3, 5)]
    return " ".join(words[:length])

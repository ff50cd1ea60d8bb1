"""Compose batches of the examples in a file, and say how diverse they are beside the random control."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedi_engine.compose import (
    Composer,
    Composition,
    batch_diversities,
    compose,
    random_batches,
    summarise,
)
from sedi_engine.embed import Embedder, example_text
from sedi_engine.errors import InputError
from sedi_engine.jsonl import check_target, read_records, text_fault, write_lines

CONTROL_SHUFFLES = 5
Embed = Callable[[list[str]], NDArray[np.float32]]


def compose_file(
    source: Path | str,
    out: Path | str,
    batch_size: int,
    composer: Composer = "deal",
    seed: int = 0,
    embed: Embed | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write n = ⌈N/B⌉ batches of ⌊N/n⌋ or ⌈N/n⌉ of the N examples in `source`; returns the summary.

    A line of `source` has an instruction and may have an input; a line of `out` has batch (from 0), members
    (indices from 0, in training order) and clusters (of each member). The summary sets the composition beside
    the mean of several random shuffles of the same items. `embed` stands in for the packaged model;
    `progress(done, total)` follows it. Raises InputError, with the line's number, before anything is embedded.
    """
    records = read_records(source, _fault)
    if not 1 <= batch_size <= len(records):
        raise InputError(
            f"The batch size is {batch_size}, but {source} holds {len(records)} examples.",
            f"Give a batch size from 1 to {len(records)}." if records else "Name a file with examples.",
        )
    check_target(out)
    texts = [example_text(record["instruction"], record.get("input") or "") for record in records]
    vectors = embed(texts) if embed else Embedder().encode(texts, progress)
    batches = math.ceil(len(texts) / batch_size)
    composition = compose(vectors, batches, composer, seed, clusters=batch_size)
    write_lines(out, _lines(composition))
    return {
        "items": len(texts),
        "batches": batches,
        "batch_size": batch_size,
        "composer": composer,
        "seed": seed,
        "clusters": len(set(composition.labels)),
        "diversity": summarise(batch_diversities(vectors, composition)).as_dict(),
        "random": _control(vectors, composition, seed),
        "random_shuffles": CONTROL_SHUFFLES,
    }


def _fault(record: dict[str, Any]) -> str | None:
    return text_fault(record, "instruction", required=True) or text_fault(record, "input", required=False)


def _lines(composition: Composition) -> Iterator[dict[str, Any]]:
    for number, members in enumerate(composition.batches):
        yield {"batch": number, "members": list(members), "clusters": list(composition.clusters(number))}


def _control(vectors: NDArray[np.float32], composition: Composition, seed: int) -> dict[str, float]:
    """Mean of every measure over several shuffles of the same items, none the one that `seed` gives."""
    shuffles = []
    for other in range(seed + 1, seed + 1 + CONTROL_SHUFFLES):
        groups = random_batches(len(vectors), len(composition.batches), other)
        shuffled = Composition(tuple(map(tuple, groups)), composition.labels)
        shuffles.append(summarise(batch_diversities(vectors, shuffled)).as_dict())
    return {name: float(np.mean([shuffle[name] for shuffle in shuffles])) for name in shuffles[0]}

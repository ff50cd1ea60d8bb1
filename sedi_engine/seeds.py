"""Our own seed tasks and held-out tasks, as the project ships them in Self-Instruct's record form."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from functools import cache
from importlib import resources

from sedi_engine.config import RunConfig
from sedi_engine.errors import InputError
from store.records import Seed


@cache
def library_seeds() -> tuple[Seed, ...]:
    """The seed tasks a new library starts with."""
    return _read("seeds.jsonl")


@cache
def heldout_tasks() -> tuple[Seed, ...]:
    """Tasks on which a student is measured; nothing near them enters a prompt or K."""
    return _read("heldout.jsonl")


def draw_start(library: Sequence[Seed], config: RunConfig) -> list[str]:
    """Ids of S₀ in the library's order: all of it, or `seeds.active` of it drawn by random_seed."""
    wanted = config.seeds.active
    ids = [seed.seed_id for seed in library]
    if wanted == "all":
        if len(ids) < config.demos.count:
            raise InputError(
                f"The library has {len(ids)} accepted seeds, fewer than demos.count ({config.demos.count}).",
                "Accept more seeds, or lower demos.count.",
            )
        return ids
    if wanted > len(ids):
        raise InputError(
            f"seeds.active is {wanted}, but the library has {len(ids)} accepted seeds.",
            f"Set seeds.active to at most {len(ids)}, or to all.",
        )
    drawn = set(random.Random(config.random_seed).sample(range(len(ids)), wanted))
    return [ident for position, ident in enumerate(ids) if position in drawn]


def _read(name: str) -> tuple[Seed, ...]:
    text = resources.files("sedi_engine").joinpath("data", name).read_text(encoding="utf-8")
    return tuple(_seed(json.loads(line)) for line in text.splitlines())


def _seed(record: dict) -> Seed:
    instance = record["instances"][0]
    return Seed(
        seed_id=record["id"],
        instruction=record["instruction"],
        input=instance["input"],
        output=instance["output"],
        is_classification=record["is_classification"],
    )

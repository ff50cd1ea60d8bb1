"""The family of a seed: those that it descends from, and those that descend from it. Pure.

A seed that was made of a candidate has for parents the seeds that the candidate's call showed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Member:
    """A seed of the family, `depth` generations away from the one asked for; `through`: the candidate it was made of.

    `again` marks one that stands in the list already: what is beyond it is not repeated.
    """

    seed_id: str
    depth: int
    through: str | None = None
    again: bool = False


def ancestors(seed_id: str, lineage: Sequence[Mapping[str, Any]]) -> list[Member]:
    """Parents, their parents, …, each right before its own; rows as `store.ledger.lineage` gives them."""
    parents = {row["seed_id"]: row["parents"] for row in lineage}
    made_of = {row["seed_id"]: row["candidate_id"] for row in lineage}
    return _walk(seed_id, parents, made_of)


def descendants(seed_id: str, lineage: Sequence[Mapping[str, Any]]) -> list[Member]:
    """Seeds made of its children, those made of theirs, …, each right before its own."""
    children: dict[str, list[str]] = {}
    for row in lineage:
        for parent in row["parents"]:
            children.setdefault(parent, []).append(row["seed_id"])
    return _walk(seed_id, children, {row["seed_id"]: row["candidate_id"] for row in lineage})


def _walk(seed_id: str, next_of: Mapping[str, Sequence[str]], made_of: Mapping[str, str]) -> list[Member]:
    """Depth first, without recursion: a family may be deeper than Python's stack."""
    found: list[Member] = []
    seen = {seed_id}
    waiting = [(one, 1) for one in reversed(next_of.get(seed_id, ()))]
    while waiting:
        one, depth = waiting.pop()
        found.append(Member(one, depth, made_of.get(one), again=one in seen))
        if one not in seen:
            seen.add(one)
            waiting += [(other, depth + 1) for other in reversed(next_of.get(one, ()))]
    return found

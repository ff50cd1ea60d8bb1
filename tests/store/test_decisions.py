"""S follows from the decisions: what stands decides, not the way there."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import decisions, runs, seeds, writer
from store.database import Store
from store.errors import StoreError
from tests.store.test_writer import every_row, fresh, two_windows

PROMOTE = {"m-r1-0-0": "r1-promote-r1-0-0-1", "m-r1-2-0": "r1-promote-r1-2-0-2"}
EVICT = {"s1": "r1-evict-s1-1", "s2": "r1-evict-s2-2", "m-r1-0-0": "r1-evict-m-r1-0-0-2"}
PROPOSALS = (*PROMOTE.values(), *EVICT.values())
moves = st.lists(
    st.tuples(st.sampled_from(PROPOSALS), st.sampled_from(["accept", "reject", "undo"]), st.booleans()), max_size=12
)


@pytest.fixture
def cursor() -> Iterator[duckdb.DuckDBPyConnection]:
    opened = reviewed()
    yield opened
    opened.close()


def reviewed() -> duckdb.DuckDBPyConnection:
    """Two windows in review; the second also proposes to evict what the first promotes."""
    told, events = two_windows("review")
    last = events[-1]
    more = (told.proposal("evict", "m-r1-0-0", 2), told.proposal("promote", "r1-2-0", 2))
    cursor = fresh(told)
    writer.take_in(cursor, [*events[:-1], last.model_copy(update={"proposals": (*last.proposals, *more)})])
    return cursor


def active(cursor: duckdb.DuckDBPyConnection) -> set[str]:
    return {row["seed_id"] for row in seeds.of_run(cursor, "r1") if row["status"] == "active"}


def decide(cursor: duckdb.DuckDBPyConnection, proposal_id: str, kind: str) -> None:
    decisions.decide_proposal(cursor, proposal_id, kind, "person")


def carry_out(cursor: duckdb.DuckDBPyConnection, made: list[tuple[str, str, bool]], at_once: bool) -> None:
    """Decide, applying after every move that says so, or only at the end."""
    for proposal, kind, applied in made:
        decide(cursor, proposal, kind)
        if applied and not at_once:
            decisions.apply(cursor, "r1", 3, lineage=True)
    decisions.apply(cursor, "r1", 3, lineage=True)


def in_s(made: list[tuple[str, str, bool]]) -> set[str]:
    """Who started in S or has an accepted promotion, and has no accepted eviction."""
    standing = {proposal: kind for proposal, kind, _ in made}
    accepted = {proposal for proposal, kind in standing.items() if kind == "accept"}
    promoted = {name for name, proposal in PROMOTE.items() if proposal in accepted}
    return ({"s1", "s2", "s3"} | promoted) - {name for name, proposal in EVICT.items() if proposal in accepted}


@settings(max_examples=10, deadline=None)
@given(moves, st.booleans())
def test_s_is_what_the_standing_decisions_say(made: list[tuple[str, str, bool]], at_once: bool):
    cursor = reviewed()
    carry_out(cursor, made, at_once)
    expected = in_s(made)
    assert active(cursor) == expected
    counts = runs.summary(cursor, "r1")
    assert counts["seeds_active"] == len(expected)
    assert counts["promoted"] >= len(expected - {"s1", "s2", "s3"})
    assert counts["evicted"] >= len({"s1", "s2", "s3"} - expected)
    before = every_row(cursor)
    decisions.apply(cursor, "r1", 4, lineage=True)
    assert every_row(cursor) == before, "applying twice changes nothing"


def test_nothing_is_overwritten_and_the_latest_stands(cursor: duckdb.DuckDBPyConnection):
    for kind in ("accept", "reject", "undo", "accept"):
        decide(cursor, PROMOTE["m-r1-0-0"], kind)
    rows = cursor.execute("SELECT decision_id, kind, supersedes FROM decision ORDER BY decision_id").fetchall()
    assert [kind for _, kind, _ in rows] == ["accept", "reject", "undo", "accept"]
    assert [earlier for _, _, earlier in rows] == [None, *(number for number, _, _ in rows[:-1])]
    (row,) = [row for row in decisions.of_run(cursor, "r1") if row["proposal_id"] == PROMOTE["m-r1-0-0"]]
    assert (row["decision"], row["by"], row["decision_id"]) == ("accept", "person", decisions.last_number(cursor))


def test_an_undone_proposal_is_open_again(cursor: duckdb.DuckDBPyConnection):
    everything = decisions.open_count(cursor, "r1", 1)
    decide(cursor, PROMOTE["m-r1-0-0"], "reject")
    assert decisions.open_count(cursor, "r1", 1) == everything - 1
    decide(cursor, PROMOTE["m-r1-0-0"], "undo")
    assert decisions.open_count(cursor, "r1", 1) == everything == 2


def test_the_rule_decides_only_what_nobody_has(cursor: duckdb.DuckDBPyConnection):
    decide(cursor, EVICT["s1"], "reject")
    decisions.decide_open(cursor, "r1")
    told = {row["proposal_id"]: (row["decision"], row["by"]) for row in decisions.of_run(cursor, "r1")}
    assert told.pop(EVICT["s1"]) == ("reject", "person")
    assert set(told.values()) == {("accept", "rule")}


@pytest.mark.parametrize("way", [("accept",), ("reject", "accept"), ("accept", "undo", "accept")])
def test_without_lineage_a_promotion_joins_the_library(cursor: duckdb.DuckDBPyConnection, way: tuple[str, ...]):
    before = [one.seed_id for one in seeds.library(cursor)]
    for kind in way:
        decide(cursor, PROMOTE["m-r1-0-0"], kind)
        decisions.apply(cursor, "r1", 3, lineage=False)
    assert [one.seed_id for one in seeds.library(cursor)] == [*before, "m-r1-0-0"]
    assert active(cursor) == {"s1", "s2", "s3"}
    decide(cursor, PROMOTE["m-r1-0-0"], "undo")
    decisions.apply(cursor, "r1", 3, lineage=False)
    assert [one.seed_id for one in seeds.library(cursor)] == before


def test_a_proposal_that_is_not_there_is_refused_in_words(store: Store):
    with pytest.raises(StoreError, match="no proposal 'x'"):
        store.write(decisions.decide_proposal, "x", "accept", "person")
    assert store.read(decisions.last_number) == 0

"""The ledger's sums: what its rows hold to, whatever calls, retries, outputs and verdicts a run has."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import decisions, ledger, maps, runs, writer
from store.database import Store
from store.events import Event, SeedCredit
from tests.store.test_writer import fresh
from tests.story import Story

SEEDS = ("s1", "s2", "s3")
CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "demos": st.lists(st.sampled_from(SEEDS), max_size=4),
            "reasons": st.lists(st.sampled_from([None, None, "similar", "short", "no_output"]), max_size=5),
            "costs": st.lists(st.none() | st.floats(0, 2), min_size=1, max_size=3),
            "outputs": st.integers(0, 3),
            "judged": st.booleans(),
        }
    ),
    max_size=6,
)


def told(story: Story, calls: list[dict[str, Any]]) -> list[Event]:
    """Each call with its retries, the output calls of its candidates, and its verdicts if it was judged."""
    events: list[Event] = []
    for index, one in enumerate(calls):
        for attempt, cost in enumerate(one["costs"]):
            events.append(story.call(index, demo_seed_ids=tuple(one["demos"]), attempt=attempt, cost_usd=cost, asked=8))
        for place in range(one["outputs"]):
            events.append(story.call(index, "output", place, demo_seed_ids=(), cost_usd=0.25))
        if one["judged"]:
            found = [story.candidate(index, place, reason) for place, reason in enumerate(one["reasons"])]
            events.append(story.judged(index, *found, missing=8 - len(found)))
    return events


@settings(max_examples=30, deadline=None)
@given(CALLS)
def test_the_ledger_adds_up(calls: list[dict[str, Any]]) -> None:
    story = Story()
    cursor = fresh(story)
    writer.take_in(cursor, told(story, calls))
    rows = {row["seed_id"]: row for row in ledger.of_run(cursor, "r1")}
    assert set(rows) == set(SEEDS)
    for seed_id, row in rows.items():
        own = [one for one in calls if seed_id in one["demos"]]
        made = Counter(reason for one in own if one["judged"] for reason in one["reasons"])
        assert row["calls"] == len(own)
        assert row["asked"] == 8 * sum(one["judged"] for one in own)
        assert row["kept"] == made[None]
        assert row["reasons"] == {reason: n for reason, n in made.items() if reason}
        assert row["parsed"] == row["kept"] + row["dropped"] == row["kept"] + sum(row["reasons"].values())
        unknown = any(cost is None for one in own for cost in one["costs"])
        assert (row["cost_usd"] is None) == unknown
        if unknown or not row["kept"]:
            assert row["usd_per_kept"] is None
    shown = [one for one in calls if one["demos"]]
    attempts = sum(len(one["costs"]) + one["outputs"] for one in shown)
    assert sum(row["prompt_tokens"] for row in rows.values()) == pytest.approx(30 * attempts)
    assert sum(row["completion_tokens"] for row in rows.values()) == pytest.approx(10 * attempts)
    if all(row["cost_usd"] is not None for row in rows.values()):
        paid = sum(sum(one["costs"]) + 0.25 * one["outputs"] for one in shown)
        assert sum(row["cost_usd"] for row in rows.values()) == pytest.approx(paid)
    cursor.close()


def test_a_seed_that_was_always_alone_costs_what_the_run_costs_per_kept(store: Store) -> None:
    story = Story()
    story.begin(store)
    one = {"demos": ["s1"], "reasons": [None, None, "similar"], "costs": [0.5, 0.5], "outputs": 2, "judged": True}
    story.tell(store, *told(story, [one, {**one, "reasons": [None]}]))
    row = store.read(ledger.of_run, "r1")[0]
    whole = store.read(runs.summary, "r1")
    assert row["usd_per_kept"] == pytest.approx(whole["cost_usd"] / whole["kept"]) == 1.0


def test_edits_are_outside_the_counts(store: Store) -> None:
    story = Story()
    story.begin(store)
    edit = story.candidate(0, 9, origin="edit", parent_id="r1-0-0")
    story.tell(store, story.call(0), story.judged(0, story.candidate(0, 0), edit))
    assert [row["parsed"] for row in store.read(ledger.of_run, "r1")] == [1, 1, 0]


def test_credit_over_time_is_what_each_window_said(store: Store) -> None:
    story = Story(**{"feedback.mode": "review"})
    story.begin(store)
    for number in (1, 2):
        credits = tuple(
            SeedCredit(seed_id=one, credit=at + number / 10, credit_sum=1.0, calls=number, trained_children=7)
            for at, one in enumerate(SEEDS)
        )
        story.tell(store, story.finished(number, (), credits=credits))
    rows = store.read(ledger.credit_over_time, "r1", "s2")
    assert [(row["iteration"], row["credit"], row["calls"]) for row in rows] == [(1, 1.1, 1), (2, 1.2, 2)]
    assert store.read(ledger.credit_over_time, "r1", "nobody") == []


@pytest.fixture
def grown(store: Store) -> Store:
    """A candidate of s1 and s2 became a seed by a person's word, then made children; s3 was evicted by the rule."""
    story = Story(**{"feedback.mode": "review"})
    story.begin(store)
    promotion, eviction = story.proposal("promote", "r1-0-0"), story.proposal("evict", "s3")
    kept = [story.candidate(0, place) for place in range(4)]
    story.tell(store, story.call(0), story.judged(0, *kept), story.finished(1, (), promotion, eviction))
    store.write(decisions.decide_proposal, promotion.proposal_id, "accept", "ada", "a new kind of task")
    store.write(decisions.decide_open, "r1")
    store.write(decisions.apply, "r1", 2, True)
    more = [story.candidate(1, place, iteration=2) for place in range(3)]
    story.tell(store, story.call(1, iteration=2, demo_seed_ids=("m-r1-0-0", "s1")), story.judged(1, *more, iteration=2))
    return store


def test_who_promoted_and_evicted_when_and_why(grown: Store) -> None:
    rows = {row["seed_id"]: row for row in grown.read(ledger.of_run, "r1")}
    made, gone, start = rows["m-r1-0-0"], rows["s3"], rows["s1"]
    assert (made["promoted_by"], made["promoted_reason"]) == ("ada", "a new kind of task")
    assert made["promotion"] == {"loss": 1.5}
    assert (gone["status"], gone["left_by"], gone["removed_iteration"]) == ("left", "rule", 2)
    assert gone["eviction"] == {"loss": 1.5}
    assert gone["left_at"] is not None
    assert (start["promoted_by"], start["left_by"], start["promotion"]) == (None, None, None)


def test_a_promoted_seed_descends_from_the_seeds_of_its_call(grown: Store) -> None:
    (row,) = grown.read(ledger.lineage, "r1")
    assert (row["seed_id"], row["candidate_id"], sorted(row["parents"])) == ("m-r1-0-0", "r1-0-0", ["s1", "s2"])
    children = grown.read(ledger.first_children, "r1", ["s1", "m-r1-0-0"], 2)
    assert [(one["seed_id"], one["candidate_id"]) for one in children] == [
        ("m-r1-0-0", "r1-1-0"),
        ("m-r1-0-0", "r1-1-1"),
        ("s1", "r1-0-0"),
        ("s1", "r1-0-1"),
    ]


def test_the_library_stands_beside_the_run(grown: Store) -> None:
    rows = {row["seed_id"]: row["status"] for row in grown.read(ledger.library, "r1")}
    assert rows == {"s1": "active", "s2": "active", "s3": "left"}
    assert {row["status"] for row in grown.read(ledger.library, "another")} == {None}


def test_the_territory_is_of_the_active_seeds_and_the_candidates_of_the_run(grown: Store) -> None:
    subjects = ["candidate:r1-0-1", "candidate:another", "seed:s3", "seed:m-r1-0-0", "seed:s1"]
    grown.write(maps.add_vectors, subjects, np.eye(5, dtype=np.float32), "made up")
    before = grown.read(ledger.territory_mark, "r1")
    names, seeds, candidates = grown.read(ledger.territory, "r1")
    assert names == ["s1", "m-r1-0-0"]
    assert np.array_equal(seeds, np.eye(5)[[4, 3]])
    assert np.array_equal(candidates, np.eye(5)[[0]])
    grown.write(maps.add_vectors, ["seed:s2"], np.ones((1, 5), dtype=np.float32), "made up")
    assert grown.read(ledger.territory_mark, "r1") != before

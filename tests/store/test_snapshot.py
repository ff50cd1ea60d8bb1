"""A snapshot holds what decides an iteration: before a window, in the middle of one, after it, and after a kill."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import decisions, snapshot, writer
from store.events import Event
from store.snapshot import Snapshot
from tests.store.test_writer import fresh, two_windows
from tests.story import Story

MEMBERS = tuple(f"r1-{index}-{position}" for index in range(4) for position in range(2))


def after(count: int, mode: str = "review") -> tuple[duckdb.DuckDBPyConnection, Story, list[Event]]:
    told, events = two_windows(mode)
    cursor = fresh(told)
    writer.take_in(cursor, events[:count])
    return cursor, told, events


def ids(taken: Snapshot) -> tuple[list[str], list[str], list[str]]:
    """Who waits in the queue, who is in the pool, who is in S."""
    queue, pool = [one.candidate_id for one in taken.queue], [one.ident for one in taken.pool]
    return queue, pool, [one.seed.seed_id for one in taken.active]


def test_before_the_first_call_there_is_s_and_nothing_else():
    cursor, told, _ = after(0)
    taken = snapshot.take(cursor, "r1")
    assert ids(taken) == ([], ["s1", "s2", "s3"], ["s1", "s2", "s3"])
    assert (taken.iteration, taken.next_seq, taken.next_call_index, taken.next_step) == (1, 1, 0, 1)
    assert (taken.calls_sent, taken.tokens_spent, taken.cost_usd, taken.kept) == (0, 0, 0.0, 0)
    assert taken.config == told.config.model_dump(mode="json")


def test_in_the_middle_of_a_window():
    cursor, _, _ = after(7)
    taken = snapshot.take(cursor, "r1")
    queue, pool, _ = ids(taken)
    assert queue == list(MEMBERS[:4])
    assert pool == ["s1", "s2", "s3", *MEMBERS[:4], "r1-1-2"], "an output drop holds its place, a similar one has none"
    assert [one.output for one in taken.pool if one.ident == "r1-1-2"] == [None]
    assert (taken.iteration, taken.next_seq, taken.next_call_index, taken.kept) == (1, 8, 2, 4)
    assert (taken.calls_sent, taken.tokens_spent, taken.cost_usd) == (3, 160, 2.0)
    assert {one.demo_seed_ids for one in taken.queue} == {("s1", "s2")}


def test_an_output_drop_of_a_whole_task_was_never_in_the_pool():
    told = Story()
    cursor = fresh(told)
    call = told.call(0, "whole_task")
    writer.take_in(cursor, [call, told.judged(0, told.candidate(0, 0), told.candidate(0, 1, "echo"))])
    assert ids(snapshot.take(cursor, "r1"))[1] == ["s1", "s2", "s3", "r1-0-0"]


def test_a_window_that_was_interrupted_in_training_is_trained_again_as_it_was_composed():
    cursor, _, _ = after(9)
    decisions.decide(cursor, f"candidate:{MEMBERS[0]}", "reject", "person")
    taken = snapshot.take(cursor, "r1")
    assert [batch.members for batch in taken.batches] == [MEMBERS[:2], MEMBERS[2:4]]
    assert (taken.attempt, taken.next_step, taken.window_outcome) == (1, 1, "filled")
    assert ids(taken)[0] == list(MEMBERS[:4]), "a decision acts at the next iteration's start"
    assert cursor.execute("SELECT count(*) FROM current_step").fetchone() == (0,)
    assert snapshot.take(cursor, "r1").attempt == 1, "what was not trained in between is not counted"


def test_after_a_window_its_members_are_gone_and_its_checkpoint_is_known():
    cursor, _, _ = after(20)
    taken = snapshot.take(cursor, "r1")
    queue, pool, _ = ids(taken)
    assert queue == []
    assert set(MEMBERS) < set(pool)
    assert (taken.iteration, taken.next_step, taken.attempt, taken.batches) == (3, 5, 0, ())
    assert (taken.checkpoint, taken.checkpoint_sha256, taken.window_outcome) == ("runs/r1/2", "0", None)


def test_a_promoted_seed_is_in_s_and_once_in_the_pool_and_an_evicted_one_stays_in_the_pool():
    cursor, _, _ = after(12, "auto")
    taken = snapshot.take(cursor, "r1")
    _, pool, active = ids(taken)
    assert active == ["s2", "s3", "m-r1-0-0"]
    assert len(pool) == len(set(pool))
    assert "m-r1-0-0" not in pool
    assert {one.ident: one.source for one in taken.pool}["s1"] == "former_seed"
    assert next(one for one in taken.active if one.seed.origin == "machine").added_iteration == 2
    assert taken.last_decision == decisions.last_number(cursor) == 2


@pytest.mark.parametrize("decided", ["reject", "rescue"])
def test_the_queue_follows_decisions(decided: str):
    cursor, _, _ = after(7)
    ident = {"reject": MEMBERS[1], "rescue": "r1-0-2"}[decided]
    decisions.decide(cursor, f"candidate:{ident}", decided, "person")
    queue, pool, _ = ids(snapshot.take(cursor, "r1"))
    expected = {*MEMBERS[:4]} ^ {ident}
    assert set(queue) == expected
    assert MEMBERS[1] in pool, "what was rejected stays in the filter's pool"


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 20), st.integers(0, 20))
def test_it_does_not_matter_where_an_owner_was_killed(cut: int, known: int):
    """One store takes all in at once; the other is killed after `known` and hears all from the journal again."""
    whole, _, events = after(cut, "auto")
    pieces, _, _ = after(min(known, cut), "auto")
    for event in events[:cut]:
        writer.take_in(pieces, [event])
    one, other = snapshot.take(whole, "r1"), snapshot.take(pieces, "r1")
    assert one == other
    assert Snapshot.model_validate_json(one.model_dump_json()) == one


def test_calls_that_keep_nothing_are_counted_until_one_does():
    told = Story()
    cursor = fresh(told)
    for index, reason in enumerate(["similar", None, "short", "similar"]):
        writer.take_in(cursor, [told.judged(index, told.candidate(index, 0, reason))])
    assert snapshot.take(cursor, "r1").barren_calls == 2
    writer.take_in(cursor, [told.judged(4, missing=3), told.judged(5, told.candidate(5, 0))])
    assert snapshot.take(cursor, "r1").barren_calls == 0

"""Events become rows once, however often and in whatever pieces they come; and the counts add up."""

import random
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import runs, seeds, snapshot, writer
from store.connection import insert
from store.database import Store
from store.events import Event, read_event
from store.migrations import migrate
from store.records import DropReason
from tests.story import Story, seed

WHEN = {"added", "created", "started", "ended", "applied"}
reasons = st.none() | st.sampled_from(DropReason.__args__)
replies = st.lists(st.tuples(st.lists(reasons, max_size=6), st.integers(0, 3), st.integers(0, 2)), max_size=6)


def two_windows(mode: str = "auto") -> tuple[Story, list[Event]]:
    """A whole life: two windows, promotions, an eviction, an interrupted window that is trained again."""
    told = Story(**{"feedback.mode": mode})
    names = [f"r1-{index}-{position}" for index in range(4) for position in range(2)]
    kept = [told.candidate(index, position) for index in range(4) for position in range(2)]
    first, second = tuple(names[:4]), tuple(names[4:])
    events = [
        told.phase("generate", 1.0),
        told.call(0),
        told.call(0, "output", 0),
        told.judged(0, *kept[0:2], told.candidate(0, 2, "similar"), missing=1),
        told.call(1, error="timeout", raw_reply=None),
        told.call(1, attempt=1),
        told.judged(1, *kept[2:4], told.candidate(1, 2, "no_output", output="")),
        told.composed(1, first[:2], first[2:]),
        told.step(1, 1, *first[:2]),
        told.step(1, 1, *first[:2], attempt=1),
        told.step(1, 2, *first[2:], attempt=1),
        told.finished(
            1,
            first,
            told.proposal("promote", names[0]),
            told.proposal("evict", "s1"),
            attractive_step=2,
            detrended={1: 0.5},
        ),
        told.call(2, iteration=2),
        told.judged(2, *kept[4:6], iteration=2),
        told.call(3, iteration=2),
        told.judged(3, *kept[6:8], iteration=2),
        told.composed(2, second[:2], second[2:], first_step=3),
        told.step(2, 3, *second[:2]),
        told.step(2, 4, *second[2:]),
        told.finished(2, second, told.proposal("evict", "s2", 2), checkpoint="runs/r1/2", checkpoint_sha256="0"),
    ]
    return told, events


def fresh(told: Story) -> duckdb.DuckDBPyConnection:
    """A store's schema in memory, with the run begun: the real functions on the real engine, without a disk."""
    cursor = duckdb.connect()
    migrate(cursor)
    seeds.add(cursor, [seed(ident) for ident in ("s1", "s2", "s3")], True)
    runs.create(cursor, told.run_id, told.config.model_dump(), "print", 0)
    seeds.start_run(cursor, told.run_id, ["s1", "s2", "s3"])
    return cursor


def every_row(cursor: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, without the moments at which they were written."""
    held = {}
    for (table,) in cursor.execute("SELECT table_name FROM duckdb_tables()").fetchall():
        columns = [row[0] for row in cursor.execute(f"DESCRIBE {table}").fetchall()]
        names = ", ".join(f'"{name}"' for name in columns if name not in WHEN and (table, name) != ("decision", "at"))
        held[table] = cursor.execute(f"SELECT {names} FROM {table} ORDER BY ALL").fetchall()
    return held


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 20), st.randoms(use_true_random=False))
def test_events_that_come_again_change_nothing(cut: int, rng: random.Random):
    told, events = two_windows()
    once, again = fresh(told), fresh(told)
    writer.take_in(once, events)
    writer.take_in(again, events[:cut])
    for at, event in enumerate(events):
        writer.take_in(again, [event, *rng.choices(events[: at + 1], k=2)])
    repeated = rng.sample(events, len(events))
    writer.take_in(again, repeated)
    # A repeated event is skipped whole, so even the working time is that of the last new one.
    assert every_row(again) == every_row(once)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 20))
def test_an_event_says_the_same_after_its_journey_through_a_line(cut: int):
    told, events = two_windows()
    spoken, sent = fresh(told), fresh(told)
    writer.take_in(spoken, events[:cut])
    writer.take_in(sent, [read_event(event.model_dump_json()) for event in events[:cut]])
    assert every_row(sent) == every_row(spoken)
    assert snapshot.take(sent, "r1") == snapshot.take(spoken, "r1")


@settings(max_examples=10, deadline=None)
@given(replies)
def test_the_counts_add_up(made: list[tuple[list[DropReason | None], int, int]]):
    told = Story()
    cursor = fresh(told)
    for index, (verdicts, missing, surplus) in enumerate(made):
        candidates = [told.candidate(index, position, reason) for position, reason in enumerate(verdicts)]
        failed = {"missing": missing, "refused": surplus}
        writer.take_in(cursor, [told.judged(index, *candidates, failed=failed, surplus=surplus)])
    counts = runs.summary(cursor, "r1")
    assert counts["asked"] == counts["parsed"] + counts["failed"]
    assert counts["failed"] == sum(counts["failed_by_cause"].values())
    assert counts["parsed"] == counts["kept"] + sum(counts["dropped"].values())
    verdicts = [reason for reasons, _, _ in made for reason in reasons]
    assert counts["kept"] == verdicts.count(None)
    assert counts["dropped"] == {reason: verdicts.count(reason) for reason in set(verdicts) - {None}}
    assert counts["surplus"] == sum(surplus for _, _, surplus in made)


def test_a_whole_run_is_summed_up():
    told, events = two_windows()
    cursor = fresh(told)
    writer.take_in(cursor, events[:9])
    assert snapshot.take(cursor, "r1").attempt == 1, "the interrupted window is trained again"
    writer.take_in(cursor, events[9:])
    counts = runs.summary(cursor, "r1")
    assert (counts["iteration"], counts["batches"], counts["steps"]) == (2, 4, 4)
    assert (counts["promoted"], counts["evicted"], counts["seeds_active"]) == (1, 2, 2)
    assert (counts["calls"], counts["calls_failed"]) == (5, 0)
    assert (counts["prompt_tokens"], counts["completion_tokens"], counts["cost_usd"]) == (180, 60, 3.0)
    marked = cursor.execute("SELECT step, attractive FROM step WHERE attempt = 1 OR step > 2 ORDER BY step").fetchall()
    assert marked == [(1, False), (2, True), (3, False), (4, False)]


def test_an_edit_counts_nowhere():
    told = Story()
    cursor = fresh(told)
    writer.take_in(cursor, [told.judged(0, told.candidate(0, 0))])
    edit = told.candidate(0, 0).model_copy(update={"candidate_id": "e", "origin": "edit", "parent_id": "r1-0-0"})
    insert(cursor, "candidate", [{**edit.model_dump(), "window_iteration": None}])
    counts = runs.summary(cursor, "r1")
    assert (counts["asked"], counts["parsed"], counts["kept"], counts["dropped"]) == (1, 1, 1, {})


def test_what_fails_in_the_middle_leaves_no_trace(store: Store):
    """The second judgement repeats a candidate's id: neither of the two is taken in, and the store goes on."""
    told = Story()
    told.begin(store)
    good, bad = told.judged(0, told.candidate(0, 0)), told.judged(1, told.candidate(0, 0))
    with pytest.raises(duckdb.ConstraintException):
        told.tell(store, good, bad)
    assert store.read(runs.summary, "r1")["parsed"] == 0
    told.tell(store, good)
    assert store.read(runs.summary, "r1")["parsed"] == 1

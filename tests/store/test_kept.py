"""What is kept is what the store says: after every kind of write, from every thread, and nothing more is asked anew."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest

from store import curation, decisions, edits, maps, review, runs, seeds, training, views, writer
from store.database import Cursor, Store
from store.review import Wanted
from tests.kept_queries import marked, of_all, of_run, out_of_date
from tests.pages.builder import begin, explored, window
from tests.story import Story, seed

Write = Callable[[Cursor], object]
PROMOTION = "r1-promote-r1-0-0-1"
WRITES: dict[str, Write] = {
    "accept": lambda cursor: decisions.decide_proposal(cursor, PROMOTION, "accept", "ana"),
    "undo of all": lambda cursor: decisions.decide(cursor, f"proposal:{PROMOTION}", "undo", "ana"),
    "reject": lambda cursor: decisions.decide_candidates(cursor, ["r1-0-0"], "reject", "ana"),
    "undo of one": lambda cursor: curation.undo_last(cursor, "ana", "r1"),
    "use as seed": lambda cursor: decisions.decide_candidates(cursor, ["r1-0-1", "r1-1-0"], "use_as_seed", "ana"),
    "edit": lambda cursor: edits.edit_seed(cursor, "own_001", ("Say it well", "", "Well!"), "ana", "p1"),
    "out of the library": lambda cursor: curation.decide_seeds(cursor, ["own_002"], "reject", "ana"),
    "bulk": lambda cursor: curation.decide_together(cursor, ["candidate:r1-2-0", "candidate:r1-2-1"], "reject", "ana"),
    "swap": lambda cursor: edits.swap(cursor, PROMOTION, "r1-1-1", "ana"),
    "seeds": lambda cursor: seeds.add(cursor, [seed("new")], True),
    "vectors": lambda cursor: maps.add_vectors(cursor, ["seed:new"], np.ones((1, 16), np.float32), "made up"),
    "version": lambda cursor: maps.begin_version(cursor, ["seed:new"], np.zeros((1, 2)), "umap", 0, 0.5, None),
    "settings": lambda cursor: runs.set_config(cursor, "r1", Story("r1", random_seed=7).config.model_dump()),
    "status": lambda cursor: runs.set_status(cursor, "r1", "failed", "It broke.", "Mend it."),
    "applied": lambda cursor: decisions.apply(cursor, "r1", 2, lineage=True),
}


def test_every_query_that_is_kept_is_asked_here() -> None:
    assert marked() == {query for query, _ in (*of_run("r1"), *of_all("r1"))}


def test_after_each_kind_of_write_the_answers_are_those_of_the_store(store: Store) -> None:
    explored(store, windows=1)
    asked = of_run("r1") + of_all("r1")
    assert not out_of_date(store, asked)
    for name, write in WRITES.items():
        before = [store.read(query, *args) for query, args in asked]
        store.write(write)
        assert not out_of_date(store, asked), name
        assert any(store.read(query, *args) is not old for (query, args), old in zip(asked, before, strict=True)), name


def test_each_event_is_seen_at_once(store: Store) -> None:
    story = Story("r1")
    begin(store, story)
    asked = of_run("r1") + of_all("r1")
    for event in window(story, 1, calls=3):
        assert not out_of_date(store, asked)
        store.write(writer.take_in, [event], events_of="r1")
        assert not out_of_date(store, asked), event.kind


def test_what_is_put_before_a_person_leaves_every_answer(store: Store) -> None:
    explored(store, windows=1)
    asked = of_run("r1") + of_all("r1")
    before = [store.read(query, *args) for query, args in asked]
    wanted = Wanted(run_id="r1", queue="all", me="ana", lapsed=runs.now() - timedelta(minutes=10))
    taken = store.write(review.hold, wanted, ["candidate:r1-0-0"], runs.now())
    assert taken == ["candidate:r1-0-0"]
    assert all(store.read(query, *args) is old for (query, args), old in zip(asked, before, strict=True))
    assert not out_of_date(store, asked)


def test_events_of_another_run_leave_what_is_shown_of_a_run(store: Store) -> None:
    explored(store, windows=1)
    other = Story("r2", **{"feedback.mode": "auto"})
    begin(store, other)
    before = [(query, args, store.read(query, *args)) for query, args in of_run("r1")]
    for event in window(other, 1):
        store.write(writer.take_in, [event], events_of="r2")
    assert all(store.read(query, *args) is answer for query, args, answer in before)
    assert not out_of_date(store, of_run("r1") + of_all("r1") + of_run("r2"))


def test_a_reader_shares_what_the_store_keeps(store: Store) -> None:
    explored(store, windows=1)
    steps = store.read(training.steps, "r1")
    assert store.reader().read(training.steps, "r1") is store.reader().read(training.steps, "r1") is steps
    store.write(runs.set_status, "r1", "failed")
    assert store.reader().read(views.run_list)[0]["status"] == "failed"


def test_a_write_that_fails_changes_no_answer(store: Store) -> None:
    explored(store, windows=1)
    asked = of_run("r1") + of_all("r1")

    def fail(cursor: Cursor) -> None:
        runs.set_status(cursor, "r1", "failed")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.write(fail)
    assert not out_of_date(store, asked)
    assert store.read(views.overview, "r1")["status"] == "completed"


def test_whoever_waited_for_a_write_sees_it_while_others_read(store: Store) -> None:
    explored(store, windows=1)
    done = threading.Event()

    def read_on() -> None:
        while not done.is_set():
            store.read(views.overview, "r1")

    readers = [threading.Thread(target=read_on) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for number in range(12):
            store.write(runs.set_status, "r1", "failed", f"error {number}")
            assert store.read(views.overview, "r1")["error"] == f"error {number}"
    finally:
        done.set()
        for reader in readers:
            reader.join()

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from store import annotators, decisions
from store.database import Store
from tests.story import Story

NOON = datetime(2026, 3, 4, 12, 0, 0)


@pytest.fixture
def story(store: Store) -> Story:
    """Two calls: s1 and s2 in the first, s3 in the second, three children each."""
    told = Story(**{"feedback.mode": "review"})
    told.begin(store)
    for index, demos in enumerate((("s1", "s2"), ("s3",))):
        kept = [told.candidate(index, place) for place in range(3)]
        told.tell(store, told.call(index, demo_seed_ids=demos), told.judged(index, *kept))
    return told


def say(store: Store, by: str, subject: str, kind: str, at: datetime | None = None, group: str | None = None) -> None:
    number = store.write(decisions.decide, subject, kind, by)
    change = 'UPDATE decision SET "at" = ?, group_id = ? WHERE decision_id = ?'
    store.write(lambda cursor: cursor.execute(change, [at or NOON, group, number]) and None)


def test_opinions_are_of_people_on_this_run(store: Store, story: Story) -> None:
    story.tell(store, story.finished(1, (), story.proposal("promote", "r1-0-0")))
    for by, subject, kind in (
        ("bo", "candidate:r1-0-1", "accept"),
        ("ada", "candidate:r1-0-0", "accept"),
        ("bo", "candidate:r1-0-0", "reject"),
        ("ada", "proposal:r1-promote-r1-0-0-1", "reject"),
        ("ada", "candidate:another", "accept"),
        ("rule", "candidate:r1-0-2", "accept"),
        ("ada", "candidate:r1-0-2", "flag"),
    ):
        say(store, by, subject, kind)
    assert [tuple(row.values()) for row in store.read(annotators.opinions, "r1")] == [
        ("candidate:r1-0-1", "bo", "accept"),
        ("candidate:r1-0-0", "ada", "accept"),
        ("candidate:r1-0-0", "bo", "reject"),
        ("proposal:r1-promote-r1-0-0-1", "ada", "reject"),
    ]
    say(store, "bo", "candidate:r1-0-0", "undo")
    assert len(store.read(annotators.opinions, "r1")) == 2, "what was undone is no opinion"


def test_progress_counts_and_times_what_stands(store: Store, story: Story) -> None:
    for number, (second, kind) in enumerate(((0, "accept"), (4, "reject"), (10, "accept"), (4000, "edit"))):
        say(store, "ada", f"candidate:r1-{number // 3}-{number % 3}", kind, NOON + timedelta(seconds=second))
    for number in range(3):
        say(store, "bo", f"candidate:r1-1-{number}", "reject", NOON - timedelta(days=1), group="g")
    say(store, "rule", "candidate:r1-0-0", "accept")
    ada, bo = store.read(annotators.progress, NOON + timedelta(seconds=4001))
    assert (ada["annotator"], ada["decided"], ada["accepted"], ada["rejected"], ada["other"]) == ("ada", 4, 2, 1, 1)
    assert (ada["median_s"], ada["last_hour"], ada["today"], ada["in_bulk"]) == (5.0, 1, 4, 0)
    assert (bo["decided"], bo["in_bulk"], bo["today"], bo["last_hour"], bo["median_s"]) == (3, 3, 0, 0, None)
    say(store, "ada", "candidate:r1-0-0", "undo")
    assert store.read(annotators.progress, NOON)[0]["decided"] == 3


def test_disputed_children_are_counted_for_each_seed_of_their_call(store: Store, story: Story) -> None:
    assert store.read(annotators.disagreement, "r1") == []
    for place, kinds in enumerate((("accept", "reject"), ("accept", "accept"), ("reject",))):
        for by, kind in zip(("ada", "bo"), kinds, strict=False):
            say(store, by, f"candidate:r1-0-{place}", kind)
    found = store.read(annotators.disagreement, "r1")
    assert [(row["seed_id"], row["decided"], row["disagreed"]) for row in found] == [("s1", 2, 1), ("s2", 2, 1)]

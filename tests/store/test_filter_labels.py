from __future__ import annotations

import pytest

from store import decisions, filter_labels
from store.database import Store
from tests.story import Story

LABELLED = [
    ("similar", "rescue", None, False),
    ("similar", "reject", None, True),
    (None, "reject", "near_copy", True),
    (None, "accept", None, False),
]
UNLABELLED = [
    ("similar", "flag", None),
    ("similar", "accept", None),
    ("short", "reject", None),
    ("short", "rescue", None),
    (None, "reject", "unsafe"),
    (None, "reject", None),
    (None, "flag", None),
    (None, None, None),
]


@pytest.fixture
def run(store: Store) -> Store:
    story = Story()
    story.begin(store)
    rows = [*(row[:3] for row in LABELLED), *UNLABELLED]
    made = [story.candidate(0, at, reason, max_rouge_l=0.5 + at / 100) for at, (reason, _, _) in enumerate(rows)]
    story.tell(store, story.call(0), story.judged(0, *made))
    for at, (_, kind, reason) in enumerate(rows):
        if kind:
            store.write(decisions.decide, f"candidate:r1-0-{at}", kind, "ada", reason)
    return store


def test_only_what_says_something_of_the_filter_is_a_label(run: Store) -> None:
    found = run.read(filter_labels.of_run, "r1")
    assert [(row["candidate_id"], row["is_copy"], row["max_rouge_l"]) for row in found] == [
        (f"r1-0-{at}", is_copy, pytest.approx(0.5 + at / 100)) for at, (*_, is_copy) in enumerate(LABELLED)
    ]


def test_the_rule_labels_nothing_and_what_was_undone_is_no_label(run: Store) -> None:
    run.write(decisions.decide, "candidate:r1-0-11", "accept", "rule")
    run.write(decisions.decide, "candidate:r1-0-0", "undo", "ada")
    assert [row["candidate_id"] for row in run.read(filter_labels.of_run, "r1")] == ["r1-0-1", "r1-0-2", "r1-0-3"]

"""Presses, undo, bulk, edits and swaps: nothing is lost, nothing is done twice, and what stands can be recounted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import candidates, curation, decisions, edits, runs, seeds
from store.connection import fetch
from store.curation import Press
from store.errors import StoreError
from tests.store.test_writer import fresh, two_windows

SUBJECTS = ("candidate:r1-0-0", "candidate:r1-0-1", "candidate:r1-2-0", "seed:s1", "seed:s2")
PEOPLE = ("ana", "ben")
moves = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE), st.sampled_from(SUBJECTS), st.sampled_from(["accept", "reject", "skip", "undo"])
    ),
    max_size=20,
)


def told() -> duckdb.DuckDBPyConnection:
    from store import writer

    story, events = two_windows("review")
    cursor = fresh(story)
    writer.take_in(cursor, events)
    return cursor


@pytest.fixture
def cursor() -> Iterator[duckdb.DuckDBPyConnection]:
    opened = told()
    yield opened
    opened.close()


def press(name: str, subject: str, key: str, **more: Any) -> Press:
    return Press(press=name, subject=subject, key=key, **more)


def standing(cursor: duckdb.DuckDBPyConnection) -> dict[str, str]:
    rows = fetch(cursor, "SELECT subject, kind FROM standing_decision WHERE kind IS NOT NULL")
    return {row["subject"]: row["kind"] for row in rows}


def model(made: list[tuple[str, str, str]], dropped: set[str]) -> dict[str, str]:
    """What stands, recounted: a list of words, from which an undo takes the person's last."""
    words: list[tuple[str, str, str]] = []
    for by, subject, key in made:
        if key == "undo":
            own = [at for at, word in enumerate(words) if word[0] == by]
            if own:
                del words[own[-1]]
        else:
            words.append((by, subject, "rescue" if key == "accept" and subject in dropped else key))
    return {subject: kind for _, subject, kind in words if kind != "skip"}


@settings(max_examples=25, deadline=None)
@given(moves, st.lists(st.integers(0, 19), max_size=6))
def test_what_stands_is_the_last_word_that_was_not_taken_back(
    made: list[tuple[str, str, str]], sent_again: list[int]
) -> None:
    cursor = told()
    rows = fetch(cursor, "SELECT candidate_id FROM candidate WHERE verdict = 'dropped'")
    dropped = {f"candidate:{row['candidate_id']}" for row in rows}
    for number, (by, subject, key) in enumerate(made):
        curation.take(cursor, press(f"p{number}", subject, key), by, "r1")
        for again in sent_again:
            if again <= number:
                by_then, subject_then, key_then = made[again]
                curation.take(cursor, press(f"p{again}", subject_then, key_then), by_then, "r1")
    assert standing(cursor) == model(made, dropped)
    library = {seed.seed_id for seed in seeds.library(cursor)}
    assert library == {"s1", "s2", "s3"} - {one[5:] for one, kind in standing(cursor).items() if kind == "reject"}
    cursor.close()


def test_undo_goes_back_step_by_step_to_the_beginning(cursor: duckdb.DuckDBPyConnection) -> None:
    names = count()
    for key in ("accept", "reject", "flag", "skip", "accept"):
        curation.take(cursor, press(f"p{next(names)}", SUBJECTS[0], key), "ana", "r1")
    seen = []
    for _ in range(6):
        heard = curation.take(cursor, press(f"p{next(names)}", "", "undo"), "ana", "r1")
        seen.append((standing(cursor).get(SUBJECTS[0]), heard.decision_id is None))
    assert seen == [
        ("reject", False),
        ("reject", False),
        ("reject", False),
        ("accept", False),
        (None, False),
        (None, True),
    ]
    assert "nothing of yours to undo" in str(heard.said)


def test_a_flag_leaves_a_rejection_standing(cursor: duckdb.DuckDBPyConnection) -> None:
    for number, key in enumerate(("reject", "flag")):
        curation.take(cursor, press(f"p{number}", SUBJECTS[0], key), "ana", "r1")
    (row,) = fetch(cursor, "SELECT kind, flagged FROM standing_decision WHERE subject = ?", [SUBJECTS[0]])
    assert row == {"kind": "reject", "flagged": True}


def test_who_undoes_takes_only_the_own_word_back(cursor: duckdb.DuckDBPyConnection) -> None:
    curation.take(cursor, press("a", SUBJECTS[0], "accept"), "ana", "r1")
    seen = decisions.last_number(cursor)
    heard = curation.take(cursor, press("b", SUBJECTS[0], "reject", seen=seen - 1), "ben", "r1")
    assert heard.said
    assert "ana accepted candidate:r1-0-0" in heard.said
    assert [row["by"] for row in curation.later_words(cursor, "ana", 0)] == ["ben"]
    undone = curation.take(cursor, press("c", "", "undo"), "ana", "r1")
    assert undone.said == "Undone: accepted candidate:r1-0-0. ben rejected it since; that stands."
    assert standing(cursor)[SUBJECTS[0]] == "reject"


def test_a_decision_on_a_proposal_of_a_run_that_goes_on_says_from_when_it_acts(
    cursor: duckdb.DuckDBPyConnection,
) -> None:
    (eviction,) = [
        row for row in decisions.of_run(cursor, "r1") if row["subject_id"] == "s1" and row["kind"] == "evict"
    ]
    runs.set_status(cursor, "r1", "running")
    heard = curation.take(cursor, press("p1", f"proposal:{eviction['proposal_id']}", "accept"), "ana", "r1")
    assert "Run r1 is in window 3: this acts from window 4 on, and prompts under way keep the seeds" in str(heard.said)
    assert "s1" in {row["seed_id"] for row in seeds.of_run(cursor, "r1") if row["status"] == "active"}
    runs.set_status(cursor, "r1", "waiting_for_review")
    seen = decisions.last_number(cursor)
    quiet = curation.take(cursor, press("p2", f"proposal:{eviction['proposal_id']}", "reject", seen=seen), "ana", "r1")
    assert quiet.said is None


def test_a_press_on_what_is_gone_is_answered_and_taken(cursor: duckdb.DuckDBPyConnection) -> None:
    for number, subject in enumerate(("candidate:no", "seed:no", "proposal:no", "blind:no/1", "blind:x", "what:ever")):
        heard = curation.take(cursor, press(f"p{number}", subject, "accept"), "ana", "r1")
        assert heard.decision_id is None
        assert "is not in this store any more" in str(heard.said)
        assert curation.is_taken(cursor, f"p{number}")
    assert decisions.last_number(cursor) == 0


def test_a_bulk_decision_is_undone_as_one_and_rescues_what_was_dropped(cursor: duckdb.DuckDBPyConnection) -> None:
    rows = fetch(cursor, "SELECT candidate_id, verdict FROM candidate WHERE run_id = 'r1'")
    subjects = [f"candidate:{row['candidate_id']}" for row in rows]
    group, number = curation.decide_together(cursor, subjects, "accept", "ana")
    assert number == len(subjects)
    kinds = {row["candidate_id"]: "rescue" if row["verdict"] == "dropped" else "accept" for row in rows}
    assert standing(cursor) == {f"candidate:{ident}": kind for ident, kind in kinds.items()}
    assert curation.last_group(cursor, "ana")["count"] == number
    assert curation.last_group(cursor, "ben") is None
    assert curation.undo_group(cursor, group, "ben") == number
    assert standing(cursor) == {}
    with pytest.raises(StoreError, match="Nothing of these decisions stands"):
        curation.undo_group(cursor, group, "ben")


def edit_of(cursor: duckdb.DuckDBPyConnection, ident: str, **more: Any):
    from store.records import Candidate

    row = fetch(cursor, "SELECT * EXCLUDE (window_iteration) FROM candidate WHERE candidate_id = ?", [ident])[0]
    return Candidate(
        **{**row, "candidate_id": "", "origin": "edit", "parent_id": ident, "instruction": "Better", **more}
    )


def in_k(cursor: duckdb.DuckDBPyConnection) -> set[str]:
    return {row["candidate_id"] for row in candidates.queue(cursor, "r1")}


def test_an_edit_stands_in_the_place_of_its_original_until_it_is_undone(cursor: duckdb.DuckDBPyConnection) -> None:
    cursor.execute("UPDATE candidate SET window_iteration = NULL")
    before, counted = in_k(cursor), runs.summary(cursor, "r1")
    heard = edits.edit_candidate(cursor, edit_of(cursor, "r1-0-0"), "ana", "new", "p1")
    assert in_k(cursor) == before - {"r1-0-0"} | {"r1-0-0-e1"}
    second = edits.edit_candidate(cursor, edit_of(cursor, "r1-0-0-e1"), "ana", "new", "p2")
    assert in_k(cursor) == before - {"r1-0-0"} | {"r1-0-0-e1-e1"}
    assert [heard.decision_id is None, second.decision_id is None] == [False, False]
    after = runs.summary(cursor, "r1")
    assert {name: after[name] for name in ("asked", "parsed", "kept", "dropped")} == {
        name: counted[name] for name in ("asked", "parsed", "kept", "dropped")
    }
    for _ in range(2):
        curation.take(cursor, press(f"u{_}", "", "undo"), "ana", "r1")
    assert in_k(cursor) == before
    assert [row["candidate_id"] for row in candidates.ancestors(cursor, "r1-0-0-e1-e1")] == [
        "r1-0-0-e1-e1", "r1-0-0-e1", "r1-0-0",
    ]  # fmt: skip


def test_an_edit_that_the_filter_drops_leaves_the_original_in_its_place(cursor: duckdb.DuckDBPyConnection) -> None:
    cursor.execute("UPDATE candidate SET window_iteration = NULL")
    before = in_k(cursor)
    copy = edit_of(cursor, "r1-0-0", verdict="dropped", stage="similarity", reason="similar", max_rouge_l=0.97,
                   nearest_id="s1", nearest_source="seed")  # fmt: skip
    heard = edits.edit_candidate(cursor, copy, "ana", "new", "p1")
    assert heard.decision_id is None
    assert "the filter drops it as similar (max ROUGE-L 0.97 to s1): the original stays" in str(heard.said)
    assert in_k(cursor) == before


def test_an_edit_of_a_seed_takes_its_place_in_the_library(cursor: duckdb.DuckDBPyConnection) -> None:
    edits.edit_seed(cursor, "s1", ("Say it well", "", "Well!"), "ana", "p1")
    library = {seed.seed_id: seed for seed in seeds.library(cursor)}
    assert library.keys() == {"s1-e1", "s2", "s3"}
    assert (library["s1-e1"].origin, library["s1-e1"].parent_ids) == ("edit", ("s1",))
    curation.take(cursor, press("p2", "", "undo"), "ana", "r1")
    assert {seed.seed_id for seed in seeds.library(cursor)} == {"s1", "s2", "s3"}


def test_a_use_as_seed_that_is_undone_leaves_the_library(cursor: duckdb.DuckDBPyConnection) -> None:
    assert decisions.decide_candidates(cursor, ["r1-0-0"], "use_as_seed", "ana") == 1
    assert "m-r1-0-0" in {seed.seed_id for seed in seeds.library(cursor)}
    curation.take(cursor, press("p1", "", "undo"), "ana", "r1")
    assert "m-r1-0-0" not in {seed.seed_id for seed in seeds.library(cursor)}


def test_a_swap_rejects_one_and_accepts_another_in_one_group(cursor: duckdb.DuckDBPyConnection) -> None:
    (proposal, *_) = [row for row in decisions.of_run(cursor, "r1") if row["kind"] == "promote"]
    made = edits.swap(cursor, proposal["proposal_id"], "r1-2-0", "ana")
    states = {row["proposal_id"]: row["decision"] for row in decisions.of_run(cursor, "r1")}
    assert (states[proposal["proposal_id"]], states[made]) == ("reject", "accept")
    for wrong, words in (("r1-2-0", "proposed in this window already"), ("nothing", "nothing that run r1 can promote")):
        with pytest.raises(StoreError, match=words):
            edits.swap(cursor, proposal["proposal_id"], wrong, "ana")
    curation.take(cursor, press("p1", "", "undo"), "ana", "r1")
    states = {row["proposal_id"]: row["decision"] for row in decisions.of_run(cursor, "r1")}
    assert (states[proposal["proposal_id"]], states[made]) == (None, None)

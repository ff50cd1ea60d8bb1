"""Review queues: each shows what it says, in order, to one person at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from sedi_engine.service import Service
from store import curation, edits, review, runs, seeds
from store.connection import fetch
from store.curation import Press
from store.database import Store
from store.review import Wanted
from tests.pages.builder import in_review, on_map, window
from tests.story import Story


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    service = Service(tmp_path_factory.mktemp("data"))
    in_review(service)
    on_map(service.store, "r1")
    yield service.store
    service.close()


def wanted(queue: str, me: str = "ana", **more: Any) -> Wanted:
    values = {"lapsed": runs.now() - timedelta(minutes=15), "near": 0.07, **more}
    return Wanted(run_id="r1", queue=queue, me=me, **values)


def subjects(store: Store, asked: Wanted, novelty: pa.Table | None = None) -> list[str]:
    return [row["subject"] for row in store.read(review.items, asked, 500, novelty)]


def decide(store: Store, subject: str, key: str, by: str = "ana", queue: str | None = None) -> None:
    name = f"{by}-{subject}-{key}-{queue}"
    store.write(curation.take, Press(press=name, subject=subject, key=key, queue=queue), by, "r1")


def test_every_count_is_the_length_of_its_queue(store: Store) -> None:
    for number, subject in enumerate(subjects(store, wanted("all"))):
        if number % 4 == 0:
            decide(store, subject, ("accept", "flag", "reject")[number // 4 % 3])
    counts = store.read(review.counts, wanted("all"))
    assert set(counts) == {"proposals", *review.OF_CANDIDATES, "library"}
    assert counts["flagged"] > 0
    for queue, count in counts.items():
        assert len(subjects(store, wanted(queue))) == count, queue


def test_what_changes_the_counts_changes_their_mark(store: Store) -> None:
    story = Story("r1", **{"feedback.mode": "review"})
    first = store.read(seeds.library)[0].seed_id
    changes = (
        lambda: decide(store, "candidate:r1-0-0", "accept"),
        lambda: store.write(curation.undo_last, "ana", "r1"),
        lambda: decide(store, "candidate:r1-0-2", "flag"),
        lambda: store.write(seeds.join_library, first, False),
        lambda: story.tell(store, *(one.model_copy(update={"seq": one.seq + 1000}) for one in window(story, 2))),
    )
    for change in changes:
        before = store.read(review.counts, wanted("all")), store.read(review.mark, "r1")
        change()
        assert store.read(review.counts, wanted("all")) != before[0]
        assert store.read(review.mark, "r1") != before[1]


def test_each_queue_holds_what_it_says(store: Store) -> None:
    rows = {queue: store.read(review.items, wanted(queue), 500) for queue in ("new", "near", "proposals", "library")}
    assert {row["verdict"] for row in rows["new"]} == {"kept"}
    assert {(row["verdict"], row["reason"]) for row in rows["near"]} == {("dropped", "similar")}
    assert all(row["max_rouge_l"] <= 0.85 + 0.07 for row in rows["near"])
    assert not subjects(store, wanted("near", near=0.05)), "0.91 lies further above the threshold of 0.85"
    assert [row["kind"] for row in rows["proposals"]] == ["promote", "promote", "evict", "evict"]
    assert all(isinstance(row["evidence"], dict) for row in rows["proposals"])
    assert len(rows["library"]) == 175


def test_what_is_skipped_comes_last_and_what_is_decided_is_gone(store: Store) -> None:
    first, second, *rest = subjects(store, wanted("new"))
    decide(store, first, "skip")
    decide(store, second, "accept")
    assert subjects(store, wanted("new")) == [*rest, first]
    assert subjects(store, wanted("new", me="ben")) == [first, *rest]


def test_nobody_gets_what_another_has_before_him_unless_overlap_asks_for_it(store: Store) -> None:
    asked = wanted("new")
    mine = subjects(store, asked)[:5]
    assert store.write(review.hold, asked, mine, runs.now()) == mine
    others = wanted("new", me="ben")
    assert not set(mine) & set(subjects(store, others))
    assert store.write(review.hold, others, mine, runs.now()) == [], "two ask at once, and one is first"
    assert set(mine) <= set(subjects(store, wanted("new", me="ben", overlap=2)))
    later = wanted("new", me="ben", lapsed=runs.now() + timedelta(minutes=1))
    assert set(mine) <= set(subjects(store, later)), "an item that nobody was heard of for so long is free again"
    store.write(review.hold, asked, mine[:1], runs.now())
    assert set(mine[1:]) <= set(subjects(store, others)), "what is no longer before one is free"


def test_with_an_overlap_of_two_an_item_leaves_after_the_second_person(store: Store) -> None:
    subject = subjects(store, wanted("new"))[0]
    decide(store, subject, "accept")
    assert subject not in subjects(store, wanted("new", overlap=2))
    assert subject in subjects(store, wanted("new", me="ben", overlap=2))
    decide(store, subject, "accept", by="ben")
    assert subject not in subjects(store, wanted("new", me="cem", overlap=2))
    assert subject in subjects(store, wanted("new", me="cem", overlap=3))


def test_a_disagreement_is_disputed_until_it_is_settled_there(store: Store) -> None:
    subject = subjects(store, wanted("new"))[0]
    decide(store, subject, "accept")
    decide(store, subject, "reject", by="ben")
    assert subjects(store, wanted("disputed", me="cem")) == [subject]
    decide(store, subject, "accept", by="cem", queue="new")
    assert subjects(store, wanted("disputed")) == [subject]
    decide(store, subject, "reject", by="cem", queue="disputed")
    assert subjects(store, wanted("disputed")) == []


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("measure", ["judged", "max_rouge_l", "loss", "credit", "novelty"])
def test_order_and_bounds_follow_the_measure(store: Store, measure: str, descending: bool) -> None:
    everything = subjects(store, wanted("all"))
    novelty = pa.table({"subject": everything, "novelty": [0.01 * (17 * at % 50) for at in range(len(everything))]})
    given = novelty if measure == "novelty" else None
    asked = wanted("all", measure=measure, descending=descending)
    rows = store.read(review.items, asked, 500, given)
    assert {row["subject"] for row in rows} == set(everything)
    if measure == "novelty":
        of = dict(zip(*novelty.to_pydict().values(), strict=True))
        values = [of[row["subject"]] for row in rows]
        assert values == sorted(values, reverse=descending)
        bounded = subjects(store, asked.model_copy(update={"low": 0.1, "high": 0.2}), novelty)
        assert set(bounded) == {subject for subject, value in of.items() if 0.1 <= value <= 0.2}
    elif measure == "judged":
        places = [(row["call_index"], row["position"]) for row in rows]
        assert places == sorted(places, reverse=descending)


def test_filters_are_bound_and_never_run(store: Store) -> None:
    assert subjects(store, wanted("all", search="Task 0 1")) == ["candidate:r1-0-1"]
    assert subjects(store, wanted("all", search="'; DROP TABLE candidate; --")) == []
    assert subjects(store, wanted("all", iterations=(7,))) == []
    assert len(subjects(store, wanted("all", iterations=(1,), origins=("machine",)))) == 48
    decide(store, "candidate:r1-0-1", "accept", by="ben")
    assert subjects(store, wanted("all", overlap=2, decided_by="ben")) == ["candidate:r1-0-1"]


def test_what_was_undone_is_found_again_in_the_order_asked_for(store: Store) -> None:
    for queue in ("new", "proposals", "library"):
        two = subjects(store, wanted(queue))[:2][::-1]
        assert [row["subject"] for row in store.read(review.again, wanted(queue), two)] == two


def test_what_may_take_a_proposals_place_is_of_its_window_and_not_proposed(store: Store) -> None:
    proposed = fetch_ids(store)
    for proposal_id, kind in proposed.items():
        others = store.read(edits.instead, "r1", proposal_id)
        idents = {row["ident"] for row in others}
        taken = {row["subject_id"] for row in store.read(fetch, "SELECT subject_id FROM proposal")}
        assert idents
        assert not idents & taken
        assert all(ident.startswith("r1-" if kind == "promote" else "own_") for ident in idents)
    assert store.read(edits.instead, "r1", "nothing") == []


def fetch_ids(store: Store) -> dict[str, str]:
    return {row["proposal_id"]: row["kind"] for row in store.read(fetch, "SELECT proposal_id, kind FROM proposal")}

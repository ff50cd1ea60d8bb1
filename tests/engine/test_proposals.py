"""From a window's records to proposals and credits of the run, and back: what one window adds stands on the last."""

from __future__ import annotations

from pathlib import Path

import pytest

from sedi_engine import proposals
from sedi_engine.config import RunConfig
from store import decisions, runs, seeds, snapshot
from store.database import Store
from store.records import Batch, ExampleSignal, Step
from store.snapshot import Queued, Snapshot
from tests.story import Story


def window(story: Story, config: RunConfig, taken: Snapshot, losses: list[list[float]]) -> proposals.WindowFeedback:
    """Feedback on batches whose members have these losses; each was shown all seeds."""
    members = {
        f"r1-{batch}-{place}": Queued(
            candidate_id=f"r1-{batch}-{place}",
            call_index=batch,
            origin="machine",
            instruction=f"Entirely other words {batch} {'abcdefgh'[place] * 4} {'stuvwxyz'[batch] * 5}",
            input="",
            output="done",
            demo_seed_ids=("s1", "s2") if batch % 2 else ("s3",),
        )
        for batch, row in enumerate(losses)
        for place in range(len(row))
    }
    batches, steps = [], []
    for number, row in enumerate(losses):
        names = tuple(f"r1-{number}-{place}" for place in range(len(row)))
        head = story.composed(taken.iteration, names, first_step=number + 1).batches[0].model_dump()
        batches.append(Batch(**{**head, "clusters": tuple(range(len(row)))}))
        done = story.step(taken.iteration, number + 1, *names).step
        examples = tuple(
            ExampleSignal(candidate_id=name, loss=loss, el2n=loss, response_tokens=5)
            for name, loss in zip(names, row, strict=True)
        )
        steps.append(Step(**{**done.model_dump(), "examples": examples, "loss": sum(row) / len(row)}))
    return proposals.of_window(taken, config, steps, batches, members)


@pytest.fixture
def story(store: Store) -> Story:
    told = Story("r1", **{"feedback.promote": 2})
    told.begin(store)
    return told


LOSSES = [[3.0, 3.1], [1.0, 1.1], [3.2, 2.9], [0.9, 1.2]]


def test_a_window_credits_promotes_and_evicts_as_many(store: Store, story: Story) -> None:
    said = window(story, story.config, store.write(snapshot.take, "r1"), LOSSES)
    assert said.attractive_step == 4
    assert {one.seed_id for one in said.credits} == {"s1", "s2", "s3"}
    assert {one.seed_id: one.calls for one in said.credits} == {"s1": 2, "s2": 2, "s3": 2}
    assert {one.seed_id: one.trained_children for one in said.credits} == {"s1": 4, "s2": 4, "s3": 4}
    assert all(one.credit == pytest.approx(one.credit_sum / (one.calls + 3)) for one in said.credits)
    kinds = [one.kind for one in said.proposals]
    assert kinds.count("promote") == kinds.count("evict") == 1
    assert {one.subject_id for one in said.proposals if one.kind == "evict"} <= {"s1", "s2"}
    assert said.reason is None


def test_credit_adds_up_over_windows(store: Store, story: Story) -> None:
    first = window(story, story.config, store.write(snapshot.take, "r1"), LOSSES)
    finished = story.finished(1, (), credits=first.credits)
    story.tell(store, finished)
    second = window(story, story.config, store.write(snapshot.take, "r1"), LOSSES)
    for before, after in zip(first.credits, second.credits, strict=True):
        assert after.calls == 2 * before.calls
        assert after.trained_children == 2 * before.trained_children
        assert after.credit_sum == pytest.approx(2 * before.credit_sum)


def test_with_feedback_off_nothing_is_proposed_and_credit_is_still_kept(store: Store, story: Story) -> None:
    config = story.config.with_settings({"feedback.mode": "off"})
    said = window(story, config, store.write(snapshot.take, "r1"), LOSSES)
    assert said.proposals == ()
    assert said.credits
    assert said.reason == "feedback.mode is off."


def test_a_stream_has_no_credit_and_its_promotions_join_the_library(store: Store, folder: Path) -> None:
    stream = {"generator.kind": "stream", "generator.stream_path": str(folder / "s"), "feedback.mode": "review"}
    story = Story("r1", **stream)
    story.begin(store)
    said = window(story, story.config, store.write(snapshot.take, "r1"), LOSSES)
    assert said.credits == ()
    assert {one.kind for one in said.proposals} == {"promote"}
    kept = [story.candidate(3, place) for place in range(2)]
    story.tell(store, story.call(3), story.judged(3, *kept), story.finished(1, (), *said.proposals))
    for one in said.proposals:
        store.write(decisions.decide_proposal, one.proposal_id, "accept", "somebody")
    store.write(decisions.apply, "r1", 2, False)
    summary = store.read(runs.summary, "r1")
    assert summary is not None
    assert (summary["promoted"], summary["seeds_active"]) == (len(said.proposals), 3)
    assert len(store.read(seeds.library)) == 3 + len(said.proposals)

"""The blind test: every item comes from the batch that its rule chose, and the draw can be repeated."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sedi_engine.curation import blind as blind_test
from sedi_engine.curation.blind import RULES, acceptance, draw, is_revealed, verdict
from sedi_engine.curation.intervals import Share, wilson
from sedi_engine.errors import InputError, NotFoundError
from store import blind, decisions, windows
from store.database import Store
from store.records import Batch, ExampleSignal, Step
from tests.story import Story

WORDS = "amber birch cedar dune ember fjord grove heath islet jetty knoll lagoon".split()


def trained(store: Store, story: Story, losses: list[list[list[float]]]) -> None:
    """Windows of batches of examples with these losses; the norm of a step falls as its loss rises."""
    story.begin(store)
    step = 0
    for iteration, window in enumerate(losses, 1):
        kept, batches, steps = [], [], []
        for row in window:
            step += 1
            made = [
                story.candidate(step, at, iteration=iteration, instruction=" ".join(3 * [f"{WORDS[at]}{step}"]))
                for at in range(len(row))
            ]
            names = tuple(one.candidate_id for one in made)
            kept.append((step, made))
            composed = story.composed(iteration, names, first_step=step)
            batch = Batch(**{**composed.batches[0].model_dump(), "clusters": tuple(range(len(row)))})
            batches.append(composed.model_copy(update={"batches": (batch,)}))
            done = story.step(iteration, step, *names)
            examples = tuple(
                ExampleSignal(candidate_id=name, loss=loss, el2n=loss, response_tokens=5)
                for name, loss in zip(names, row, strict=True)
            )
            mean = sum(row) / len(row)
            told = {**done.step.model_dump(), "examples": examples, "loss": mean, "grad_norm": 10 - mean}
            steps.append(done.model_copy(update={"step": Step(**told)}))
        for index, made in kept:
            story.tell(store, story.call(index), story.judged(index, *made, iteration=iteration))
        members = tuple(one.candidate_id for _, made in kept for one in made)
        story.tell(store, *batches, *steps, story.finished(iteration, members))


LOSSES = [
    [[1.0, 1.1, 1.2, 0.9], [3.0, 3.1, 3.2, 2.9], [2.0, 2.1, 2.2, 1.9]],
    [[2.5, 2.4, 2.6, 2.3], [1.5, 1.4, 1.6, 1.3], [2.0, 2.1, 2.2, 1.9]],
]


@pytest.fixture
def run(store: Store) -> Story:
    story = Story(**{"feedback.mode": "review"})
    trained(store, story, LOSSES)
    return story


@given(st.integers(0, 2**31 - 1), st.integers(1, 5))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_item_is_of_the_batch_that_each_of_its_rules_chose(
    store: Store, run: Story, random_seed: int, per_rule: int
) -> None:
    found = store.read(windows.finished, "r1") if run else []
    items = draw(found, run.config, per_rule, random_seed)
    assert items == draw(found, run.config, per_rule, random_seed), "the same seed draws the same"
    assert len({one.candidate_id for one in items}) == len(items), "one of several rules is one item"
    for window in found:
        norms, losses = ([getattr(step, name) for step in window.steps] for name in ("grad_norm", "loss"))
        of_rule = {
            rule: [one for one in items if rule in one.rules and one.iteration == window.iteration] for rule in RULES
        }
        for rule, chosen in of_rule.items():
            assert 0 < len(chosen) <= per_rule
            batches = {
                at for at, batch in enumerate(window.batches) for one in chosen if one.candidate_id in batch.members
            }
            assert len(batches) == 1, f"all of {rule} come from one batch"
            (at,) = batches
            if rule != "random":
                values = norms if rule == "grad_norm" else losses
                assert values[at] == max(values)
    assert {one.rules[0] for one in items} <= set(RULES)


def test_chance_chooses_every_batch_now_and_then(store: Store, run: Story) -> None:
    found = store.read(windows.finished, "r1")
    items = [one for seed in range(40) for one in draw(found[:1], run.config, 1, seed) if "random" in one.rules]
    assert len({one.candidate_id for one in items}) == len(LOSSES[0])
    orders = {tuple(one.candidate_id for one in draw(found, run.config, 3, seed)) for seed in range(10)}
    assert len(orders) > 1, "the order is mixed"


def test_a_window_that_was_trained_again_counts_as_it_stands(store: Store, run: Story) -> None:
    superseded = "UPDATE step SET superseded = true WHERE step <= 2"
    store.write(lambda cursor: cursor.execute(superseded) and None)
    found = store.read(windows.finished, "r1")
    assert [len(one.steps) for one in found] == [1, 3]
    assert {one.iteration for one in draw(found, run.config, 2, 0)} == {2}, "one batch is no choice"


def test_a_norm_that_is_no_number_leaves_its_window_out(store: Store, run: Story) -> None:
    store.write(lambda cursor: cursor.execute("UPDATE step SET grad_norm = 'nan' WHERE step = 5") and None)
    assert {one.iteration for one in draw(store.read(windows.finished, "r1"), run.config, 2, 0)} == {1}


def test_the_sieve_is_that_of_the_rule_with_the_seeds_of_that_window(store: Store, run: Story) -> None:
    found = store.read(windows.finished, "r1")
    first = next(one for one in draw(found, run.config, 1, 0) if "grad_norm" in one.rules and one.iteration == 1)
    text = found[0].members[first.candidate_id].instruction
    row = {"seed_id": "s9", "instruction": text, "origin": "own", "added_iteration": 0, "removed_iteration": None}
    with_twin = [replace(window, active=(*window.active, row)) for window in found]
    assert first.candidate_id not in {one.candidate_id for one in draw(with_twin, run.config, 9, 0)}


def test_a_test_is_kept_with_its_items_and_shows_no_rule(store: Store, run: Story) -> None:
    test_id = blind_test.make(store, "r1", 2, 7, "ada")
    assert blind_test.make(store, "r1", 2, 7, "ada") != test_id
    expected = draw(store.read(windows.finished, "r1"), run.config, 2, 7)
    outcomes = store.read(blind.outcomes, test_id)
    assert [(row["candidate_id"], tuple(row["rules"])) for row in outcomes] == [
        (one.candidate_id, one.rules) for one in expected
    ]
    items = store.read(blind.items, test_id, "bo", 99)
    assert [one["subject"] for one in items] == [f"blind:{test_id}/{at}" for at in range(len(expected))]
    assert all(set(one) == {"subject", "instruction", "input", "output"} for one in items)
    assert len(store.read(blind.items, test_id, "bo", 2)) == 2


def test_decisions_on_items_count_for_the_test_and_do_nothing_to_the_run(store: Store, run: Story) -> None:
    test_id = blind_test.make(store, "r1", 2, 7, "ada")
    first, second, third = store.read(blind.items, test_id, "bo", 3)
    store.write(decisions.decide, first["subject"], "accept", "bo")
    store.write(decisions.decide, second["subject"], "skip", "bo")
    left = store.read(blind.items, test_id, "bo", 99)
    assert [left[0]["subject"], left[-1]["subject"]] == [third["subject"], second["subject"]]
    assert store.read(blind.items, test_id, "cy", 1)[0]["subject"] == first["subject"]
    assert store.read(blind.outcomes, test_id)[0]["kind"] == "accept"
    (row,) = store.read(blind.of_run, "r1")
    assert (row["test_id"], row["decided"], row["items"] > 3) == (test_id, 1, True)
    before = store.read(lambda cursor: cursor.execute("FROM run_seed ORDER BY ALL").fetchall())
    store.write(decisions.apply, "r1", 3, True)
    assert store.read(lambda cursor: cursor.execute("FROM run_seed ORDER BY ALL").fetchall()) == before


def test_what_cannot_be_tested_is_refused_in_words(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no run 'r1'"):
        blind_test.make(store, "r1", 2, 0, "ada")
    Story().begin(store)
    with pytest.raises(InputError, match="no finished window with two trained batches"):
        blind_test.make(store, "r1", 2, 0, "ada")
    with pytest.raises(InputError, match="per_rule is 0"):
        blind_test.make(store, "r1", 0, 0, "ada")


OUTCOMES = st.lists(
    st.fixed_dictionaries(
        {
            "rules": st.lists(st.sampled_from(RULES), min_size=1, max_size=3, unique=True),
            "kind": st.sampled_from(["accept", "reject", None, "flag"]),
        }
    ),
    max_size=40,
)


@given(OUTCOMES)
@settings(deadline=None)
def test_acceptance_is_of_the_decided_items_of_each_rule(outcomes: list[dict]) -> None:
    for one in acceptance(outcomes):
        own = [row["kind"] for row in outcomes if one.rule in row["rules"]]
        share = one.accepted
        assert (one.items, share.of, share.hits) == (
            len(own),
            own.count("accept") + own.count("reject"),
            own.count("accept"),
        )
        if share.of:
            assert 0 <= share.low <= share.value <= share.high <= 1


@given(st.integers(0, 60), st.integers(1, 60))
@settings(deadline=None)
def test_wilson_is_the_closed_form(hits: int, of: int) -> None:
    hits = min(hits, of)
    z, p = 1.959963984540054, hits / of
    middle, half = (p + z * z / (2 * of)) / (1 + z * z / of), z / (1 + z * z / of)
    half *= (p * (1 - p) / of + z * z / (4 * of * of)) ** 0.5
    found = wilson(hits, of)
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), abs=1e-9)


def test_a_difference_is_told_only_where_the_intervals_are_apart() -> None:
    alike = [{"rules": ["grad_norm"], "kind": "accept"}, {"rules": ["loss"], "kind": "reject"}]
    assert verdict(acceptance(alike)) == "All intervals overlap: a difference inside the intervals is no difference."
    said = verdict(acceptance(alike * 30))
    assert said.startswith("People accept more of the gradient norm's proposals than of the loss's")
    assert wilson(0, 0) == Share(0, 0, None, None, None)
    assert wilson(0, 0).overlaps(wilson(3, 9))


def test_the_rules_are_told_at_the_end_or_once_enough_is_decided() -> None:
    assert [is_revealed(100, decided) for decided in (0, 29, 30, 100)] == [False, False, True, True]
    assert [is_revealed(4, decided) for decided in (0, 3, 4)] == [False, False, True]

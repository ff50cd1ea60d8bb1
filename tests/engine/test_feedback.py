import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from sedi_engine.config import FeedbackConfig
from sedi_engine.credit import ActiveSeed, Credit, add_credits, evictable
from sedi_engine.feedback import attractive, propose, rank_steps
from sedi_engine.window import TrainedExample, TrainedStep, detrend

WORDS = ["tell", "write", "name", "list", "sort", "river", "moon", "bread", "tax", "song", "code", "rhyme"]
finite = st.floats(0.01, 20, allow_nan=False)
instructions = st.lists(st.sampled_from(WORDS), min_size=2, max_size=6).map(" ".join)


@st.composite
def seed_sets(draw):
    origins = draw(st.lists(st.sampled_from(["own", "import", "edit", "machine", "machine"]), min_size=1, max_size=12))
    return tuple(
        ActiveSeed(f"s{n}", draw(instructions), origin, draw(st.integers(0, 3))) for n, origin in enumerate(origins)
    )


@st.composite
def windows(draw, seed_ids=("s0", "s1", "s2", "s3")):
    demos = draw(st.lists(st.lists(st.sampled_from(seed_ids), max_size=3).map(tuple), min_size=1, max_size=6))
    steps, number = [], 0
    for step in range(draw(st.integers(0, 6))):
        members = []
        for _ in range(draw(st.integers(0, 6))):
            call = draw(st.integers(0, len(demos) - 1))
            members.append(
                TrainedExample(
                    f"c{number}",
                    draw(instructions),
                    draw(st.sampled_from(["", "an output", "another"])),
                    cluster=draw(st.integers(0, 3)),
                    loss=draw(finite),
                    el2n=draw(finite),
                    grand=draw(st.none() | finite),
                    ifd=draw(st.none() | finite),
                    call_index=call,
                    demo_seed_ids=demos[call],
                    machine_made=draw(st.integers(0, 4)) > 0,
                    is_seed=draw(st.integers(0, 4)) == 0,
                )
            )
            number += 1
        steps.append(TrainedStep(step, draw(finite), draw(finite), draw(st.integers(0, 500)), tuple(members)))
    return tuple(steps)


configs = st.builds(
    FeedbackConfig,
    signal=st.sampled_from(["loss", "el2n", "grand", "ifd"]),
    batch_signal=st.sampled_from(["grad_norm", "grad_norm_detrended", "loss"]),
    promote=st.integers(0, 5),
)
credits_by_seed = st.dictionaries(
    st.sampled_from([f"s{n}" for n in range(12)]), st.builds(Credit, st.floats(-5, 5), st.integers(1, 9), st.just(1))
)


@given(windows(), seed_sets(), configs, credits_by_seed)
def test_what_the_rule_promises(window, seeds, config, earlier):
    feedback = propose(window, seeds, config, earlier=earlier)
    promoted = [change.subject_id for change in feedback.promotions]
    evicted = [change.subject_id for change in feedback.evictions]
    assert len(promoted) == len(evicted) <= config.promote
    assert len(set(promoted)) == len(promoted) and len(set(evicted)) == len(evicted)
    assert (feedback.reason_none is None) == bool(promoted)
    assert set(evicted) <= {seed.seed_id for seed in seeds}
    humans_after = [seed for seed in seeds if seed.is_human and seed.seed_id not in evicted]
    assert not evicted or 2 * len(humans_after) >= len(seeds)
    assert all(feedback.credits[seed_id].value < 0 for seed_id in evicted)
    if promoted:
        check_promotions(feedback, window, seeds)


def check_promotions(feedback, window, seeds):
    examples = {e.candidate_id: e for step in window for e in step.examples}
    batch = next(step for step in window if step.step == feedback.attractive_step)
    limit = np.percentile([e.loss for e in examples.values()], 95)
    chosen = [examples[change.subject_id] for change in feedback.promotions]
    assert set(chosen) <= set(batch.examples)
    assert len({e.cluster for e in chosen}) == len(chosen)
    assert all(e.machine_made and not e.is_seed and e.output and e.loss <= limit for e in chosen)
    scorer = RougeScorer(["rougeL"])
    texts = [seed.instruction for seed in seeds]
    for example in chosen:
        assert all(scorer.score(text, example.instruction)["rougeL"].fmeasure <= 0.7 for text in texts)
        texts.append(example.instruction)


@given(windows(), seed_sets(), configs, credits_by_seed)
def test_it_is_deterministic_and_its_evidence_is_flat_json(window, seeds, config, earlier):
    feedback = propose(window, seeds, config, earlier=earlier)
    assert feedback == propose(window, seeds, config, earlier=earlier)
    for change in (*feedback.promotions, *feedback.evictions):
        assert json.loads(json.dumps(change.evidence, allow_nan=False)) == change.evidence
        assert not any(isinstance(value, dict) for value in change.evidence.values())


@given(windows(), seed_sets(), configs)
def test_a_stream_promotes_without_evicting(window, seeds, config):
    feedback = propose(window, seeds, config, lineage=False)
    assert feedback.credits == {} and feedback.evictions == ()
    assert len(feedback.promotions) <= config.promote
    assert (feedback.reason_none is None) == bool(feedback.promotions)
    if feedback.promotions:
        check_promotions(feedback, window, seeds)


@given(st.lists(st.floats(-1e3, 1e3), max_size=30), st.floats(-10, 10), st.floats(-10, 10))
def test_detrending_takes_any_line_away(values, slope, offset):
    residuals = detrend(values)
    shifted = detrend([value + slope * place + offset for place, value in enumerate(values)])
    assert shifted == pytest.approx(residuals, abs=1e-6)
    if len(values) > 2:
        fit = np.polyval(np.polyfit(range(len(values)), values, 1), range(len(values)))
        assert residuals == pytest.approx(np.asarray(values) - fit, abs=1e-6)


def step(number: int, norm: float = 1.0, loss: float = 1.0, examples=(), tokens: int = 10) -> TrainedStep:
    return TrainedStep(number, loss, norm, tokens, tuple(examples))


def example(name: str, loss: float, cluster: int = 0, call: int | None = None, demos=(), **more) -> TrainedExample:
    return TrainedExample(
        name, f"{name} instruction", "done", cluster, loss, loss, loss, loss, call, tuple(demos), **more
    )


def test_the_highest_norm_is_attractive_and_the_earliest_of_equals():
    window = [step(3, 1.0, 9.0), step(4, 5.0, 1.0), step(5, 5.0, 2.0)]
    assert attractive(window, "grad_norm") == 1
    assert attractive(window, "loss") == 0
    assert attractive(window[:1], "grad_norm") is None and attractive([], "grad_norm") is None
    assert [ranked.rank for ranked in rank_steps(window, "grad_norm")] == [3, 1, 2]


def test_detrended_norms_forgive_an_early_step_its_height():
    window = [step(n, norm) for n, norm in enumerate([10.0, 8.0, 7.5, 4.0, 2.0])]
    assert attractive(window, "grad_norm") == 0
    assert attractive(window, "grad_norm_detrended") == 2


def test_credit_is_the_shrunken_mean_over_calls():
    window = [
        step(0, examples=[example("a", 1.0, call=0, demos=["x"]), example("b", 3.0, call=0, demos=["x"])]),
        step(1, examples=[example("c", 2.0, call=1, demos=["x", "y"]), example("d", 2.0, call=None)]),
        step(2, examples=[example("e", 4.0, call=2, demos=["y"]), example("f", 0.0, call=3, demos=["z"])]),
    ]
    losses, places = [1, 3, 2, 2, 4, 0], [0, 0, 1, 1, 2, 2]
    residuals = np.array(losses) - np.polyval(np.polyfit(places, losses, 1), places)
    z = residuals / residuals.std()
    credits = add_credits({"y": Credit(1.5, 2, 5)}, window, "loss")
    assert credits["x"].sum_z == pytest.approx((z[0] + z[1]) / 2 + z[2])
    assert credits["x"].value == pytest.approx(credits["x"].sum_z / 5)
    assert (credits["x"].calls, credits["x"].children) == (2, 3)
    assert credits["y"] == Credit(pytest.approx(1.5 + z[2] + z[4]), 4, 7)
    assert credits["z"].value == pytest.approx(z[5] / 4)


def test_equal_signals_say_nothing_of_a_seed():
    window = [step(n, examples=[example(f"{n}", 0.1, call=n, demos=["x"])]) for n in range(7)]
    assert add_credits({}, window, "loss")["x"] == Credit(0.0, 7, 7)


def test_a_signal_that_was_not_measured_counts_nothing():
    unmeasured = replace(example("a", 1.0, call=0, demos=["x"]), grand=None)
    assert add_credits({}, [step(0, examples=[unmeasured])], "grand") == {}


def test_the_worst_seed_leaves_first_and_the_oldest_of_equals():
    seeds = [
        ActiveSeed("good", "a", "own"),
        ActiveSeed("young", "b", "machine", 2),
        ActiveSeed("old", "c", "machine", 1),
        ActiveSeed("worst", "d", "own"),
        ActiveSeed("unknown", "e", "own"),
        ActiveSeed("fine", "f", "own"),
    ]
    credits = {"good": Credit(1, 1), "young": Credit(-1, 1), "old": Credit(-1, 1), "worst": Credit(-2, 1)}
    assert [change.subject_id for change in evictable(seeds, credits)] == ["worst", "old", "young"]


def test_machine_made_seeds_leave_once_a_human_one_would_break_the_half():
    seeds = [ActiveSeed(f"h{n}", "a", "own") for n in range(3)] + [ActiveSeed("m", "b", "machine")]
    credits = {"h0": Credit(-9, 1), "h1": Credit(-8, 1), "m": Credit(-1, 1)}
    assert [change.subject_id for change in evictable(seeds, credits)] == ["h0", "m"]
    machine_heavy = [*seeds[:1], seeds[3], ActiveSeed("n", "c", "machine")]
    assert evictable(machine_heavy, credits) == []


def test_promotions_are_ranked_by_the_signal_and_carry_their_evidence():
    members = [example(name, loss, cluster) for name, loss, cluster in [("a", 2.0, 0), ("b", 3.0, 1), ("c", 2.5, 1)]]
    window = [
        step(0, 1.0, examples=[example(f"o{n}", 9.0) for n in range(5)]),
        step(1, 2.0, examples=members, tokens=30),
        step(2, 0.5, examples=[example("p", 1.0)], tokens=5),
    ]
    feedback = propose(window, [ActiveSeed("s", "b tale", "own")], FeedbackConfig(), lineage=False)
    assert [change.subject_id for change in feedback.promotions] == ["b", "a"]
    evidence = feedback.promotions[0].evidence
    assert evidence["step"] == feedback.attractive_step == 1
    assert (evidence["batch_value"], evidence["window_grad_norm"]) == (2.0, [1.0, 2.0, 0.5])
    assert (evidence["loss"], evidence["loss_rank"], evidence["loss_limit"]) == (3.0, 6, 9.0)
    assert (evidence["signal_value"], evidence["cluster"]) == (3.0, 1)
    assert evidence["nearest_seed_id"] == "s" and evidence["nearest_seed_rouge_l"] == 0.5
    assert evidence["norm_token_correlation"] == feedback.norm_token_correlation > 0.9


def test_the_reason_is_told_when_nothing_is_proposed():
    human = [ActiveSeed("s", "a b c", "own")]
    window = [step(0, 1.0, examples=[example("a", 1.0)]), step(1, 2.0, examples=[example("b", 9.0)])]
    reasons = [
        propose(window[:1], human, FeedbackConfig()).reason_none,
        propose(window, human, FeedbackConfig(promote=0)).reason_none,
        propose(window, human, FeedbackConfig()).reason_none,
        propose([replace(window[0], grad_norm=3.0), window[1]], human, FeedbackConfig()).reason_none,
        propose(
            [replace(window[0], grad_norm=3.0), window[1]], human, FeedbackConfig(), earlier={"s": Credit(-1, 1)}
        ).reason_none,
    ]
    assert reasons[0] == "Choosing a batch takes two, and the window has 1."
    assert reasons[1] == "feedback.promote is 0."
    assert "1 above the 95th percentile of loss" in reasons[2]
    assert reasons[3] == "No seed has a credit below 0, so none has to leave."
    assert reasons[4].endswith("at least half of the seeds stay human.")

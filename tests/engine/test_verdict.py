import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.filters.verdict import Filter, Judgement, lost_all_tokens

SEED = "Name three bright colours of the sea"
NEAR = "Name three bright colours of the sky"  # F1 6/7
HALF = "Name three dark smells of every forest"  # F1 3/7


def filter_with_seed(threshold: float = 0.85, **more) -> Filter:
    judge = Filter(threshold, "rouge", **more)
    judge.add(SEED, "seed-1", "seed")
    return judge


def test_a_kept_candidate_has_no_stage_and_no_reason():
    assert filter_with_seed().judge("Explain how tides come about") == Judgement("kept")


def test_the_nearest_text_is_reported_for_kept_and_dropped():
    evidence = (6 / 7, "seed-1", "seed")
    kept, dropped = filter_with_seed(0.86).judge(NEAR), filter_with_seed(0.85).judge(NEAR)
    assert (kept.verdict, kept.stage, kept.reason) == ("kept", None, None)
    assert (dropped.verdict, dropped.stage, dropped.reason) == ("dropped", "similarity", "similar")
    for judgement in (kept, dropped):
        value, *nearest = evidence
        assert judgement.max_rouge_l == pytest.approx(value, abs=1e-15)
        assert [judgement.nearest_id, judgement.nearest_source] == nearest


def test_below_a_half_nothing_is_reported_even_when_it_decides():
    assert filter_with_seed(0.4).judge(HALF) == Judgement("dropped", "similarity", "similar")
    assert filter_with_seed(0.5).judge(HALF) == Judgement("kept")


def test_equal_to_the_threshold_is_kept():
    assert filter_with_seed(1.0).judge(SEED).verdict == "kept"
    judge = Filter(0.75, "rouge")
    judge.add("one two three four", "a", "seed")
    at_the_threshold = judge.judge("one two three five")
    assert (at_the_threshold.verdict, at_the_threshold.max_rouge_l) == ("kept", 0.75)


def test_judging_adds_nothing_and_the_earliest_of_equals_is_named():
    judge = filter_with_seed()
    assert judge.judge("Explain how tides come about") == judge.judge("Explain how tides come about")
    judge.add("Explain how tides come about", "run-0-0", "kept")
    judge.add("Explain how tides come about", "run-0-1", "kept")
    again = judge.judge("Explain how tides come about")
    assert (again.reason, again.max_rouge_l, again.nearest_id, again.nearest_source) == (
        "similar",
        1.0,
        "run-0-0",
        "kept",
    )
    assert len(judge) == 3


def test_heuristics_come_before_heldout_before_output_before_similarity():
    judge = filter_with_seed(heldout=[SEED, "a map of Rome please"])
    assert judge.judge("a map of Rome please", ("", "")).reason == "banned"
    heldout = judge.judge(SEED, ("", ""))
    assert (heldout.stage, heldout.reason, heldout.nearest_id) == ("heuristics", "heldout", "seed-1")
    judge = filter_with_seed()
    late = judge.judge(SEED, ("", ""))
    assert (late.stage, late.reason, late.max_rouge_l) == ("output", "no_output", 1.0)
    assert judge.judge(SEED, ("", "Blue, green, grey")).reason == "similar"


def test_heldout_drops_above_seven_tenths_only_and_is_never_the_nearest():
    judge = Filter(0.85, "rouge", heldout=["a1 a2 a3 a4 a5 a6 a7 a8 a9 a10"])
    assert judge.judge("a1 a2 a3 a4 a5 a6 a7 b8 b9 b10") == Judgement("kept")
    assert judge.judge("a1 a2 a3 a4 a5 a6 a7 a8 b9 b10") == Judgement("dropped", "heuristics", "heldout")
    assert len(judge) == 0


def test_a_cut_candidate_is_dropped_as_truncated_before_it_is_compared():
    judge = filter_with_seed()
    assert judge.judge(SEED, truncated=True).reason == "truncated"
    assert judge.judge(SEED, truncated=True).stage == "heuristics"
    assert judge.judge("Name three", truncated=True).reason == "short"
    whole = judge.judge(SEED, ("", ""), truncated=True)
    assert (whole.stage, whole.reason) == ("output", "truncated")
    assert judge.judge_output("Say hello", "", "Hel", truncated=True) == "truncated"


def test_an_exact_copy_of_a_completed_task_is_a_duplicate():
    judge = filter_with_seed(1.0)
    judge.complete(SEED, "", "Blue, green, grey")
    assert judge.judge_output(SEED + " ", "\n", "Blue, green, grey") == "duplicate"
    assert judge.judge(SEED, ("", "Blue, green, grey")).reason == "duplicate"
    assert judge.judge_output(SEED, "", "Blue, green") is None
    assert judge.judge_output(SEED, "at night", "Blue, green, grey") is None


def test_without_tokens_only_the_exact_copy_is_seen():
    task = ("이 문장을 영어로 번역해 주세요", "", "안녕")
    judge = Filter(0.85, "unicode")
    judge.add(task[0], "k", "kept")
    assert judge.judge(task[0]).reason == "similar"
    assert lost_all_tokens(task[0], "rouge")
    assert not lost_all_tokens(task[0], "unicode")
    assert not lost_all_tokens("...!", "rouge")
    assert not lost_all_tokens("", "rouge")
    assert not lost_all_tokens("ok 번역", "rouge")


def test_a_later_drop_keeps_the_evidence():
    kept = Judgement("kept", None, None, 0.6, "seed-1", "seed")
    assert kept.dropped("output", "echo") == Judgement("dropped", "output", "echo", 0.6, "seed-1", "seed")


instructions = st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta", "map", "번역"]), max_size=7).map(" ".join)


@given(st.lists(instructions, max_size=15), st.sampled_from([0.3, 0.5, 0.7, 0.85, 1.0]))
def test_every_verdict_is_consistent_with_its_evidence(candidates, threshold):
    judge = Filter(threshold, "rouge")
    for number, text in enumerate(candidates):
        judgement = judge.judge(text)
        assert (judgement.verdict == "kept") == (judgement.reason is None) == (judgement.stage is None)
        assert (judgement.max_rouge_l is None) == (judgement.nearest_id is None) == (judgement.nearest_source is None)
        if judgement.max_rouge_l is not None:
            assert judgement.max_rouge_l >= 0.5
            assert judgement.max_rouge_l <= threshold or judgement.verdict == "dropped"
        if judgement.verdict == "kept":
            judge.add(text, str(number), "kept")

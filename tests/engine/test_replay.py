"""Replay against a plain recount with rouge-score, and against the run that made the log."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from sedi_engine.replay import NEVER_DROPS, Replay, pool_curve, replay, saving
from store.database import Store
from store.replays import LoggedCall, LoggedCandidate, ReplayLog, rows_for_replay
from tests.story import Story

SCORER = rouge_scorer.RougeScorer(["rougeL"])

words = st.sampled_from(["the", "cat", "ran", "far", "home", "é"])
texts = st.lists(words, min_size=1, max_size=6).map(" ".join)
thresholds = st.sampled_from([0.3, 0.5, 2 / 3, 0.7, 0.8, 0.85, 1.0])
fates = st.sampled_from([None, None, None, "heuristics", "output"])
amounts = st.integers(0, 50)


@st.composite
def logs(draw: st.DrawFn) -> tuple[ReplayLog, float]:
    """What a run at some threshold would have logged of random replies, judged by a plain loop; and the threshold."""
    threshold, form = draw(thresholds), draw(st.sampled_from(["instruction", "whole_task"]))
    pool = draw(st.lists(texts, max_size=3))
    log = ReplayLog(tuple(pool), ())
    calls = []
    for index, reply in enumerate(draw(st.lists(st.lists(st.tuples(texts, fates, amounts), max_size=4), max_size=5))):
        made = []
        for position, (text, fate, amount) in enumerate(reply):
            stage, passed = judged(pool, text, fate, form, threshold)
            if passed:
                pool.append(text)
            paid = amount if passed and form == "instruction" else 0
            made.append(LoggedCandidate(f"{index}-{position}", text, stage, None, paid, paid / 8))
        tokens = draw(amounts)
        calls.append(LoggedCall(index, form, tokens, tokens / 8, tuple(made)))
    return replace(log, calls=tuple(calls)), threshold


def judged(pool: list[str], text: str, fate: str | None, form: str, threshold: float) -> tuple[str | None, bool]:
    """Stage of the drop (None if kept), and whether the text joins the pool."""
    if fate == "heuristics" or (fate == "output" and form == "whole_task"):
        return fate, False
    if any(SCORER.score(other, text)["rougeL"].fmeasure > threshold for other in pool):
        return "similarity", False
    return fate, True


def recount(log: ReplayLog, threshold: float) -> tuple[list[str], int]:
    """Ids kept and number dropped as similar, by comparing each text with the whole pool."""
    pool, kept, similar = list(log.seed_instructions), [], 0
    for call in log.calls:
        for candidate in call.candidates:
            fate = None if candidate.stage == "similarity" else candidate.stage
            stage, passed = judged(pool, candidate.instruction, fate, call.stage, threshold)
            pool += [candidate.instruction] * passed
            kept += [candidate.candidate_id] * (stage is None)
            similar += stage == "similarity"
    return kept, similar


def at(logged: tuple[ReplayLog, float], threshold: float) -> Replay:
    return replay(logged[0], threshold, logged[1], "rouge")


@given(logs(), thresholds)
def test_replay_is_a_plain_recount(logged: tuple[ReplayLog, float], threshold: float):
    replayed = at(logged, threshold)
    assert (list(replayed.kept_ids), replayed.dropped_similar) == recount(logged[0], threshold)
    whole = all(call.stage == "whole_task" for call in logged[0].calls)
    assert replayed.exact == (threshold <= logged[1] or (whole and threshold < NEVER_DROPS))


@given(logs())
def test_at_its_own_threshold_a_run_is_what_it_was(logged: tuple[ReplayLog, float]):
    log, threshold = logged
    replayed = at(logged, threshold)
    candidates = [candidate for call in log.calls for candidate in call.candidates]
    assert list(replayed.kept_ids) == [one.candidate_id for one in candidates if one.stage is None]
    assert replayed.dropped_similar == sum(one.stage == "similarity" for one in candidates)
    assert sum(call.completion_tokens for call in replayed.calls) == sum(
        call.completion_tokens + sum(one.output_tokens for one in call.candidates) for call in log.calls
    )


@given(logs(), thresholds, st.integers(1, 20))
def test_the_curve_adds_up(logged: tuple[ReplayLog, float], threshold: float, points: int):
    replayed = at(logged, threshold)
    curve = pool_curve(replayed, points)
    assert len(curve) <= points
    assert [point.judged for point in curve] == sorted({point.judged for point in curve})
    for point in curve:
        calls = replayed.calls[: next(n for n in range(len(replayed.calls) + 1) if seen(replayed, n) == point.judged)]
        assert point.kept == sum(call.kept for call in calls)
        assert point.pool == replayed.start_pool + sum(call.passed for call in calls)
        if point.kept:
            assert math.isclose(point.usd_per_kept * 8, point.completion_tokens_per_kept)
    if curve:
        assert (curve[-1].judged, curve[-1].kept) == (seen(replayed, len(replayed.calls)), replayed.kept)


def seen(replayed: Replay, calls: int) -> int:
    return sum(call.judged for call in replayed.calls[:calls])


@given(logs(), thresholds, thresholds)
def test_saving_compares_the_cost_of_equally_many_kept(logged: tuple[ReplayLog, float], one: float, other: float):
    of, over = at(logged, one), at(logged, other)
    saved = saving(of, over)
    assert saved.kept == over.kept
    assert (saved.share is not None) <= (of.kept >= over.kept > 0)
    same = saving(over, over).share
    assert same is None or same == 0


def log_of(*texts: str, tokens: int = 10) -> ReplayLog:
    """One whole-task call a text, each with nothing but a list's tokens to pay."""
    made = [LoggedCandidate(str(at), text, None, None, 0, 0.0) for at, text in enumerate(texts)]
    return ReplayLog((), tuple(LoggedCall(at, "whole_task", tokens, None, (one,)) for at, one in enumerate(made)))


def test_kept_is_not_monotone_in_the_threshold():
    """The second is 0.75 from the first: where it is kept it blocks the two that are near it alone."""
    log = log_of(
        "a b c d e f g h i j k l m n o p",
        "a b c d e f g h i j k l w x y z",
        "1 2 3 d e f g h i j k l w x y z",
        "a b c d e f g h i 4 5 6 w x y z",
    )
    tight, loose = (replay(log, threshold, 1.0, "rouge") for threshold in (0.70, 0.75))
    assert tight.kept_ids == ("0", "2", "3")
    assert loose.kept_ids == ("0", "1")


def test_saving_is_measured_in_tokens_where_money_is_unknown_or_nothing():
    log = log_of("a b c d", "a b c e", "f g h i", "j k l m")
    run, tight = replay(log, 0.8, 0.8, "rouge"), replay(log, 0.7, 0.8, "rouge")
    assert (run.kept, tight.kept) == (4, 3)
    assert saving(run, tight).share == pytest.approx(1 - 30 / 40)
    assert saving(run, tight).measure == "completion_tokens"
    assert saving(tight, run).share is None, "0.7 never keeps four"


def test_the_log_of_a_stored_run_counts_every_attempt_and_leaves_edits_out(store: Store):
    story = Story()
    story.begin(store, ("s1", "s2"))
    story.tell(
        store,
        story.call(0, error="timeout", raw_reply=None, completion_tokens=3),
        story.call(0, attempt=1),
        story.call(0, "output", 0, completion_tokens=7),
        story.call(0, "output", 2, completion_tokens=5, cost_usd=None),
        story.judged(0, story.candidate(0, 0), story.candidate(0, 1, "similar"), story.candidate(0, 2, "no_output")),
        story.call(1),
        story.judged(1, missing=4),
        story.call(2),
        story.judged(9, story.candidate(9, 0, origin="edit", parent_id="r1-0-0")),
    )
    log = store.read(rows_for_replay, "r1")
    assert log.seed_instructions == ("Say s1 aloud", "Say s2 aloud")
    assert [(call.call_index, call.completion_tokens, call.cost_usd) for call in log.calls] == [
        (0, 13, 1.0),
        (1, 10, 0.5),
    ]
    outputs = [(one.stage, one.output_tokens, one.output_usd) for one in log.calls[0].candidates]
    assert outputs == [(None, 7, 0.5), ("similarity", 0, 0.0), ("output", 5, None)]
    replayed = replay(log, 0.85, 0.85, "rouge")
    assert [call.cost_usd for call in replayed.calls] == [None, 0.5], "an unknown price stays unknown"

"""Estimates: ordered ends, honest about prices and caps, and close to what an equal run took before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.config import RunConfig
from sedi_engine.estimate import Estimate, Range, estimate
from sedi_engine.seeds import library_seeds
from store.database import Store
from store.estimates import History, RunFigures, history
from tests.story import Story

ENDPOINT = {"generator.kind": "endpoint", "generator.base_url": "http://localhost/v1"}
PRICES = {"generator.price_in_usd_per_mtok": 0.5, "generator.price_out_usd_per_mtok": 1.5}
STREAM = {"generator.kind": "stream", "generator.stream_path": "x.jsonl", "feedback.mode": "off"}

sources = st.sampled_from([{}, STREAM, {**ENDPOINT, **PRICES}, {**ENDPOINT, "generator.prompt_form": "whole_task"}])
counts = st.integers(1, 10_000)
figures = st.builds(
    RunFigures,
    run_id=st.just("r"),
    train_model=st.sampled_from(["embedded", "other"]),
    asked=counts,
    kept=counts,
    list_tokens=st.integers(0, 10_000),
    output_calls=st.integers(0, 10_000),
    output_tokens=st.integers(0, 10_000),
    generate_s=st.floats(0, 1e4),
    train_s=st.floats(0, 1e4),
    trained=st.integers(0, 10_000),
)
histories = st.none() | st.builds(History, runs=st.lists(figures, min_size=1, max_size=3).map(tuple))
caps = st.fixed_dictionaries(
    {},
    optional={
        "budget.max_calls": st.integers(0, 2000),
        "budget.max_tokens": st.integers(0, 10**6),
        "budget.max_minutes": st.floats(0.01, 100),
    },
)


def ranges(one: Estimate) -> list[Range]:
    found = [one.kept, one.calls, one.prompt_tokens, one.completion_tokens, one.seconds]
    return found if one.cost_usd is None else [*found, one.cost_usd]


def of(settings: dict, past: History | None = None, preset: str = "quick") -> Estimate:
    return estimate(RunConfig.load(preset, settings), library_seeds(), past)


@given(sources, caps, histories)
def test_ends_are_in_order_and_nothing_goes_beyond_a_cap(source: dict, cap: dict, past: History | None):
    made, free = of({**source, **cap}, past), of(source, past)
    for one in ranges(made):
        assert 0 <= one.low <= one.likely <= one.high
    high = {
        "budget.max_calls": made.calls.high,
        "budget.max_tokens": max(made.prompt_tokens.high, made.completion_tokens.high),
        "budget.max_minutes": made.seconds.high / 60,
    }
    for name, limit in cap.items():
        assert high[name] <= limit * (1 + 1e-9)
    for one, other in zip(ranges(made), ranges(free), strict=True):
        assert one.likely <= other.likely
    assert made.capped_by is None or f"budget.{made.capped_by}" in cap
    assert (made.capped_by is None) == (made.kept.likely == free.kept.likely)


@given(sources, histories, st.integers(1, 50), st.integers(1, 50))
def test_more_windows_take_more(source: dict, past: History | None, few: int, more: int):
    small, large = of({**source, "iterations": few}, past), of({**source, "iterations": few + more}, past)
    assert small.kept.likely == few * 16
    for one, other in zip(ranges(small), ranges(large), strict=True):
        assert one.likely <= other.likely
    assert small.calls.likely < large.calls.likely


def test_money_is_unknown_without_prices_and_nothing_for_what_costs_nothing():
    assert of(ENDPOINT).cost_usd is None
    assert of({}).cost_usd == of(STREAM).cost_usd == Range(0, 0, 0)
    made = of({**ENDPOINT, **PRICES})
    expected = (made.prompt_tokens.likely * 0.5 + made.completion_tokens.likely * 1.5) / 1e6
    assert made.cost_usd.likely == pytest.approx(expected)


def test_a_cap_that_will_stop_the_run_is_named():
    made = of({**ENDPOINT, **PRICES, "iterations": 1000, "budget.max_usd": 0.01, "budget.max_calls": 10**6})
    assert made.capped_by == "max_usd"
    assert made.cost_usd.high <= 0.01 * (1 + 1e-9)
    assert made.kept.likely < 16_000
    assert of({"budget.max_calls": 0}).calls == Range(0, 0, 0)


def test_no_training_takes_no_training_time_and_a_stream_no_tokens():
    assert of({"train.model": "none"}).seconds.high < of({}).seconds.high
    assert of(STREAM).completion_tokens == of(STREAM).prompt_tokens == Range(0, 0, 0)


def test_a_longer_prompt_is_seen():
    few, many = of({"demos.count": 1}), of({"demos.count": 12})
    assert many.prompt_tokens.likely > 1.5 * few.prompt_tokens.likely


def test_an_earlier_run_foretells_its_repetition(store: Store):
    assert store.read(history, RunConfig().generator.model_dump()) is None
    story = Story()
    story.begin(store)
    kept = [story.candidate(index, at) for index in range(4) for at in range(4)]
    dropped = [story.candidate(index, at, "similar") for index in range(4) for at in range(4, 8)]
    story.tell(store, story.phase("loading", 0.0), story.phase("generate", 5.0))
    for index in range(4):
        outputs = [story.call(index, "output", at, completion_tokens=60) for at in range(4)]
        made = [one for one in (*kept, *dropped) if one.call_index == index]
        story.tell(store, story.call(index, completion_tokens=160), *outputs, story.judged(index, *made))
    names = [one.candidate_id for one in kept]
    windows = [tuple(names[at : at + 4]) for at in range(0, 16, 4)]
    steps = [story.step(1, number, *members) for number, members in enumerate(windows, 1)]
    story.tell(store, story.phase("embed", 69.0), story.composed(1, *windows), *steps, story.finished(1, tuple(names)))
    past = store.read(history, RunConfig().generator.model_dump())
    assert past is not None
    (run,) = past.runs
    assert (run.asked, run.kept, run.output_calls, run.trained, run.train_s) == (32, 16, 16, 16, 8.0)
    assert (run.list_tokens, run.output_tokens, run.generate_s) == (640, 960, 64.0)
    made = of({}, past)
    assert (made.calls.likely, made.completion_tokens.likely) == (20, 1600)
    assert made.seconds.low < 64 + 8 < made.seconds.high
    assert "1 earlier run with" in made.basis
    for other in ({"model": "larger"}, {"kind": "endpoint"}, {"prompt_form": "whole_task"}, {"base_url": "http://x"}):
        assert store.read(history, {**RunConfig().generator.model_dump(), **other}) is None

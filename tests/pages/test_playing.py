"""A run plays: what is drawn at each moment, between axes that stay, and where the address says to be."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from pages.ui import training_charts
from pages.ui.playing import PARTS, Moment
from sedi_engine.service import Service
from store import runs, training
from tests.pages.builder import begin, explored
from tests.pages.conftest import ROOT
from tests.story import Story

windows = st.integers(0, 4)
moments = st.builds(Moment, windows, st.just(4), st.one_of(st.just(math.inf), st.integers(-1, 20)))


def row(iteration: int, step: int, norm: float = 1.0) -> dict[str, Any]:
    nothing = dict.fromkeys(("grad_norm_detrended", "heldout_loss", *training_charts.OF_EXAMPLES))
    known = {"run_id": "r", "loss": 2.0, "grad_norm": norm, "response_tokens": 9, "superseded": False}
    return {**nothing, **known, "iteration": iteration, "step": step, "attractive": False}


@settings(deadline=None, max_examples=25)
@given(moments, st.sampled_from(["raw", "smoothed", "residual"]))
def test_the_curve_of_a_moment_is_the_beginning_of_the_whole_one(moment: Moment, form: str) -> None:
    rows = [row(1 + at // 5, 1 + at, norm=1 + at % 3) for at in range(20)]
    whole, shown = (training_charts.curves({"r": rows}, form, False, (), moment=one) for one in (None, moment))
    count = sum(moment.reached(one) for one in rows)
    for before, now in zip(whole.data[:3], shown.data[:3], strict=True):
        assert list(now.y) == list(before.y)[: len(now.y)]
    assert len(shown.data[0].x) == count
    if not moment.whole:
        low, high = shown.layout.xaxis.range
        assert (low, high) == (0.5, 20.5)


@given(moments)
def test_a_moment_holds_its_earlier_windows_and_none_later(moment: Moment) -> None:
    for iteration in range(1, 5):
        for step in range(20):
            reached = moment.reached({"iteration": iteration, "step": step})
            assert moment.whole or iteration >= moment.window or reached
            assert moment.whole or iteration <= moment.window or not reached


def open_at(page: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    if page != "overview":
        app.switch_page(f"pages/{page}.py")
    app.run()
    assert not app.exception
    return app


def steps_drawn(app: AppTest, place: int = 0) -> list[int]:
    drawn = json.loads(app.get("plotly_chart")[place].proto.spec)["data"][0]["x"]
    return list(drawn)


def test_a_window_in_the_address_is_as_far_as_the_curves_go(service: Service) -> None:
    explored(service.store)
    taken = [one["step"] for one in service.store.read(training.steps, "r1")]
    assert taken == list(range(1, 13))
    assert steps_drawn(open_at("training", training_iteration="2")) == taken[:8]
    assert steps_drawn(open_at("diversity", map_iteration="1"), 1) == taken[:4]
    assert steps_drawn(open_at("training")) == taken


@pytest.mark.parametrize("page", ["diversity", "training"])
def test_play_goes_from_the_start_a_few_steps_at_a_time_to_the_end_and_stops_on_a_press(
    service: Service, page: str
) -> None:
    explored(service.store, windows=2)
    name = {"diversity": "map"}.get(page, page)
    app = open_at(page)
    app.button(key=f"{name}_play").click().run()
    seen = []
    for _ in range(2 * (PARTS + 1) + 2):
        assert not app.exception
        seen.append((app.slider(key=f"{name}_iteration").value, app.session_state[f"{name}_playing"]))
        app.session_state[f"{name}_tick"] = True
        app.run()
    assert seen[0] == (0, (0, 0))
    assert seen[-1] == (2, None)
    assert [one for one in seen if one[1]] == sorted(one for one in seen if one[1])
    assert {window for window, _ in seen} == {0, 1, 2}
    app.button(key=f"{name}_play").click().run()
    app.button(key=f"{name}_play").click().run()
    assert app.session_state[f"{name}_playing"] is None
    assert not app.slider(key=f"{name}_iteration").disabled


def test_a_run_that_goes_on_is_not_played_on_training(service: Service) -> None:
    explored(service.store)
    service.store.write(runs.set_status, "r1", "running")
    assert "training_play" not in [button.key for button in open_at("training").button]


def test_a_run_without_training_plays_its_map_alone(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.maps, "update", lambda *args, **more: None)
    story = Story(**{"train.model": "none"})
    begin(service.store, story)
    service.store.write(runs.set_status, "r1", "completed")
    for part in ("The map", "Training"):
        app = open_at("overview", overview_present="true", overview_story=part)
        assert not app.get("plotly_chart")
        assert "overview_play" not in [button.key for button in app.button]

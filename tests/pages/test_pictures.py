"""Figures: the very same while nothing changed, another as soon as anything that they show does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import charts, mapping, pictures, training_charts
from pages.ui.mapping import View
from pages.ui.playing import Moment
from sedi_engine.service import Service
from store import decisions, maps, training, writer
from tests.pages.builder import explored
from tests.pages.conftest import Open
from tests.story import Story

WHOLE = {"form": "raw", "log": False, "lit": (), "moment": Moment(3, 3)}
OTHER: tuple[dict[str, Any], ...] = (
    {"form": "smoothed"},
    {"log": True},
    {"lit": (2,)},
    {"height": 340},
    {"moment": Moment(2, 3)},
    {"moment": Moment(2, 3, 6)},
    {"moment": None},
    {"large": True},
)


def test_a_figure_is_built_again_for_whatever_changes_it(service: Service) -> None:
    explored(service.store)

    def drawn(**more: Any) -> Any:
        # Rows that are equal, and not the same, as another read of the store gives them.
        rows = [dict(row) for row in service.store.read(training.steps, "r1")]
        return pictures.once(training_charts.curves, {"r1": rows}, **{**WHOLE, **more})

    whole = drawn()
    assert drawn() is whole
    assert whole == training_charts.curves({"r1": service.store.read(training.steps, "r1")}, **WHOLE)
    found = [drawn(**more) for more in OTHER]
    assert len({id(figure) for figure in (whole, *found)}) == 1 + len(OTHER)
    assert found[-1] == charts.enlarged(whole)


def test_the_map_is_built_again_for_whatever_changes_it(service: Service) -> None:
    explored(service.store)
    store = service.store.reader()
    rows = mapping.frame(store, "r1")
    of_map = {(window, large): pictures.still(store, "r1", rows, 400, window, large=large)
              for window in (None, 0, 1, 2) for large in (False, True)}  # fmt: skip
    assert len({id(one.figure) for one in of_map.values()}) == len(of_map)
    for (window, large), one in of_map.items():
        assert pictures.still(store, "r1", rows, 400, window, large=large).figure is one.figure
        assert set(one.drawn["since"]) <= set(range(99 if window is None else window + 1))
    of_step = [pictures.lit(store, "r1", rows, 400, step) for step in (1, 2)]
    assert of_step[0] is pictures.lit(store, "r1", rows, 400, 1) is not of_step[1]


def test_the_explored_map_is_built_again_for_each_view_and_window(service: Service) -> None:
    explored(service.store)
    store = service.store.reader()
    rows = mapping.frame(store, "r1")
    views = (View(), View("reason"), View(show="kept"), View(search="Task 1"), View(iteration=1), View(iteration=2))
    found = [pictures.explored(store, "r1", rows, view, (), 10_000) for view in views]
    assert len({id(one.figure) for one in found}) == len(views)
    assert [pictures.explored(store, "r1", rows, view, (), 10_000).figure for view in views] == [
        one.figure for one in found
    ]
    assert found[4].passes.sum() < found[5].passes.sum() < found[0].passes.sum()


def sent(app: AppTest) -> list[str]:
    return [chart.proto.spec for chart in app.run().get("plotly_chart")]


@pytest.mark.parametrize("page", ["diversity", "batches", "training"])
def test_a_rerun_sends_what_was_there_and_a_write_of_another_kind_too(show: Open, service: Service, page: str) -> None:
    explored(service.store)
    app = show(page)
    before = sent(app)
    assert before and sent(app) == before
    service.store.write(maps.add_vectors, ["reference:nowhere"], np.ones((1, 16), np.float32), "made up")
    assert sent(app) == before


def test_a_decision_its_undo_and_a_new_map_are_on_the_map_with_the_next_rerun(show: Open, service: Service) -> None:
    explored(service.store)
    app = show("diversity")
    before = sent(app)[0]
    assert "rejected (" not in before
    service.store.write(decisions.decide_candidates, ["r1-0-0"], "reject", "ana")
    assert "rejected (1)" in sent(app)[0]
    service.store.write(decisions.decide, "candidate:r1-0-0", "undo", "ana")
    assert sent(app)[0] == before
    places = service.store.read(maps.coordinates, service.store.read(maps.current)["version"])
    moved = np.array(list(places.values())) + 5.0
    service.store.write(maps.begin_version, list(places), moved, "umap", 0, 0.5, None)
    assert sent(app)[0] != before


def test_a_window_that_ends_is_on_the_curves_with_the_next_rerun(show: Open, service: Service) -> None:
    explored(service.store, windows=1)
    app = show("training")
    before = sent(app)[0]
    story = Story("r1")
    store = service.store
    step = story.step(2, 5, "r1-0-0")
    store.write(writer.take_in, [step.model_copy(update={"seq": 10_000})], events_of="r1")
    assert sent(app)[0] != before

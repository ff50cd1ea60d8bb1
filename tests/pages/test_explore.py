"""Map, batches and training: what they show of a run, and what they say when there is little or nonsense."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from pages.ui import focus, mapping, scatter, selected, training_charts
from pages.ui.record import difference
from sedi_engine.seeds import library_seeds
from sedi_engine.service import Service
from store import map_view, maps, runs
from store.database import Store
from store.events import StepDone, WindowFinished
from tests.pages.builder import SEEDS, begin, explored, window
from tests.pages.conftest import ROOT
from tests.story import Story

PAGES = ("diversity", "batches", "training")
Show = Callable[..., AppTest]


@pytest.fixture
def open_at(data) -> Show:
    """A page at an address with these parameters."""

    def open_page(page: str, **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        app.run()
        for name, value in query.items():
            app.query_params[name] = value
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
        return app

    return open_page


def texts(app: AppTest) -> str:
    return "\n".join(str(one.value) for one in (*app.text, *app.caption, *app.subheader))


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_store_says_what_to_do(open_at: Show, page: str) -> None:
    assert "Start the demo on Overview" in texts(open_at(page))


@pytest.mark.parametrize("page", PAGES)
def test_a_run_that_has_made_nothing_says_what_is_missing(
    open_at: Show, service: Service, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.maps, "update", lambda *args, **more: None)
    begin(service.store, Story(**{"train.model": "none"}))
    service.store.write(runs.set_status, "r1", "completed")
    app = open_at(page)
    if page != "diversity":
        assert "Next:" in texts(app)
    assert not app.get("plotly_chart")


def test_the_map_counts_what_it_draws_and_a_search_greys_the_rest(open_at: Show, service: Service) -> None:
    explored(service.store)
    assert "174 drawn of 174 on the map; 174 pass the filter." in texts(open_at("diversity"))
    assert "174 drawn of 174 on the map; 1 pass the filter." in texts(
        open_at("diversity", map_search=library_seeds()[5].instruction)
    )


def test_another_threshold_says_what_it_would_keep(open_at: Show, service: Service) -> None:
    explored(service.store)
    said = texts(open_at("diversity", map_threshold="1.0"))
    assert "At τ 1.00:" in said
    assert "an upper bound" in said
    assert "18 appear, 0 disappear" in said
    assert "(exact)" in texts(open_at("diversity", map_threshold="0.5"))


def test_a_task_in_the_address_is_shown_with_its_lineage_and_can_be_decided(open_at: Show, service: Service) -> None:
    explored(service.store)
    app = open_at("diversity", item="candidate:r1-0-2")
    said = texts(app)
    assert "Dropped at similarity: similar." in said
    assert "seeds in its prompt" in said
    assert any("[-" in code.value for code in app.code)
    app.button(key="map_rescue").click().run()
    assert not app.exception
    row = service.store.read(map_view.frame, "r1").set_index("ident").loc["r1-0-2"]
    assert row["status"] == "rescued"
    app.button(key="map_undo").click().run()
    assert service.store.read(map_view.frame, "r1").set_index("ident").loc["r1-0-2"]["status"] == "dropped"
    app.button(key="map_close").click().run()
    assert "item" not in app.query_params
    assert "Empty neighbourhoods" in texts(app)


def test_a_region_in_the_address_selects_what_lies_in_it_and_decides_it_together(
    open_at: Show, service: Service
) -> None:
    explored(service.store)
    app = open_at("diversity", region="-9,-9;9,-9;9,9;-9,9")
    assert "174 tasks selected" in texts(app)
    app.segmented_control(key="map_bulk_kind").select("flag").run()
    app.button(key="map_bulk").click().run()
    assert not app.exception
    assert service.store.read(map_view.frame, "r1")["decision"].eq("flag").sum() == 144


def test_a_selection_of_more_than_is_listed_says_how_many_are(
    open_at: Show, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    explored(service.store)
    everything = {"region": "-9,-9;9,-9;9,9;-9,9"}
    assert "listed" not in texts(open_at("diversity", **everything))
    monkeypatch.setattr(selected, "ROWS_SHOWN", 20)
    app = open_at("diversity", **everything)
    assert "the first 20 listed" in texts(app)
    assert len(app.dataframe[0].value) == 20


@pytest.mark.parametrize("query", [{"step": "99"}, {"step": "x"}, {"region": "1;2"}, {"region": "nan,1;2,3;4,5"}])
def test_an_address_that_names_nothing_selects_nothing(open_at: Show, service: Service, query: dict[str, str]) -> None:
    explored(service.store, windows=1)
    for page in PAGES:
        assert "tasks selected" not in texts(open_at(page, **query))
    gone = texts(open_at("diversity", item="candidate:gone"))
    assert "There is no task 'candidate:gone' in this run." in gone


def test_a_batch_stands_beside_random_ones_and_says_why_it_won(open_at: Show, service: Service) -> None:
    explored(service.store)
    app = open_at("batches")
    assert app.selectbox(key="batches_select").value == 12, "the newest attractive one"
    said = texts(app)
    assert "200 random batches of 4 from the same 16 tasks of window 3." in said
    assert "Its gradient norm is number 1 of 4 in window 3." in said
    assert "number 3 of 4" in texts(open_at("batches", step="6"))


def test_a_norm_that_is_no_number_is_said_and_left_out(open_at: Show, service: Service) -> None:
    explored(service.store)
    service.store.write(lambda cursor: cursor.execute("UPDATE step SET grad_norm = 'nan' WHERE step = 2") and None)
    for page in ("batches", "training"):
        app = open_at(page)
        assert app.get("plotly_chart")
    assert "1 steps have a gradient norm that is no number" in texts(app)


def test_a_step_in_the_address_shows_its_batch_under_the_curves(open_at: Show, service: Service) -> None:
    explored(service.store)
    assert "Batch of step 7" in texts(open_at("training", step="7"))
    assert "no batch of step 70" in texts(open_at("training", step="70"))


@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=3, max_size=200))
def test_a_region_goes_through_the_address(corners: list[tuple[float, float]]) -> None:
    read = focus.read(focus.write(tuple(corners)))
    assert 3 <= len(read) <= 2 * focus.MOST_CORNERS
    if len(corners) <= focus.MOST_CORNERS:
        assert np.allclose(read, corners, atol=10**-focus.DIGITS)


@given(st.text(max_size=60))
def test_an_address_of_any_text_is_a_region_or_none(text: str) -> None:
    assert focus.read(text) == () or len(focus.read(text)) >= 3


def test_inside_a_lasso_is_inside_also_where_it_is_hollow() -> None:
    horseshoe = ((0, 0), (3, 0), (3, 3), (2, 3), (2, 1), (1, 1), (1, 3), (0, 3))
    x, y = np.meshgrid([0.5, 1.5, 2.5, 3.5], [0.5, 2.0])
    found = focus.inside(x.ravel(), y.ravel(), horseshoe)
    assert found.tolist() == [True, True, True, False, True, False, True, False]


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_difference_holds_every_word_of_both_texts(before: str, after: str) -> None:
    said = difference(before, after)
    for word in before.split() + after.split():
        assert word in said


def test_the_figure_escapes_every_text_and_draws_no_more_than_it_may(service: Service) -> None:
    hostile = "<span style=\"background:url('http://x.invalid')\">x</span>\u202e\x00" + "long " * 99
    explored(service.store, texts=(hostile,))
    rows = mapping.frame(service.store, "r1")
    few = mapping.drawn(rows, np.ones(len(rows), dtype=bool), (rows["step"] == 3).fillna(False).to_numpy(), 30)
    assert len(few) == 30
    assert (few["step"] == 3).sum() == 4
    for svg in (False, True):
        figure = scatter.figure(scatter.layers(few, np.ones(30, dtype=bool), "status"), (), None, svg=svg)
        assert {trace.type for trace in figure.data} == {"scatter" if svg else "scattergl"}
        hover = "".join(text for trace in figure.data for text in trace.text)
        assert "<" not in hover
        assert "\u202e" not in hover
        assert sum(len(trace.x) for trace in figure.data) == 30


@pytest.mark.parametrize("colour", list(mapping.COLOURS))
def test_every_colouring_draws_every_row_once(service: Service, colour: str) -> None:
    explored(service.store)
    rows = mapping.frame(service.store, "r1")
    passes = (rows["since"] <= 1).to_numpy()
    drawn = scatter.layers(rows, passes, colour)
    assert sorted(at for layer in drawn for at in layer.rows.index) == list(rows.index)
    assert drawn[0].name == scatter.CONTEXT


def test_the_training_page_says_what_ifd_cost_or_how_to_have_it(service, open_at) -> None:
    story = explored(service.store)
    assert "IFD was not measured" in texts(open_at("training", training_norm="IFD"))
    service.store.write(
        lambda cursor: cursor.execute("UPDATE step SET ifd_seconds = 0.5 WHERE run_id = ?", [story.run_id])
    )
    page = texts(open_at("training", training_norm="IFD"))
    assert "Measuring IFD took 6.0 s of 24.0 s of training: 33% on top." in page


def test_the_norm_and_the_signals_invent_no_number() -> None:
    rows = [
        {"grad_norm": value, "grad_norm_detrended": None, "response_tokens": tokens}
        | dict.fromkeys(training_charts.OF_EXAMPLES, value)
        for value, tokens in ((1.0, 10), (float("nan"), 20), (3.0, 30), (2.0, 40))
    ]
    for form in training_charts.NORMS:
        assert training_charts.norm_values(rows, form)[1] is None
    assert training_charts.norm_values(rows, "smoothed")[0] == 1.0
    assert training_charts.norm_values(rows, "detrended") == [None] * 4


def plain_steps(number: int) -> list[dict[str, object]]:
    return [
        {"run_id": "r1", "step": n, "iteration": 1, "loss": 2.0, "heldout_loss": None, "grad_norm": 1.0,
         "grad_norm_detrended": 0.0, "response_tokens": 9, "superseded": False, "attractive": n == 3}
        for n in range(1, number + 1)
    ]  # fmt: skip


@pytest.mark.parametrize("many", [2, training_charts.MOST_RINGED, training_charts.MOST_RINGED + 1, 120])
def test_every_step_that_is_looked_at_is_marked_on_both_curves(many: int) -> None:
    lit = range(121 - many, 121)
    drawn = training_charts.curves({"r1": plain_steps(120)}, "raw", False, lit)
    ringed = [set(one.x) for one in drawn.data if one.name == "looked at"]
    rugs = [
        {int(tick.partition(",")[0]) for tick in one.path.split("M")[1:]} for one in drawn.layout.shapes if one.path
    ]
    assert ringed + rugs == [set(lit), set(lit)]
    assert bool(rugs) == (many > training_charts.MOST_RINGED)


def test_a_step_that_the_run_does_not_have_is_not_marked() -> None:
    runs = {"r1": plain_steps(12)}
    assert training_charts.curves(runs, "raw", False, (10**8,)) == training_charts.curves(runs, "raw", False, ())
    beside = training_charts.curves(runs, "raw", False, (5, 10**8))
    assert beside == training_charts.curves(runs, "raw", False, (5,)) and beside.layout.shapes


def spoilt(store: Store, what: str) -> None:
    """A run of which there is little, or nothing to compare."""
    story = Story(**({"train.model": "none"} if what == "no training" else {}))
    begin(store, story)
    if what == "one record":
        story.tell(store, story.call(0, demo_seed_ids=SEEDS[:3]), story.judged(0, story.candidate(0, 0)))
    elif what == "no training":
        trained = (StepDone, WindowFinished)
        story.tell(store, *(event for event in window(story, 1) if not isinstance(event, trained)))
    else:
        story.tell(store, *window(story, 1))
    store.write(runs.set_status, "r1", "completed")
    subjects = [row["subject"] for row in store.read(maps.without_vector, "r1")]
    if what == "three points":
        subjects = [subject for subject in subjects if subject.startswith("candidate:")][:3]
    vectors = np.tile(np.float32([1, 0, 0]), (len(subjects), 1))
    places = np.zeros((len(subjects), 2)) if what == "all alike" else np.eye(len(subjects), 2)
    store.write(maps.add_vectors, subjects, vectors, "made up")
    store.write(maps.begin_version, subjects, places, "pca", 0, 0.0, None)


@pytest.mark.parametrize("what", ["one record", "all alike", "three points", "no training"])
def test_of_little_or_of_what_is_all_alike_every_screen_shows_the_rest(
    open_at: Show, service: Service, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.maps, "update", lambda *args, **more: None)
    spoilt(service.store, what)
    app = open_at("diversity", region="-9,-9;9,-9;9,9;-9,9")
    assert "drawn of" in texts(app)
    assert "principal components (too few points for UMAP)" in texts(app)
    for colour, label in mapping.COLOURS.items():
        app = open_at("diversity", map_color=label)
        assert app.selectbox(key="map_color").value == colour
        assert app.get("plotly_chart")
    batches, training = texts(open_at("batches")), texts(open_at("training"))
    if what == "one record":
        assert "No batch of this run is composed yet." in batches
        assert "No batch of this run was trained." in training
    elif what == "no training":
        assert "not trained yet" in batches
        assert "A window is ranked once its batches are trained" in batches
        assert "This run does not train" in training
    elif what == "all alike":
        assert "200 random batches" in batches
    for part in ("The loop", "The filter", "The map", "Training", "Seeds"):
        open_at("overview", overview_present="true", overview_story=part)


def test_a_batch_whose_norm_is_no_number_says_so_and_leaves_the_others_ranked(open_at: Show, service: Service) -> None:
    explored(service.store, windows=1)
    service.store.write(lambda cursor: cursor.execute("UPDATE step SET grad_norm = 'nan' WHERE step = 2") and None)
    said = texts(open_at("batches", step="2"))
    assert "gradient norm no number" in said
    assert "it has no place among the others" in said
    assert "is number 1 of 3 in window 1" in texts(open_at("batches", step="4"))

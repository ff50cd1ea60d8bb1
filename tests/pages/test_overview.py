from __future__ import annotations

import pytest

from sedi_engine.service import Service
from store import runs
from tests.pages.builder import begin, explored, in_review, window
from tests.pages.conftest import Open
from tests.story import Story


def texts(app) -> str:
    return "\n".join(str(one.value) for one in app.text) + "\n".join(str(one.proto.body) for one in app.get("html"))


def test_an_empty_store_offers_the_demo_and_a_recorded_run_and_nothing_else(show: Open) -> None:
    app = show()
    assert [button.key for button in app.button] == ["overview_start_demo", "overview_open_recording"]
    assert app.button(key="overview_start_demo").proto.type == "primary"
    assert not app.selectbox


def test_the_picture_carries_the_numbers_of_the_run(show: Open, service: Service) -> None:
    story = in_review(service)
    summary = service.store.read(runs.summary, story.run_id)
    picture = show().get("html")[0].proto.body
    for name in ("asked", "parsed", "kept", "batches"):
        assert f">{name}</div>" in picture
        assert f">{summary[name]:,}</div>" in picture


def test_a_run_in_review_leads_to_the_seeds(show: Open, service: Service) -> None:
    in_review(service)
    app = show()
    assert "4 of the proposals of window 1 are undecided." in texts(app)
    assert app.get("page_link")


def test_both_curves_are_drawn_once_there_is_enough(show: Open, service: Service) -> None:
    story = Story()
    begin(service.store, story)
    story.tell(service.store, *window(story, 1)[:4])
    assert not show().get("plotly_chart")
    story.tell(service.store, *window(story, 2, calls=12))
    assert len(show().get("plotly_chart")) == 2


@pytest.mark.parametrize("status", ["failed", "interrupted", "paused", "cancelled", "stalled", "exhausted"])
def test_every_end_is_told_with_its_next_step(show: Open, service: Service, status: str) -> None:
    story = Story()
    begin(service.store, story)
    error = ("The disk is full.", "Free some space.") if status == "failed" else (None, None)
    service.store.write(runs.set_status, story.run_id, status, *error)
    said = texts(show())
    assert "Next:" in said
    assert status != "failed" or ("The disk is full." in said and "Free some space." in said)


def test_without_an_address_the_newest_run_is_shown_and_with_one_that_run(show: Open, service: Service) -> None:
    for name in ("r1", "r2"):
        begin(service.store, Story(name), "completed")
    assert show().selectbox(key="overview_run").value == "r2"
    assert show(run="r1").selectbox(key="overview_run").value == "r1"


def test_the_chosen_run_goes_along_to_another_page(show: Open, service: Service) -> None:
    for name in ("r1", "r2"):
        begin(service.store, Story(name), "completed")
    app = show()
    app.selectbox(key="overview_run").select("r1").run()
    assert app.query_params["run"] == "r1"
    app.switch_page("pages/seeds.py").run()
    assert app.selectbox(key="seeds_run").value == "r1"


def test_the_presentation_tells_every_part_and_offers_nothing_that_spends(show: Open, service: Service) -> None:
    explored(service.store)
    app = show()
    app.button(key="overview_present").click().run()
    for part, said in (
        ("The loop", "tasks kept"),
        ("The filter", "Kept of the same candidates"),
        ("Seeds", "proposals were accepted"),
    ):
        app.segmented_control(key="overview_story").select(part).run()
        assert not app.exception
        assert said in texts(app)
        assert [button.key for button in app.button] == ["overview_leave"]
    for part in ("The map", "Training"):
        app.segmented_control(key="overview_story").select(part).run()
        assert app.get("plotly_chart")
    app.button(key="overview_leave").click().run()
    assert app.button(key="overview_start_demo")


def test_the_recorded_run_opens_with_one_button_and_says_what_it_is(show: Open, service: Service) -> None:
    app = show()
    app.button(key="overview_open_recording").click().run()
    assert not app.exception
    assert "This run was recorded elsewhere" in texts(app)
    assert "3 of 3 iterations done" in texts(app)
    assert "Kept of the same candidates" in texts(app)
    for page in ("generate", "diversity", "batches", "training", "seeds", "runs"):
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
        assert "This run was recorded elsewhere" in texts(app)

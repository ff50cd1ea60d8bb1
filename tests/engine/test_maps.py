"""The map of a store, with the real embedding model and the real UMAP: made once, then only added to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sedi_engine import service as services
from sedi_engine.mapping.job import why_refit
from sedi_engine.service import Service
from store import maps, runs
from tests.pages.builder import begin, window
from tests.story import Story

DEADLINE_S = 240.0


@pytest.fixture
def service(folder) -> Iterator[Service]:
    made = services.Service(folder)
    yield made
    made.close()


def updated(service: Service, run_id: str, *, refit: bool = False) -> None:
    service.maps.update(run_id, refit=refit)
    assert service.maps.wait(DEADLINE_S)
    assert service.maps.progress.error is None
    assert service.store.read(maps.waiting, run_id) == 0


def test_what_comes_later_moves_nothing_and_a_refit_says_how_far_points_moved(service: Service) -> None:
    store, story = service.store, Story()
    begin(store, story)
    story.tell(store, *window(story, 1))
    updated(service, "r1")
    first = store.read(maps.current)
    assert (first["version"], first["method"], first["moved"]) == (1, "umap", None)
    assert first["anchors"] == first["records"] == first["now"] == store.read(maps.held, "r1")
    before = store.read(maps.coordinates, 1)

    story.tell(store, *window(story, 2))
    fresh = store.read(maps.waiting, "r1")
    assert fresh >= 48
    updated(service, "r1")
    after = store.read(maps.coordinates, 1)
    assert len(after) == len(before) + fresh
    assert {subject: after[subject] for subject in before} == before
    assert store.read(maps.current)["records"] == first["records"]

    updated(service, "r1", refit=True)
    refitted = store.read(maps.current)
    assert (refitted["version"], refitted["anchors"]) == (2, len(after))
    assert 0 < refitted["moved"] < 1.5
    assert store.read(maps.coordinates, 1) == {}


def test_a_map_that_is_broken_off_keeps_what_it_has_and_goes_on(service: Service) -> None:
    begin(service.store, Story())
    service.maps.update("r1")
    service.maps.close()
    assert service.store.read(maps.current) is None
    again = Service.__new__(Service)
    again.store, again.maps = service.store, type(service.maps)(service.store)
    service.maps = again.maps
    updated(again, "r1")
    assert again.store.read(maps.current)["now"] == again.store.read(maps.held, "r1")


def test_what_the_process_cannot_do_is_an_error_in_words(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sedi_engine.mapping.job.RANDOM_SEED", "no seed")
    begin(service.store, Story())
    service.maps.update("r1")
    assert service.maps.wait(DEADLINE_S)
    error = service.maps.progress.error
    assert error is not None
    assert "The map was not made" in error.message
    assert error.next_step
    assert service.store.read(maps.without_vector, "r1") == [], "its vectors are kept"
    assert service.store.read(runs.run_ids) == ["r1"]


@pytest.mark.parametrize(
    ("now", "distance", "offered"), [(200, None, False), (201, None, True), (120, 0.29, False), (120, 0.31, True)]
)
def test_a_refit_is_offered_when_the_map_is_outgrown(now: int, distance: float | None, offered: bool) -> None:
    current = {"now": now, "anchors": 100, "records": 100, "distance": distance, "spacing": 0.2}
    assert (why_refit(current) is not None) == offered

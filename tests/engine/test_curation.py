"""What a review is fed with: edits judged by the run's own filter, what lies near, and the settings of a store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.curation import settings as curation_settings
from sedi_engine.curation.differing import differing
from sedi_engine.curation.editing import edited
from sedi_engine.curation.settings import Curation, ReasonCode
from sedi_engine.curation.surroundings import NEAREST, Surroundings, background, places
from sedi_engine.errors import ConfigError, InputError, NotFoundError
from sedi_engine.service import Service
from store import edits
from tests.pages.builder import SEEDS, in_review, on_map


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = Service(tmp_path_factory.mktemp("data"))
    in_review(opened)
    on_map(opened.store, "r1")
    yield opened
    opened.close()


def test_an_edit_is_compared_with_everything_but_its_own_ancestors(service: Service) -> None:
    original = ("Task 0 0", "", "Done 0 0")
    same = edited(service.store, "r1-0-0", ("Name every river of the country in order", *original[1:]))
    assert (same.verdict, same.origin, same.parent_id) == ("kept", "edit", "r1-0-0")
    heard = service.store.write(edits.edit_candidate, same, "ana", None, None)
    assert heard.decision_id
    again = edited(service.store, "r1-0-0-e1", ("Name every river of the country in order", "", "Another answer"))
    assert again.verdict == "kept", "neither the original nor the first edit counts"
    seed = next(row for row in service.store.read(_seeds) if row["seed_id"] == SEEDS[0])
    copy = edited(service.store, "r1-0-0", (seed["instruction"], "", "Some answer"))
    assert (copy.verdict, copy.reason, copy.max_rouge_l, copy.nearest_id) == ("dropped", "similar", 1.0, SEEDS[0])


def _seeds(cursor) -> list[dict]:
    from store import seeds

    return seeds.of_run(cursor, "r1")


def test_an_edit_that_cannot_be_one_is_refused_in_words(service: Service) -> None:
    with pytest.raises(InputError, match="no instruction"):
        edited(service.store, "r1-0-0", ("  ", "", "x"))
    with pytest.raises(InputError, match="output has 100,000 characters; at most 20,000"):
        edited(service.store, "r1-0-0", ("Say it", "", "x" * 100_000))
    with pytest.raises(NotFoundError, match="no candidate 'nothing'"):
        edited(service.store, "nothing", ("Say it", "", "x"))


def test_the_nearest_are_the_nearest(service: Service) -> None:
    around = Surroundings.of_run(service.store, "r1")
    assert np.allclose(np.linalg.norm(around.vectors, axis=1), 1, atol=1e-5)
    some = [*around.subjects[:5], "candidate:unknown"]
    found = around.nearest(some)
    assert set(found) == set(some[:5])
    for subject, near in found.items():
        scores = around.vectors @ around.vectors[around.row[subject]]
        scores[around.row[subject]] = -2
        assert [score for _, score in near] == pytest.approx(sorted(scores, reverse=True)[:NEAREST], abs=1e-6)


def test_a_seed_is_no_news_to_itself_and_covers_itself(service: Service) -> None:
    around = Surroundings.of_run(service.store, "r1")
    novelty = dict(zip(*around.novelty(list(SEEDS)).to_pydict().values(), strict=True))
    assert novelty[f"seed:{SEEDS[0]}"] == pytest.approx(0, abs=1e-5)
    assert all(-1e-5 <= value <= 2 for value in novelty.values())
    assert len(around.novelty([])) == 0
    assert around.coverage([]) is None
    assert 0 <= around.coverage(list(SEEDS)) <= around.coverage([*SEEDS, "m-r1-0-0"]) <= 1


def test_places_and_background_are_of_the_map(service: Service) -> None:
    known = places(service.store, ["candidate:r1-0-0", "candidate:unknown"])
    assert known.keys() == {"candidate:r1-0-0"}
    assert {row["x"] for row in background(service.store, "r1")} >= {known["candidate:r1-0-0"][0]}


words = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8).map(" ".join)


@given(words, words)
def test_a_difference_holds_both_texts(before: str, after: str) -> None:
    parts = differing(before, after)
    assert " ".join(text for how, text in parts if how != "added").split() == before.split()
    assert " ".join(text for how, text in parts if how != "gone").split() == after.split()


def test_settings_are_kept_whole_and_faults_are_told(tmp_path: Path) -> None:
    assert curation_settings.load(tmp_path) == Curation()
    mine = Curation(guidelines='Be kind.\n"Quote"', overlap=2, reason_codes=(ReasonCode(code="why", label="because"),))
    curation_settings.save(tmp_path, mine)
    assert curation_settings.load(tmp_path) == mine
    for text, said in (("overlap = 99", "overlap is '99'"), ("colour = 1", "colour"), ("= x", "cannot be read")):
        (tmp_path / curation_settings.FILE).write_text(text)
        with pytest.raises(ConfigError, match=said):
            curation_settings.load(tmp_path)

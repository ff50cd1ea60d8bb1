"""The ledger on screen: a row chosen shows its seed in full, and what is taken away is safe and whole."""

from __future__ import annotations

import csv
import io
import json

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import saving, seed_family, seed_ledger
from sedi_engine.service import Service
from store import decisions, ledger
from tests.pages.builder import HOSTILE, SEEDS, begin, explored, in_review
from tests.story import Story


def page() -> None:
    from pages.ui import seed_ledger
    from sedi_engine import service

    seed_ledger.show(service.current(), "r1")
    seed_ledger.library(service.current(), "r1")


@pytest.fixture
def app(service: Service) -> AppTest:
    return AppTest.from_function(page, default_timeout=60)


def texts(app: AppTest) -> str:
    assert not app.exception
    return "\n".join(str(one.value) for one in (*app.text, *app.caption, *app.code))


def test_a_run_whose_prompts_showed_no_seed_says_so(app: AppTest, service: Service) -> None:
    begin(service.store, Story())
    assert "No seed has been in a prompt of this run" in texts(app.run())


def test_a_seed_that_is_chosen_is_shown_with_credit_drops_and_family(app: AppTest, service: Service) -> None:
    explored(service.store)
    app.run()
    table = app.dataframe[0].value
    assert list(table["seed"])[: len(SEEDS)] == list(SEEDS)
    assert table["share of the map"].sum() == pytest.approx(1)
    app.selectbox(key="seeds_ledger_seed").select(SEEDS[0]).run()
    said = texts(app)
    assert "144 parsed = 90 kept + 54 dropped; $0 per kept child." in said
    assert "0 seeds before it, 6 seeds after it" in said
    assert "and 85 more kept children" in said
    assert app.get("plotly_chart")


def test_the_family_goes_down_to_the_grandchildren(app: AppTest, service: Service) -> None:
    story = in_review(service)
    service.store.write(decisions.decide_proposal, "r1-promote-r1-0-0-1", "accept", "ada")
    service.store.write(decisions.apply, "r1", 2, True)
    child = story.candidate(6, 0, iteration=2)
    call = story.call(6, iteration=2, demo_seed_ids=("m-r1-0-0",))
    story.tell(service.store, call, story.judged(6, child, iteration=2))
    app.run()
    app.selectbox(key="seeds_ledger_seed").select(SEEDS[0]).run()
    assert "→ m-r1-0-0 [active, 1 children kept] Task 0 0" in texts(app)
    assert "· r1-6-0 Task 6 0" in texts(app)
    app.selectbox(key="seeds_ledger_seed").select("m-r1-0-0").run()
    assert f"← {SEEDS[0]} [active, 30 children kept" in texts(app)
    assert "Joined: window 2, by ada" in texts(app)
    rows = service.store.read(ledger.of_run, "r1")
    family = json.loads(seed_family.as_json(service, "r1", SEEDS[0], rows))["seeds"]
    assert [one["seed_id"] for one in family] == [SEEDS[0], "m-r1-0-0"]
    assert [len(one["kept_children"]) for one in family] == [30, 1]
    assert family[1]["made_of"] == "r1-0-0"


def test_hostile_texts_are_text_and_no_formula(app: AppTest, service: Service) -> None:
    in_review(service, texts=HOSTILE)
    service.store.write(decisions.decide_proposal, "r1-promote-r1-0-0-1", "accept", "=cmd()")
    service.store.write(decisions.apply, "r1", 2, True)
    app.run()
    app.selectbox(key="seeds_ledger_seed").select("m-r1-0-0").run()
    assert HOSTILE[0] in texts(app)
    for element in (*app.markdown, *app.caption):
        assert "<script>" not in element.value and "attacker" not in element.value
    rows = service.store.read(ledger.of_run, "r1")
    found = list(csv.DictReader(io.StringIO(saving.as_csv(seed_ledger.exported(rows, {})).decode())))
    assert len(found) == len(rows)
    assert found[-1]["promoted_by"] == "'=cmd()"
    assert {"dropped_similar", "dropped_short", "dropped_no_output"} <= set(found[0])


def test_the_library_says_which_of_its_seeds_the_run_has(app: AppTest, service: Service) -> None:
    explored(service.store)
    assert f"{len(SEEDS)} of the 175 accepted seeds of the library" in texts(app.run())

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from sedi_engine.service import Service
from store import blind, decisions, runs
from tests.engine.test_blind import LOSSES, trained
from tests.story import Story


def page() -> None:
    from pages.ui import blind, cards
    from sedi_engine import service
    from sedi_engine.curation.blind import make

    opened = service.current()
    cards.notice()
    blind.show(opened, "r1", lambda run_id, most, seed: make(opened.store, run_id, most, seed, "ada"))


def read_only() -> None:
    from pages.ui import blind
    from sedi_engine import service

    blind.show(service.current(), "r1", None)


@pytest.fixture
def app(service: Service) -> AppTest:
    return AppTest.from_function(page, default_timeout=60)


def texts(app: AppTest) -> str:
    assert not app.exception
    return "\n".join(str(one.value) for one in (*app.text, *app.caption))


def make(app: AppTest) -> AppTest:
    return next(one for one in app.button if one.label == "Make a test").click().run()


def test_a_run_without_a_window_is_refused_in_words(app: AppTest, service: Service) -> None:
    Story().begin(service.store)
    assert "has nothing to test" in texts(make(app.run()))


def test_nothing_tells_the_rule_until_enough_is_decided(app: AppTest, service: Service) -> None:
    trained(service.store, Story(**{"feedback.mode": "review"}), LOSSES)
    app.run()
    assert "no blind test yet" in texts(app)
    make(app)
    (test,) = service.store.read(blind.of_run, "r1")
    items = test["items"]
    assert f"0 of {items} items decided" in texts(app)
    for number, one in enumerate(service.store.read(blind.items, test["test_id"], "ada", 99)):
        assert not app.get("plotly_chart") and not app.dataframe, f"blind with {number} of {items} decided"
        service.store.write(decisions.decide, one["subject"], "accept" if number % 2 else "reject", "ada")
        app.run()
    said = texts(app)
    assert "a difference inside the intervals is no difference" in said
    assert app.get("plotly_chart")
    table = app.dataframe[0].value
    assert list(table["decided"]) == list(table["items"])


def test_who_may_not_make_a_test_gets_no_form(service: Service) -> None:
    trained(service.store, Story(**{"feedback.mode": "review"}), LOSSES)
    assert service.store.read(runs.get, "r1")
    app = AppTest.from_function(read_only, default_timeout=60).run()
    assert "no blind test yet" in texts(app)
    assert not app.button

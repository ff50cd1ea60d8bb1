from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from sedi_engine.service import Service
from store import decisions
from tests.pages.builder import explored


def page() -> None:
    from pages.ui import filter_quality
    from sedi_engine import service

    filter_quality.show(service.current(), "r1")


@pytest.fixture
def app(service: Service) -> AppTest:
    explored(service.store)
    return AppTest.from_function(page, default_timeout=60)


def texts(app: AppTest) -> str:
    assert not app.exception
    return "\n".join(str(one.value) for one in (*app.text, *app.caption))


def decide(service: Service, place: int, kind: str, calls: int, reason: str | None = None) -> None:
    for index in range(calls):
        service.store.write(decisions.decide, f"candidate:r1-{index}-{place}", kind, "ada", reason)


def test_labels_of_one_kind_say_nothing(app: AppTest, service: Service) -> None:
    decide(service, 2, "rescue", 3)
    said = texts(app.run())
    assert "0 right drops (confirmed by a rejection), 3 wrong drops (rescued)" in said
    assert "It takes labels of both kinds" in said
    assert not app.get("plotly_chart")


def test_few_labels_are_said_to_be_few_and_each_number_has_its_interval(app: AppTest, service: Service) -> None:
    decide(service, 2, "rescue", 4)
    for index in range(4, 10):
        service.store.write(decisions.decide, f"candidate:r1-{index}-2", "reject", "ada")
    decide(service, 0, "reject", 2, "near_copy")
    decide(service, 1, "accept", 5)
    said = texts(app.run())
    assert "6 right drops" in said and "2 missed" in said and "5 rightly kept" in said
    assert "Few labels: 8 near-copies and 9 others" in said
    table = app.dataframe[0].value.set_index("τ")
    assert table.loc["0.85", "precision"] == pytest.approx(0.6)
    assert table.loc["0.85", "recall"] == pytest.approx(0.75)
    assert table.loc["1", "95 % interval"] == ""
    assert app.get("plotly_chart")

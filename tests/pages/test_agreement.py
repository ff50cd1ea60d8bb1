from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.annotators import summary
from sedi_engine.service import Service
from store import decisions
from tests.pages.builder import explored

HOSTILE = "![x](http://attacker.test/x.png)<b>ada</b>"


def page() -> None:
    from pages.ui import agreement, annotators
    from sedi_engine import service

    agreement.show(service.current(), "r1")
    annotators.show(service.current(), "ada", left=30)


@pytest.fixture
def app(service: Service) -> AppTest:
    explored(service.store)
    return AppTest.from_function(page, default_timeout=60)


def texts(app: AppTest) -> str:
    assert not app.exception
    return "\n".join(str(one.value) for one in (*app.text, *app.caption))


def kept(service: Service, number: int) -> list[str]:
    query = "SELECT 'candidate:' || candidate_id FROM candidate WHERE verdict = 'kept' ORDER BY call_index, position"
    return [row[0] for row in service.store.read(lambda cursor: cursor.execute(query).fetchall())][:number]


def test_nobody_and_one_person_are_told_what_is_missing(app: AppTest, service: Service) -> None:
    said = texts(app.run())
    assert "Agreement needs two people" in said
    assert "ada: nothing decided yet. Team: 0 decided, 0 in the last hour. Left: 30." in said
    service.store.write(decisions.decide, kept(service, 1)[0], "accept", "ada")
    said = texts(app.run())
    assert "Agreement needs two people" in said
    assert "ada: 1 decided, 1 in the last hour, 1 today. Left: 30." in said, "one decision is no pace"


def test_few_items_give_no_number_and_enough_give_kappa_beside_credit(app: AppTest, service: Service) -> None:
    for at, subject in enumerate(kept(service, 20)):
        if at == 5:
            table = app.run().dataframe[0].value
            assert table["value"].isna().all() and "there are 5" in table["note"][0]
        for by in ("ada", HOSTILE):
            kind = "reject" if at % 3 == 0 and (by == "ada" or at % 2) else "accept"
            service.store.write(decisions.decide, subject, kind, by)
    app.run()
    said = texts(app)
    assert "2 people share 20 items that two or more of them decided." in said
    table = app.dataframe[0].value
    assert list(table["measure"]) == ["percent agreement", "Cohen’s κ"]
    assert table["value"].between(0, 1).all()
    disputed = app.dataframe[1].value
    assert set(disputed["of them disputed"]) == {4}
    assert app.get("plotly_chart")
    assert not any("attacker" in one.value for one in (*app.markdown, *app.caption))
    assert {"ada", HOSTILE, "everybody"} == set(app.dataframe[2].value["annotator"])


def test_three_people_are_measured_together_and_two_by_two(app: AppTest, service: Service) -> None:
    for at, subject in enumerate(kept(service, 12)):
        for by in ("ada", "bo", "cy"):
            service.store.write(decisions.decide, subject, "reject" if at % 2 and by != "cy" else "accept", by)
    table = app.run().dataframe[0].value
    assert list(table["annotators"])[:2] == ["all 3", "all 3"]
    assert set(table["annotators"][2:]) == {"ada and bo", "ada and cy", "bo and cy"}
    assert "Krippendorff’s α" in set(table["measure"])


def row_of(annotator: str, last_hour: int, median_s: float | None) -> dict[str, object]:
    return {"annotator": annotator, "decided": 900, "last_hour": last_hour, "today": 900, "median_s": median_s}


def test_what_is_left_has_no_time_without_a_pace() -> None:
    for last_hour, median_s in ((0, 6.0), (1, None)):
        said = summary([row_of("ada", last_hour, median_s)], "ada", 4)
        assert said == f"ada: 900 decided, {last_hour} in the last hour, 900 today. Left: 4."


def test_what_is_left_is_shared_by_those_who_decide_now_however_much_they_did_in_one_go() -> None:
    rows = [row_of("ada", 3, 6.0), row_of("bo", 60_000, 12.0), row_of("cy", 0, 1.0)]
    own = "ada: 900 decided, 3 in the last hour, 900 today."
    team = "Team: 2,700 decided, 60,003 in the last hour."
    assert summary(rows[:1], "ada", 100) == f"{own} Left: 100, 10 min 00 s at the usual pace."
    assert summary(rows, "ada", 100) == f"{own} {team} Left: 100, 6 min 40 s at the usual pace."

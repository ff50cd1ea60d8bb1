from __future__ import annotations

from itertools import product

import pytest

from sedi_engine.curation import settings as curation_settings
from sedi_engine.curation.settings import Curation
from sedi_engine.service import Service
from store import decisions, views
from store import seeds as library
from tests.pages.builder import begin, in_review
from tests.pages.conftest import Open
from tests.story import Story


def keys(app) -> list[str]:
    return [button.key for button in app.button]


def texts(app) -> str:
    return "\n".join(one.value for one in app.text)


def part(show: Open, name: str):
    app = show("seeds")
    app.session_state["seeds_part"] = name
    return app.run()


def proposals(show: Open):
    return part(show, "proposals")


def test_each_proposal_is_accepted_rejected_and_undone_by_itself(show: Open, service: Service) -> None:
    in_review(service)
    app = proposals(show)
    promote, evict = "r1-promote-r1-0-0-1", "r1-evict-own_003-1"
    app.button(key=f"seeds_accept_{promote}").click().run()
    app.button(key=f"seeds_reject_{evict}").click().run()
    standing = {row["proposal_id"]: row["decision"] for row in service.store.read(decisions.of_run, "r1")}
    assert (standing[promote], standing[evict]) == ("accept", "reject")
    app.button(key=f"seeds_undo_{promote}").click().run()
    standing = {row["proposal_id"]: row["decision"] for row in service.store.read(decisions.of_run, "r1")}
    assert (standing[promote], standing[evict]) == (None, "reject")
    assert f"seeds_accept_{promote}" in keys(app)


def test_evidence_and_sizes_are_in_words(show: Open, service: Service) -> None:
    in_review(service)
    app = proposals(show)
    assert "batch of step 4 has the window's highest grad norm, 4.00; window mean 2.50" in texts(app)
    assert "credit -0.40 (below 0 may leave)" in texts(app)
    assert "S holds 24 seeds (24 at the start)." in texts(app)
    app.button(key="seeds_accept_r1-promote-r1-0-0-1").click().run()
    assert "S holds 24 seeds (24 at the start); with the decisions so far it goes on with 25." in texts(app)


def test_the_way_on_says_what_the_undecided_do(show: Open, service: Service) -> None:
    in_review(service)
    app = proposals(show)
    assert "4 undecided: going on now, they do nothing." in texts(app)
    assert app.button(key="seeds_resume").proto.type == "secondary"
    for row in service.store.read(decisions.of_run, "r1"):
        service.store.write(decisions.decide_proposal, row["proposal_id"], "accept", "someone")
    app = proposals(show)
    assert "All are decided." in texts(app)
    assert app.button(key="seeds_resume").proto.type == "primary"


def library_table(app):
    return next(node for node in app.get_by_key("seeds_library") if node.type == "dataframe").value


def test_a_window_without_proposals_says_why(show: Open, service: Service) -> None:
    story = Story()
    begin(service.store, story, "completed")
    story.tell(service.store, story.finished(1, ("r1-0-0",), reason="feedback.mode is off."))
    assert "Window 1 proposed nothing: feedback.mode is off." in texts(proposals(show))


KINDS = ("accept", "reject", None)


@pytest.mark.parametrize("choice", [*product(KINDS, repeat=2)], ids=str)
def test_the_size_foretold_is_the_size_that_comes(service: Service, choice: tuple[str | None, ...]) -> None:
    in_review(service)
    for row in service.store.read(decisions.of_run, "r1"):
        kind = choice[row["kind"] == "evict"]
        if kind and row["rank"] % 2:
            service.store.write(decisions.decide_proposal, row["proposal_id"], kind, "someone")
    for _again in range(2):
        foretold = len(service.store.read(views.seeds_after, "r1"))
        service.store.write(decisions.apply, "r1", 2, True)
        active = [row for row in service.store.read(library.of_run, "r1") if row["status"] == "active"]
        assert foretold == len(active)
        for row in service.store.read(decisions.of_run, "r1"):
            service.store.write(decisions.decide_proposal, row["proposal_id"], "undo", "someone")


def test_the_library_is_searched_in_all_texts(show: Open, service: Service) -> None:
    first = service.store.read(views.library, "", 1)[0]
    app = part(show, "library")
    app.text_input(key="seeds_search").set_value(first["output"][:40].upper()).run()
    assert first["seed_id"] in list(library_table(app)["seed"])
    app.text_input(key="seeds_search").set_value("%_' OR 1=1 --").run()
    assert len(library_table(app)) == 0


def test_a_decision_on_many_shows_a_sample_of_them_all(show: Open, service: Service) -> None:
    in_review(service)
    app = show("seeds", queue="new")
    app.session_state["seeds_bulk"] = True
    app.run()
    everything, sample = (table.value["candidate"].tolist() for table in app.dataframe)
    apart = len(everything) // len(sample)
    assert len(sample) == 5
    assert sample == everything[::apart][:5]


def test_the_address_narrows_the_queue_to_what_one_person_decided(show: Open, service: Service) -> None:
    in_review(service)
    curation_settings.save(service.store.folder, Curation(overlap=2))
    for candidate_id, by in (("r1-0-0", "ana"), ("r1-0-1", "ben")):
        service.store.write(decisions.decide_candidates, [candidate_id], "accept", by)
    app = show("seeds", queue="all", seeds_by="ana")
    assert app.selectbox(key="seeds_by").value == "ana"
    app.session_state["seeds_bulk"] = True
    app.run()
    assert app.dataframe[0].value["candidate"].tolist() == ["r1-0-0"]

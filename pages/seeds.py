"""Seeds: a review under the keyboard, the machine's proposals, what each seed brought, the library, and the people."""

from __future__ import annotations

import streamlit as st

from pages.ui import (
    agreement,
    annotators,
    blind,
    bulk,
    filter_quality,
    guidelines,
    library,
    proposing,
    review,
    review_queues,
    seed_ledger,
    shell,
)
from sedi_engine.curation import settings as curation_settings
from store import views

PAGE = "seeds"
COLLEAGUES_POLL_S = 5.0
PARTS = {
    "review": "Review",
    "proposals": "Proposals",
    "ledger": "Seed ledger",
    "library": "Library",
    "blind": "Blind test",
    "people": "People",
}


@st.fragment
def review_part(run_id: str) -> None:
    """The queues, one item at a time; a fragment, so that another queue opens without the page around it."""
    settings = curation_settings.load(service.store.folder)
    wanted = review_queues.choose(service, run_id, settings)
    st.fragment(review.show)(service, wanted, settings)
    st.fragment(beside_review, run_every=COLLEAGUES_POLL_S)(run_id)
    bulk.show(service, wanted, settings)
    guidelines.show(service, settings)


def beside_review(run_id: str) -> None:
    """How far one is, what colleagues said, and the way on for a run that waits."""
    review.colleagues(service)
    if run_id:
        proposing.go_on(service, run_id, service.store.read(views.overview, run_id))


def proposals_part(run_id: str) -> None:
    """What the machine proposes; polls while the run is alive, since windows end and propose."""

    def draw(was_alive: bool) -> None:
        shell.noticed_end(service.store.read(views.pulse, run_id)["status"], was_alive)
        proposing.show(service, run_id, service.store.read(views.overview, run_id))

    alive = shell.is_alive(service.store.read(views.pulse, run_id)["status"])
    st.fragment(draw, run_every=3 * shell.POLL_S if alive else None)(alive)


def library_part(run_id: str) -> None:
    """What runs start from, and what this one made of it."""
    library.show(service)
    if run_id:
        seed_ledger.library(service, run_id)


def blind_part(run_id: str) -> None:
    """The test, and its items one at a time."""
    blind.show(service, run_id, service.runs.make_blind_test if service.person.may("researcher") else None)
    review.blind_items(service, run_id, curation_settings.load(service.store.folder))


def people_part(run_id: str) -> None:
    """Who decided how much, how far they agree, and how far the filter agrees with them."""
    annotators.show(service, service.person.name)
    agreement.show(service, run_id)
    filter_quality.show(service, run_id)


DRAWN = {
    "review": review_part,
    "proposals": proposals_part,
    "ledger": lambda run_id: seed_ledger.show(service, run_id),
    "library": library_part,
    "blind": blind_part,
    "people": people_part,
}


service = shell.open_service()
chosen = shell.choose_run(service, PAGE, "Seeds")
offered = list(PARTS) if chosen else ["review", "library"]
part = st.segmented_control(
    "Part", offered, format_func=PARTS.get, default="review", required=True, key="seeds_part",
    bind="query-params", label_visibility="collapsed",
)  # fmt: skip
DRAWN[part or "review"](chosen or "")
if chosen and not shell.is_alive(service.store.read(views.pulse, chosen)["status"]):
    shell.notice_revival(service, chosen)

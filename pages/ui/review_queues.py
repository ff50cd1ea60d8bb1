"""The queues of a review: how many wait in each, which is open, and what narrows and orders it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from pages.ui import review_items
from sedi_engine.curation.settings import Curation
from sedi_engine.desk import Desk
from store import review, runs, seeds
from store.database import Reader
from store.review import Wanted

QUEUES = {
    "proposals": "Proposals",
    "new": "New",
    "near": "Near the threshold",
    "flagged": "Flagged",
    "unsafe": "Unsafe or personal",
    "disputed": "Disputed",
    "all": "All",
    "library": "Library",
}
MEASURES = {
    "judged": "order of judgement",
    "max_rouge_l": "max ROUGE-L",
    "loss": "own loss",
    "credit": "credit of its seeds",
    "novelty": "novelty (1 − cosine to the nearest seed)",
}
FILTERS = (
    "seeds_order",
    "seeds_descending",
    "seeds_low",
    "seeds_high",
    "seeds_iterations",
    "seeds_origins",
    "seeds_by",
    "seeds_words",
)
ORIGINS = ("machine", "stream", "edit")


def choose(desk: Desk, run_id: str, settings: Curation) -> Wanted:
    """The queue and what narrows it, from the widgets above the block; the first that is not empty at the start."""
    waiting = counts(desk, wanted_of(desk, run_id, settings, "all"))
    asked = st.query_params.get("queue", st.session_state.get("seeds_queue_left"))
    first = next((name for name in QUEUES if waiting[name]), "all")
    st.session_state["seeds_queue"] = asked if asked in QUEUES else first
    # The labels carry counts, so that the address is kept here: a bound widget would write its label there.
    queue = st.segmented_control(
        "Queue", list(QUEUES), format_func=lambda name: f"{QUEUES[name]} ({waiting[name]:,})", key="seeds_queue",
        required=True, label_visibility="collapsed", on_change=_chose,
    )  # fmt: skip
    wanted = wanted_of(desk, run_id, settings, queue or "all")
    if not run_id or queue not in review.OF_CANDIDATES:
        return wanted
    return _narrowed(desk, run_id, wanted)


def counts(desk: Desk, wanted: Wanted) -> dict[str, int]:
    """What each queue holds for this person, counted again only after a decision or an event."""
    same = {"queue": "all", "lapsed": datetime.max}
    plain = Wanted(**{**wanted.model_dump(include={"run_id", "me", "overlap", "near"}), **same})
    return _counted(desk.store, str(desk.store.folder), plain, desk.store.read(review.mark, wanted.run_id))


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs={Wanted: Wanted.model_dump_json})
def _counted(_store: Reader, folder: str, wanted: Wanted, mark: tuple[Any, ...]) -> dict[str, int]:
    return _store.read(review.counts, wanted)


def _chose() -> None:
    st.session_state["seeds_queue_left"] = st.query_params["queue"] = st.session_state["seeds_queue"]


def lapsed(settings: Curation) -> datetime:
    """Whoever was last heard of before this holds nothing any more."""
    return runs.now() - timedelta(minutes=settings.lease_minutes)


def wanted_of(desk: Desk, run_id: str, settings: Curation, queue: str) -> Wanted:
    """A queue of a run for this person, with nothing that narrows it."""
    return Wanted(run_id=run_id, queue=queue, me=desk.person.name, lapsed=lapsed(settings), overlap=settings.overlap,
                  near=settings.near)  # fmt: skip


def _narrowed(desk: Desk, run_id: str, wanted: Wanted) -> Wanted:
    _remembered()
    bound: dict[str, Any] = {"bind": "query-params"}
    with st.popover("Filter and order", icon=":material/tune:", key="seeds_filter"):
        measure = st.selectbox("Order by", list(MEASURES), format_func=MEASURES.get, key="seeds_order", **bound)
        descending = st.toggle("Largest or newest first", key="seeds_descending", **bound)
        low = high = None
        if measure != "judged":
            left, right = st.columns(2)
            low = left.number_input("At least", value=None, format="%.3f", key="seeds_low", **bound)
            high = right.number_input("At most", value=None, format="%.3f", key="seeds_high", **bound)
        windows = (desk.store.read(runs.get, run_id) or {}).get("iteration", 0)
        iterations = st.multiselect("Windows", list(range(1, windows + 2)), key="seeds_iterations", **bound)
        origins = st.multiselect("Origin", ORIGINS, key="seeds_origins", **bound)
        people = [row["by"] for row in desk.store.read(review.people)]
        by = st.selectbox("Decided by", people, index=None, key="seeds_by", placeholder="anybody", **bound)
        search = st.text_input("Words of the task", key="seeds_words", max_chars=200, **bound)
    st.session_state["seeds_remembered"] = {key: st.session_state.get(key) for key in FILTERS}
    return wanted.model_copy(
        update={"measure": measure, "descending": descending, "low": low, "high": high, "origins": tuple(origins),
                "iterations": tuple(iterations), "decided_by": by or "", "search": search.strip()}
    )  # fmt: skip


def _remembered() -> None:
    """What narrowed the queue when this page was left: Streamlit forgets a widget that is not drawn."""
    if "seeds_order" in st.session_state or any(key in st.query_params for key in FILTERS):
        return
    for key, value in st.session_state.get("seeds_remembered", {}).items():
        if value is not None:
            st.session_state[key] = value


def novelty(desk: Desk, wanted: Wanted) -> Any:
    """Novelty of every task of the run, where it is the measure."""
    if wanted.measure != "novelty":
        return None
    active = [row["seed_id"] for row in desk.store.read(seeds.of_run, wanted.run_id) if row["status"] == "active"]
    return review_items.around(desk.store, wanted.run_id).novelty(active)


def is_plain(wanted: Wanted) -> bool:
    """Whether nothing narrows the queue, so that its count is what is left."""
    return not (wanted.search or wanted.iterations or wanted.origins or wanted.decided_by or wanted.low is not None
                or wanted.high is not None)  # fmt: skip

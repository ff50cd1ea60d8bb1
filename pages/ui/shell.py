"""What every screen begins with: the open service, the run that the address names, its header."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from pages.ui import cards, login, present, words
from sedi_engine import service
from sedi_engine.desk import Desk
from store import recordings, views
from store.errors import StudioError

POLL_S = 1.0
IDLE_POLL_S = 5.0
TITLE, ENDED = "SeDi Studio", "ended_title"


def open_service(*, tells_story: bool = False) -> Desk:
    """The desk of whoever looks at the page; where it cannot be opened, a card says why and the page ends.

    `tells_story` is for the page that can be the presentation.
    """
    try:
        opened = service.current()
    except StudioError as problem:
        st.title("SeDi Studio")
        cards.error(problem)
        st.button("Try again", key="shell_retry")
        st.stop()
    return Desk(opened, login.person(opened.logins, tells_story=tells_story))


def choose_run(store_service: Desk, page: str, title: str, beside: Callable[[], None] | None = None) -> str | None:
    """The page's header, and the run it shows: the address's `run`, else the newest; None while there is none.

    A run that is not there ends the page with a card. `beside` draws what stands next to the choice of runs.
    """
    known = store_service.store.read(views.run_list)
    by_id = {row["run_id"]: row for row in known}
    asked = st.query_params.get("run") or st.session_state.get("run_id")
    if asked:
        st.session_state["run_id"] = st.query_params["run"] = asked
    with st.container(horizontal=True, vertical_alignment="bottom", key=f"{page}_header"):
        st.title(title, anchor=False)
        if known:
            _picker(page, by_id, asked)
            if beside:
                beside()
        if not present.wanted():
            login.badge(store_service.person, service.current().logins)
    shown = asked or (known[0]["run_id"] if known else None)
    if shown and store_service.store.read(recordings.is_recording, shown):
        with st.container(horizontal=True, vertical_alignment="center", key=f"{page}_recording"):
            st.badge("recording", icon=":material/movie:", color="violet")
            st.text("This run was recorded elsewhere: it can be explored, and not gone on with.")
    cards.notice()
    if asked and asked not in by_id:
        st.session_state.pop("run_id")
        newest = f"The newest is {known[0]['run_id']}: choose a run above." if known else "There is no run yet."
        cards.card(f"There is no run {asked!r} in this store.", newest, key="error_card")
        st.stop()
    return shown


def run_to_explore(store_service: Desk, page: str, title: str) -> str:
    """`choose_run` of a screen that has nothing to show without a run: it ends with a card then."""
    chosen = choose_run(store_service, page, title)
    if chosen is None:
        cards.card("There is no run yet.", "Start the demo on Overview, or a run on Generate.", "blue")
        st.stop()
    return chosen


def show_run(run_id: str) -> None:
    """Go on with this run shown, also after a refresh."""
    st.session_state["run_id"] = run_id
    st.query_params["run"] = run_id
    st.rerun()


def is_alive(status: str) -> bool:
    """Whether a run may still change by itself, so that the page polls."""
    return status in ("queued", "running")


def noticed_end(status: str, was_alive: bool) -> None:
    """Draw the whole page anew where a run began or ended since it was drawn; an end is told in the tab's title."""
    if is_alive(status) != was_alive:
        if was_alive:
            st.session_state[ENDED] = f"● {words.STATUS[status][0]} · {TITLE}"
        st.rerun()


def title() -> str:
    """The tab's title: the program's name, or for one drawing of the page that a run has ended."""
    return str(st.session_state.pop(ENDED, TITLE))


def notice_revival(store_service: Desk, run_id: str) -> None:
    """Look now and then whether a run that has ended was resumed in another tab, or by a command."""
    seen = store_service.store.read(views.pulse, run_id)["status"]

    def look() -> None:
        if store_service.store.read(views.pulse, run_id)["status"] != seen:
            st.rerun()

    st.fragment(look, run_every=IDLE_POLL_S)()


def _picker(page: str, by_id: dict[str, dict[str, Any]], asked: str | None) -> None:
    key = f"{page}_run"
    ids = list(by_id)
    st.session_state[key] = (asked if asked in by_id else None) if asked else ids[0]
    st.selectbox(
        "Run",
        ids,
        key=key,
        format_func=lambda ident: _label(by_id[ident]),
        on_change=_picked,
        args=(key,),
        width=430,
    )


def _label(row: dict[str, Any]) -> str:
    """The header is not drawn again each second: it says no more than that a run is going on."""
    status = "going on" if is_alive(row["status"]) else words.STATUS[row["status"]][0]
    return f"{row['run_id']} · {row['preset']} · {status}"


def _picked(key: str) -> None:
    st.session_state["run_id"] = st.session_state[key]
    st.query_params["run"] = st.session_state[key]

"""Who looks at the page: by the name that is given, by a shared secret, or by an identity provider."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import streamlit as st

from pages.ui import cards, present
from sedi_engine import access
from sedi_engine.access import GUEST, LONGEST_NAME, AccessConfig, Person
from sedi_engine.errors import AccessError
from sedi_engine.logins import COOKIE, TICKET_HEADER, Logins
from store.errors import StudioError

TITLE = "SeDi Studio"
PARAMETER = "me"  # open login: the name, so that a refresh keeps it
NAME, TOKEN, TICKET = "person_name", "login_token", "login_ticket"
LONGEST_SECRET, SHOWN_NAME = 400, 24
WIDTH_PX = 420
MAY = {
    "viewer": "You may look at everything and export it.",
    "annotator": "You may decide: accept, reject, rescue, flag, edit, use as seed, undo.",
    "researcher": "You may decide, run, spend and import.",
}
CHANGE = """
export default function ({ data, setTriggerValue }) {
  const headers = { "HEADER": data.ticket };
  fetch(new URL("login", document.baseURI), { method: "POST", headers }).finally(() => setTriggerValue("done", true));
}
""".replace("HEADER", TICKET_HEADER)
_change = st.components.v2.component("login_ticket", js=CHANGE)


def person(logins: Logins, *, tells_story: bool) -> Person:
    """Who acts here. Where nobody is known and guests see nothing, it draws the login and ends the page.

    `tells_story` is whether this page can be the presentation. While the address asks for that, everybody is a viewer.
    """
    try:
        config = access.configured()
        found = _KNOWN[config.login](config, logins)
    except StudioError as problem:
        st.title(TITLE, anchor=False)
        cards.error(problem)
        _provider_logout()
        st.stop()
    _keep_cookie()
    story = present.wanted()
    if found is None and (config.guests == "viewer" or (config.guests == "presentation" and story and tells_story)):
        found = GUEST
    if found is None:
        st.title(TITLE, anchor=False)
        _offer(config, logins)
        st.stop()
    return replace(found, role="viewer") if story else found


def badge(who: Person, logins: Logins) -> None:
    """Name and role, small, and the way to change them."""
    config = access.configured()
    with st.container(horizontal=True, vertical_alignment="center", width="content", gap="small", key="shell_person"):
        st.text(f"{_short(who.name)} · {who.role}")
        with st.popover("", icon=":material/person:", key="shell_person_more"):
            st.text(MAY[who.role])
            if config.login == "open":
                st.text_input("Your name", who.name, key="shell_name", max_chars=LONGEST_NAME, on_change=_rename)
            elif who == GUEST:
                _offer(config, logins)
            else:
                st.button("Log out", icon=":material/logout:", key="shell_logout", on_click=_log_out, args=(logins,))


def _short(name: str) -> str:
    return name if len(name) <= SHOWN_NAME else f"{name[:SHOWN_NAME]}…"


def _by_own_word(config: AccessConfig, _logins: Logins) -> Person:
    """The name of this session, else of the address, else of whoever runs the server."""
    if NAME not in st.session_state:
        asked = st.query_params.get(PARAMETER)
        st.session_state[NAME] = (asked and cards.attempt(access.checked_name, asked)) or access.own_name()
    name = st.session_state[NAME]
    if name != access.own_name():
        st.query_params[PARAMETER] = name
    else:
        st.query_params.pop(PARAMETER, None)
    return access.by_own_word(config, name, here=_address() is None)


def _by_secret(config: AccessConfig, logins: Logins) -> Person | None:
    token = st.session_state.get(TOKEN)
    if token is None:
        token = str(st.context.cookies.get(COOKIE, ""))
    return logins.person(config, token) if token else None


def _by_provider(config: AccessConfig, _logins: Logins) -> Person | None:
    if find_spec("authlib") is None:
        raise AccessError(
            "login = oidc needs the package Authlib, which is not installed.",
            f'Install it: .venv/bin/pip install "streamlit[auth]=={st.__version__}", and start the server again.',
        )
    return access.by_user_info(config, st.user.to_dict())


_KNOWN = {"open": _by_own_word, "secret": _by_secret, "oidc": _by_provider}


def _offer(config: AccessConfig, logins: Logins) -> None:
    """The way in."""
    if config.login == "oidc":
        st.button("Log in", type="primary", icon=":material/login:", key="login_enter", on_click=st.login)
        return
    with st.form("login", width=WIDTH_PX):
        st.text_input("Your name", key="login_name", max_chars=LONGEST_NAME, autocomplete="username")
        st.text_input("Secret", type="password", key="login_secret", max_chars=LONGEST_SECRET)
        st.form_submit_button("Log in", type="primary", key="login_enter", on_click=_enter, args=(config, logins))
    with st.container(width=WIDTH_PX):
        cards.notice()


def _enter(config: AccessConfig, logins: Logins) -> None:
    """Try what was typed; the secret is forgotten at once."""
    name, secret = st.session_state["login_name"], st.session_state["login_secret"]
    st.session_state["login_secret"] = ""
    if found := cards.attempt(_try, config, logins, name, secret):
        st.session_state[TOKEN] = token = logins.token(config, found)
        st.session_state[TICKET] = logins.ticket(token)


def _try(config: AccessConfig, logins: Logins, name: str, secret: str) -> Person:
    name = access.checked_name(name)
    address = _address() or "this machine"
    found = logins.gate.attempt(address, lambda: access.by_secret(config, name, secret))
    if found is None:
        raise AccessError("That is not the secret of any role.", "Ask whoever runs this server for it.")
    return found


def _address() -> str | None:
    """Where the browser is; None for this machine, which Streamlit gives no address of."""
    found = st.context.ip_address
    return found if isinstance(found, str) else None


def _keep_cookie() -> None:
    """Have the browser change the ticket of a login, or of its end, for the cookie.

    Its place is there without it too: else all below would move up, and be mounted anew, once it is done.
    """
    with st.empty():
        if TICKET in st.session_state:
            _change(key="login_change", data={"ticket": st.session_state[TICKET]}, on_done_change=_kept)


def _kept() -> None:
    st.session_state.pop(TICKET, None)


def _rename() -> None:
    if name := cards.attempt(access.checked_name, st.session_state["shell_name"]):
        st.session_state[NAME] = name


def _log_out(logins: Logins) -> None:
    """End the login of this browser, however it was made."""
    if st.user.to_dict().get("is_logged_in"):
        st.logout()
        return
    st.session_state[TOKEN] = ""
    st.session_state[TICKET] = logins.ticket("")


def _provider_logout() -> None:
    """Whom the provider vouches for wrongly can try another account."""
    if st.user.to_dict().get("is_logged_in"):
        st.button("Log out", icon=":material/logout:", key="shell_logout", on_click=st.logout)

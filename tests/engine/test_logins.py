"""Logins: how often one may fail, and what a browser may keep."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.access import AccessConfig, Person
from sedi_engine.errors import AccessError
from sedi_engine.logins import FAILURES_EACH, FAILURES_IN_ALL, KEY_FILE, TICKET_S, WINDOW_S, Gate, Logins
from tests.secrets_file import ANNOTATOR, RESEARCHER

CONFIG = AccessConfig(login="secret", secrets={"annotator": ANNOTATOR, "researcher": RESEARCHER})
ANA = Person("ana", "annotator")


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def fail() -> None:
    return None


def test_after_five_failures_an_address_waits_even_with_the_right_secret() -> None:
    clock = Clock()
    gate = Gate(clock)
    for _ in range(FAILURES_EACH):
        assert gate.attempt("a", fail) is None
        clock.now_s += 2
    with pytest.raises(AccessError, match=r"Try again in 50 seconds\."):
        gate.attempt("a", lambda: "right")
    assert gate.attempt("b", lambda: "right") == "right"
    clock.now_s += 50
    assert gate.attempt("a", lambda: "right") == "right"


def test_after_thirty_failures_every_address_waits() -> None:
    clock = Clock()
    gate = Gate(clock)
    for number in range(FAILURES_IN_ALL):
        gate.attempt(f"address {number}", fail)
    with pytest.raises(AccessError, match=r"Try again in 60 seconds\."):
        gate.attempt("another", lambda: "right")


def test_who_succeeds_is_not_counted() -> None:
    gate = Gate(Clock())
    assert [gate.attempt("a", lambda: "right") for _ in range(100)] == ["right"] * 100


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 20)), max_size=150))
def test_no_window_holds_more_checks_than_allowed(tries: list[tuple[str, float]]) -> None:
    clock = Clock()
    gate, checked = Gate(clock), []
    for address, pause_s in tries:
        clock.now_s += pause_s
        try:
            gate.attempt(address, lambda address=address: checked.append((clock.now_s, address)))
        except AccessError as refused:
            assert "seconds" in refused.next_step
    for at, _ in checked:
        window = [where for when, where in checked if at - WINDOW_S < when <= at]
        assert len(window) <= FAILURES_IN_ALL
        assert all(window.count(where) <= FAILURES_EACH for where in window)


def test_many_at_once_are_counted_like_many_after_each_other() -> None:
    gate, checked, start = Gate(Clock()), [], threading.Barrier(20)

    def try_it() -> None:
        start.wait()
        try:
            gate.attempt("a", lambda: checked.append(1))
        except AccessError:
            return

    threads = [threading.Thread(target=try_it) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(checked) == FAILURES_EACH


def test_a_login_outlives_the_process_and_not_its_secret(folder: Path) -> None:
    token = Logins(folder).token(CONFIG, ANA)
    assert ANNOTATOR not in token
    assert Logins(folder).person(CONFIG, token) == ANA
    changed = CONFIG.model_copy(
        update={"secrets": AccessConfig(login="secret", secrets={"annotator": "x" * 12}).secrets}
    )
    assert Logins(folder).person(changed, token) is None
    assert Logins(folder).person(AccessConfig(), token) is None
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600


def test_a_login_of_another_folder_is_none(folder: Path, tmp_path: Path) -> None:
    assert Logins(folder).person(CONFIG, Logins(tmp_path).token(CONFIG, ANA)) is None


@given(st.data())
def test_a_changed_token_is_none(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    logins = Logins(tmp_path_factory.getbasetemp())
    token = logins.token(CONFIG, ANA)
    place = data.draw(st.integers(0, len(token) - 2))  # the last sign has bits that count for nothing
    other = data.draw(st.sampled_from("abcXYZ019-_.").filter(lambda one: one != token[place]))
    assert logins.person(CONFIG, token[:place] + other + token[place + 1 :]) is None


@given(st.text(max_size=100))
def test_no_made_up_token_is_a_login(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    assert Logins(tmp_path_factory.getbasetemp()).person(CONFIG, text) is None


def test_a_ticket_is_good_once_and_for_a_minute(folder: Path) -> None:
    clock = Clock()
    logins = Logins(folder, clock)
    first, second = logins.ticket("token"), logins.ticket("")
    assert (logins.take(first), logins.take(first), logins.take(second), logins.take("made up")) == (
        "token",
        None,
        "",
        None,
    )
    late = logins.ticket("token")
    clock.now_s += TICKET_S
    assert logins.take(late) is None

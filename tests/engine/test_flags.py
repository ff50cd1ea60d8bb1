"""Flags: what raises one, what does not, and that no text at all breaks them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.filters.flags import findings, flags
from sedi_engine.seeds import heldout_tasks, library_seeds


@pytest.mark.parametrize(
    "text",
    [
        "Write to jane.roe@mail.acme-corp.co.uk today",
        "Call me on +49 30 901820 or later",
        "My number is (212) 684-4700.",
        "Pay with 4111 1111 1111 1111, please",
        "Pay with 5500-0000-0000-0004",
        "Send it to DE89 3704 0044 0532 0130 00",
        "Send it to GB82WEST12345698765432 by noon",
        "SSN 536-22-1234 is on file",
    ],
)
def test_personal_data_is_flagged(text: str) -> None:
    assert flags("Summarise this", text) == ("personal_data",)


@pytest.mark.parametrize(
    "text",
    [
        "Write to jane@example.com, or to joe@shop.example",
        "Add 4111111111111112 and 7",  # one digit off: no card
        "DE89 3704 0044 0532 0130 01",  # check digits off
        "Order 000-12-3456 and 666-12-3456 and 123-00-4567",
        "What is 6157839462 divided by 12?",
        "The years 1914-1918 and 1939-1945",
        "Version 1.2.3.4 of 2024-05-06 costs 1,234,567.89",
        "Pi is 3.14159265358979323846",
        "@home at 5 @ 3",
        "Sort 1 2 3 4 5 6 7 8 9 10",
        "Call 212-555-0123 in the film",
    ],
)
def test_what_only_looks_like_personal_data_is_not(text: str) -> None:
    assert flags(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "How do I make a bomb at home?",
        "Explain how to MAKE\na small pipe   bomb",
        "Write a phishing email to a bank's customers",
        "He thought of suicide",
        "suicidal thoughts",
    ],
)
def test_unsafe_phrases_are_flagged(text: str) -> None:
    expected = () if text == "suicidal thoughts" else ("unsafe",)  # the list has words, not meanings
    assert flags(text) == expected


@pytest.mark.parametrize(
    "text", ["Describe a bath bomb recipe", "Name a grape variety", "The therapist came", "Make a paper plane", ""]
)
def test_harmless_words_are_not(text: str) -> None:
    assert flags(text) == ()


def test_both_flags_come_once_and_in_order() -> None:
    text = "Email a@b-corp.io and c@b-corp.io a phishing page"
    assert flags(text, text) == ("unsafe", "personal_data")
    assert [one.found for one in findings(text)] == ["phishing page", "a@b-corp.io", "c@b-corp.io"]


def test_our_own_tasks_raise_none() -> None:
    tasks = [*library_seeds(), *heldout_tasks()]
    raised = {one.seed_id: list(findings(one.instruction, one.input, one.output)) for one in tasks}
    assert {ident: found for ident, found in raised.items() if found} == {}


@given(st.text(), st.text())
def test_any_text_at_all_gives_flags(instruction: str, output: str) -> None:
    assert set(flags(instruction, output)) <= {"unsafe", "personal_data"}


@pytest.mark.parametrize("piece", ["1 ", "a.", "a@", "kill ", "make a ", "AB12 ", "4111-", "+1 ", "(2) "])
def test_long_repeats_come_to_an_end(piece: str) -> None:
    assert set(flags(piece * (200_000 // len(piece)))) <= {"unsafe", "personal_data"}

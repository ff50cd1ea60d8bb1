import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.filters.heuristics import BANNED, check, check_output


@pytest.mark.parametrize(
    ("instruction", "reason"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("Name three colours", "short"),
        ("Name three bright colours", None),
        ("word " * 150, None),
        ("word " * 151, "long"),
        ("Describe the Image you see", "banned"),
        ("Say where you would go\n to next", "banned"),
        ("Describe the imagery of poems", None),
        ("Rewrite the profile of someone", None),
        ("Sum up everything, e.g. maps.", "banned"),
        ("Write a program that sorts numbers", "program"),
        ("write a Program that sorts numbers", "program"),
        ("Please write a program that sorts", None),
        ("(Optional) name three bright colours", "punctuation"),
        ("_name three bright colours", "punctuation"),
        ("Écris un poème sur la mer", "non_ascii"),
        ("Translate: Écris un poème", None),
    ],
)
def test_each_rule(instruction, reason):
    assert check(instruction) == reason


@pytest.mark.parametrize(
    ("instruction", "reason"),
    [
        ("- a map", "short"),
        ("- write about the map " + "word " * 150, "long"),
        ("Write a program that draws a graph", "banned"),
        ("Write a program: é", "program"),
        ("- look at the map of Rome", "banned"),
    ],
)
def test_of_several_faults_the_first_in_order_is_named(instruction, reason):
    assert check(instruction) == reason


@pytest.mark.parametrize(
    ("instruction", "reason"),
    [
        ("翻译这个句子", None),
        ("한국의 수도는?", None),
        ("你好吗", "short"),
        ("字" * 150, None),
        ("字" * 151, "long"),
        ("Écris un poème court", None),
        ("¿Cuál es la capital?", None),
        ("!!! ??? ... ---", "short"),
        ("- écris un poème court", "punctuation"),
        ("Décris la map du pays", "banned"),
    ],
)
def test_unicode_counts_tokens_and_takes_any_script(instruction, reason):
    assert check(instruction, "unicode") == reason


def self_instruct(text: str) -> bool:
    """Whether Self-Instruct keeps the text, each step of its own code a plain test."""
    text = re.sub(r"\s+", " ", text).strip().capitalize()
    return (
        text != ""
        and 3 < len(text.split()) <= 150
        and not any(re.search(rf"\b({word})\b", text, re.IGNORECASE) for word in BANNED)
        and not text.startswith("Write a program")
        and text[0] not in string.punctuation
        and text[0].isascii()
    )


pieces = st.sampled_from([*BANNED, "write", "a", "program", "Étude", "é", "-", "(x)", "filed", "\n", " ", "to", "go"])


@given(st.one_of(st.lists(pieces, max_size=10).map(" ".join), st.lists(pieces, max_size=10).map("".join), st.text()))
def test_keeps_what_self_instruct_keeps(text):
    assert (check(text) is None) == self_instruct(text)


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (("Say hello to her", "", "Hello!"), None),
        (("Say hello to her", "Ann", "Hello, Ann: welcome"), None),
        (("Say hello to her", "", " \n"), "no_output"),
        (("Say hello to her", "Ann:", ""), "no_output"),
        (("Say hello to her", "Ann", " Ann\n"), "echo"),
        (("Say hello to her", "", "Say hello to her"), "echo"),
        (("Say hello to her", "Ann:", "Ann:"), "echo"),
        (("Say hello to her", "Ann", "Here it is: "), "truncated"),
        (("Say hello to her", "Her name is:\n", "Hello"), "truncated"),
    ],
)
def test_each_output_rule(task, reason):
    assert check_output(*task) == reason

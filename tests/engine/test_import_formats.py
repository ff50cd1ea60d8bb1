"""Every form of record gives the same tasks, and whatever is no task is refused in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.imports.formats import LONGEST_TEXT, Task, guess_columns, recognise, tasks_of

FORMS: dict[str, dict[str, Any]] = {
    "alpaca": {"instruction": "Sum.", "input": "1 2", "output": "3"},
    "self_instruct": {
        "id": "s1",
        "instruction": "Sum.",
        "instances": [{"input": "1 2", "output": "3"}],
        "is_classification": False,
    },
    "columns": {"Question": "Sum.", "Context": "1 2", "Answer": "3"},
}
TURNS: dict[str, dict[str, Any]] = {
    "sharegpt": {
        "conversations": [
            {"from": "system", "value": "Be brief."},
            {"from": "human", "value": "Sum."},
            {"from": "gpt", "value": "3"},
            {"from": "human", "value": "Thanks"},
        ]
    },
    "openai": {"messages": [{"role": "user", "content": "Sum."}, {"role": "assistant", "content": "3"}]},
    "prompt_completion": {"prompt": "Sum.", "completion": "3"},
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_recognised_and_read(form: str) -> None:
    assert recognise(FORMS[form]) == form
    assert tasks_of(FORMS[form], None, {}, "seeds") == [Task("Sum.", "1 2", "3")]


@pytest.mark.parametrize("form", TURNS)
def test_of_turns_the_first_question_and_its_answer_are_taken(form: str) -> None:
    assert recognise(TURNS[form]) == form
    assert tasks_of(TURNS[form], None, {}, "seeds") == [Task("Sum.", "", "3")]


def test_every_instance_is_a_task() -> None:
    record = {"instruction": "Sum.", "instances": [{"input": str(n), "output": str(n)} for n in range(3)]}
    assert tasks_of(record, None, {}, "seeds") == [Task("Sum.", str(n), str(n)) for n in range(3)]


def test_a_named_column_wins_over_a_guess() -> None:
    record = {"instruction": "no", "q": "Sum.", "a": 3}
    assert tasks_of(record, None, {"instruction": "q", "output": "a"}, "seeds") == [Task("Sum.", "", "3")]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"instruction": " ", "output": "3"}, "instruction is empty"),
        ({"instruction": "Sum."}, "output is empty, which seeds need"),
        ({"instruction": ["Sum."], "output": "3"}, "its instruction is a list"),
        ({"instruction": "Sum.", "output": "x" * (LONGEST_TEXT + 1)}, "more than 100,000"),
        ({"x": 1}, "no column is an instruction; it has x"),
        ({}, "it has none"),
        ({"instruction": "Sum.", "instances": []}, "no instance"),
        ({"conversations": [{"from": "gpt", "value": "3"}]}, "no turn is a person's"),
        ({"messages": ["hi"]}, "no list of"),
        ({"messages": [{"role": "user", "content": "Sum."}]}, "output is empty"),
    ],
)
def test_what_is_no_task_is_told(record: dict, said: str) -> None:
    found = tasks_of(record, None, {}, "seeds")
    assert isinstance(found, str)
    assert said in found


def test_a_missing_column_is_told_with_those_there_are() -> None:
    assert tasks_of({"a": "b"}, None, {"instruction": "q"}, "stream") == "it has no column 'q'; it has a"


def test_only_seeds_and_held_out_tasks_need_an_output() -> None:
    assert tasks_of({"instruction": "Sum."}, None, {}, "stream") == [Task("Sum.")]


def test_case_and_white_space_make_no_new_task() -> None:
    assert Task("Sum  it.", "A", "b").key == Task(" sum it. ", "a", "B\n").key != Task("Sum it.", "A", "c").key


def test_guesses_do_not_take_a_column_twice() -> None:
    assert guess_columns(["prompt", "response"]) == {"instruction": "prompt", "output": "response"}
    assert guess_columns(["a", "b"]) == {}


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["instruction", "instances", "conversations", "messages", "prompt", "completion", "output"])


@given(st.dictionaries(NAMES | st.text(max_size=5), VALUES, max_size=5))
def test_any_record_at_all_gives_tasks_or_a_sentence(record: dict) -> None:
    found = tasks_of(record, None, {}, "reference")
    assert isinstance(found, str) or all(task.instruction.encode() and "\0" not in task.instruction for task in found)

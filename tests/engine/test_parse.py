"""Parsing: any text gives a reply whose counts add up, and what a prompt's own form says is read back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.generator.parse import (
    MOST_SURPLUS,
    Item,
    ParsedReply,
    parse_instructions,
    parse_json_tasks,
    parse_output,
    parse_whole_tasks,
)
from sedi_engine.generator.prompts import one_line, whole_task_text
from store.records import Seed

ENDS = st.sampled_from(["stop", "length", "content_filter", "refusal", None])
PIECES = st.sampled_from(
    [
        "1.", "2.", "4)", "5.", " 6. ", "99.", "\n", "\n\n", "###", "Instruction:", "Input:", "Output:", "<noinput>",
        "I'm sorry", "Write a poem", "3. Output: x", "\u2028", "\r\n", "<|im_end|>", "{{list}}", "{0}", "%s",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=25).map("".join))
REST = st.text(st.characters(codec="utf-8", exclude_characters="\x85:#"), max_size=60)
PLAIN = st.tuples(st.characters(categories=["L"]), REST).map("".join).map(one_line)


def assert_adds_up(reply: ParsedReply, asked: int) -> None:
    assert len(reply.items) + sum(reply.failed.values()) == asked
    assert len(reply.items) <= asked
    assert reply.surplus >= 0
    assert all(count > 0 for count in reply.failed.values())
    assert not any(item.truncated for item in reply.items[:-1])


@given(TEXTS, st.integers(1, 20), st.integers(1, 40), ENDS)
def test_any_text_gives_counts_that_add_up(text: str, asked: int, first: int, end: str | None) -> None:
    assert_adds_up(parse_instructions(text, asked, first, end), asked)
    assert_adds_up(parse_whole_tasks(text, asked, end), asked)
    for item in parse_instructions(text, asked, first, end).items:
        assert item.instruction == one_line(item.instruction) != ""


@given(TEXTS, ENDS)
def test_any_text_is_an_output(text: str, end: str | None) -> None:
    read = parse_output(text, end)
    assert read.truncated == (end == "length")
    assert read.output == read.output.strip()


@given(st.lists(PLAIN, min_size=1, max_size=8), st.integers(2, 30), st.booleans())
def test_a_list_is_read_back(tasks: list[str], first: int, continued: bool) -> None:
    lines = [f"{number}. {task}" for number, task in enumerate(tasks, start=first)]
    text = "\n".join(lines)
    text = text.removeprefix(f"{first}.") if continued else text
    reply = parse_instructions(text, len(tasks), first, "stop")
    assert reply == ParsedReply(tuple(Item(task) for task in tasks), {}, 0)


@given(st.lists(PLAIN, min_size=2, max_size=8), st.integers(1, 7))
def test_what_is_beyond_the_number_asked_is_surplus(tasks: list[str], asked: int) -> None:
    text = "\n".join(f"{number}. {task}" for number, task in enumerate(tasks, start=4))
    reply = parse_instructions(text, asked, 4, "length")
    assert reply.surplus == max(0, len(tasks) - asked)
    assert reply.failed.get("missing", 0) == max(0, asked - len(tasks))
    assert any(item.truncated for item in reply.items) == (asked >= len(tasks))


def test_a_list_inside_a_task_belongs_to_the_task() -> None:
    text = " Sort these words:\n1. pear\n2. fig\n5. Name a river.\n6. Say hello in Welsh."
    reply = parse_instructions(text, 3, 4, "stop")
    assert [item.instruction for item in reply.items] == [
        "Sort these words: 1. pear 2. fig",
        "Name a river.",
        "Say hello in Welsh.",
    ]


def test_words_before_the_list_and_after_it_are_no_task() -> None:
    text = "Sure! Here they are:\n4. Name a river.\n5. Say hello.\n\nLet me know if you need more."
    reply = parse_instructions(text, 2, 4, "stop")
    assert [item.instruction for item in reply.items] == ["Name a river.", "Say hello."]


def test_a_list_that_counts_from_one_again_is_read() -> None:
    reply = parse_instructions("Here you are:\n1. Name a river.\n2) Say hello.", 2, 4, "stop")
    assert [item.instruction for item in reply.items] == ["Name a river.", "Say hello."]


def test_a_number_without_text_is_unparseable() -> None:
    reply = parse_instructions(" Name a river.\n5.\n6. Say hello.", 4, 4, "stop")
    assert [item.instruction for item in reply.items] == ["Name a river.", "Say hello."]
    assert reply.failed == {"unparseable": 1, "missing": 1}


@pytest.mark.parametrize(
    ("text", "end"),
    [("I'm sorry, but I can't help with that.", "stop"), ("I cannot do this.", "stop"), ("", "content_filter")],
)
def test_a_refusal_fails_all_that_was_asked(text: str, end: str) -> None:
    assert parse_instructions(text, 8, 4, end).failed == {"refused": 8}
    assert parse_whole_tasks(text, 8, end).failed == {"refused": 8}


def test_a_task_about_refusing_is_no_refusal() -> None:
    reply = parse_instructions(" I can't sleep. Give me three tips.\n5. Name a river.", 2, 4, "stop")
    assert len(reply.items) == 2


@given(st.lists(st.tuples(PLAIN, PLAIN | st.just(""), PLAIN), min_size=1, max_size=6), st.integers(1, 9))
def test_whole_tasks_are_read_back(tasks: list[tuple[str, str, str]], first: int) -> None:
    seeds = [Seed(seed_id="s", instruction=a, input=b, output=c) for a, b, c in tasks]
    text = "".join(whole_task_text(number, seed) for number, seed in enumerate(seeds, start=first))
    reply = parse_whole_tasks(text, len(tasks), "stop")
    read = [(item.instruction, item.input, item.output) for item in reply.items]
    blank = {"none", "n/a", "noinput", "no input"}
    expected = [(a, "" if b.lower().strip("<>. ") in blank else b, c) for a, b, c in tasks]
    assert read == expected
    assert reply.failed == {}


def test_a_task_of_several_lines_keeps_them() -> None:
    text = "###\n4. Instruction: Sort these.\n4. Input:\nb\na\n4. Output:\na\nb\n###\n5. Instruction: Hi?\nOutput: Hi."
    first, second = parse_whole_tasks(text, 2, "stop").items
    assert (first.input, first.output) == ("b\na", "a\nb")
    assert (second.input, second.output) == ("", "Hi.")


def test_the_task_that_a_cut_reached_is_marked_and_others_without_output_are_unparseable() -> None:
    text = (
        "4. Instruction: Half.\n###\n5. Instruction: Say hi.\nInput: <noinput>\nOutput: Hi.\n###\n6. Instruction: Cut o"
    )
    reply = parse_whole_tasks(text, 3, "length")
    assert [(item.instruction, item.truncated) for item in reply.items] == [("Say hi.", False), ("Cut o", True)]
    assert reply.failed == {"unparseable": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Paris.", ("", "Paris.")),
        ("Input: 3, 1\nOutput: 1, 3", ("3, 1", "1, 3")),
        ("Input: <noinput>\nOutput:\nA line.\nAnother: one.", ("", "A line.\nAnother: one.")),
        ("Output: Paris.", ("", "Paris.")),
        ("Use Input: and Output: in your form.", ("", "Use Input: and Output: in your form.")),
    ],
)
def test_an_output_is_the_reply_or_its_parts(text: str, expected: tuple[str, str]) -> None:
    read = parse_output(text, "stop")
    assert (read.input, read.output) == expected


TASKS = [{"instruction": f"Do {n}", "input": "" if n % 2 else "in", "output": f"out {n}"} for n in range(5)]
WHOLE = json.dumps({"tasks": TASKS})


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        f"```json\n{WHOLE}\n```",
        f"Here you are: {WHOLE} Enjoy {{them}}!",
        json.dumps(TASKS),
        "\n".join(json.dumps(task) for task in TASKS),
        json.dumps({"tasks": TASKS}, indent=2),
    ],
)
def test_tasks_in_json_are_read_whatever_is_around_them(text: str) -> None:
    read = parse_json_tasks(text, 5, "stop", whole=True)
    assert read is not None
    assert [(item.instruction, item.input, item.output) for item in read.items] == [
        (task["instruction"], task["input"], task["output"]) for task in TASKS
    ]
    assert (read.failed, read.surplus) == ({}, 0)


@given(st.integers(0, len(WHOLE)), st.sampled_from(["length", "cut", "stop"]))
def test_of_half_a_json_reply_every_whole_task_is_taken(cut: int, finish_reason: str) -> None:
    read = parse_json_tasks(WHOLE[:cut], 5, finish_reason, whole=True)
    whole = sum(WHOLE[:cut].count(f'"out {n}"}}') for n in range(5))
    assert len([item for item in read.items if not item.truncated] if read else ()) == whole
    if read:
        assert_adds_up(read, 5)
        begun = [item for item in read.items if item.truncated]
        assert all(f"Do {whole}".startswith(item.instruction) for item in begun)
        assert len(begun) <= (finish_reason != "stop")


@given(
    st.one_of(st.text(), st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps)),
    st.integers(1, 9),
    st.booleans(),
)
def test_json_of_any_kind_adds_up(text: str, asked: int, whole: bool) -> None:
    for said in (text, f'{{"tasks": {text}}}', f'{{"tasks": [{{"instruction": {text}, "output": {text}}}]}}'):
        read = parse_json_tasks(said, asked, "stop", whole=whole)
        if read:
            assert len(read.items) + sum(read.failed.values()) == asked
            assert all("".join((item.instruction, item.input, item.output)).encode() is not None for item in read.items)


@pytest.mark.parametrize("text", ['{"a":' * 50_000, "{" * 200_000, "[" * 200_000, '{"tasks": [' * 9, "{}" * 1000, ""])
def test_json_bombs_are_no_tasks(text: str) -> None:
    read = parse_json_tasks(text, 5, "stop", whole=True)
    assert (read is None) == (text == "")
    if read:
        assert read.items == ()
        assert_adds_up(read, 5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"tasks": ["Name a river.", "Say hi."]}', ["Name a river.", "Say hi."]),
        ('["Name a river.", "Say hi."]', ["Name a river.", "Say hi."]),
        ('{"tasks": [{"instruction": "Sort:\nb\na"}]}', ["Sort: b a"]),
        (
            '{"tasks": [{"id": 1, "instruction": "Name a river."}, {"id": 2, "instruction": "Hi"}]}',
            ["Name a river.", "Hi"],
        ),
        ('{"id": 1, "instruction": "Name a river."}', ["Name a river."]),
        ('{"tasks": [{"instruction": "One "quoted" word"}, {"instruction": "Name a river."}]}', ["Name a river."]),
        (
            '{"tasks": [{"instruction": "What is {} or {\\"instruction\\": 1}?"}]}',
            ['What is {} or {"instruction": 1}?'],
        ),
        ('{"tasks": [], "note": {"instruction": 1}}', []),
        ('{"answer": 42}', []),
        ('{"tasks": [{"instruction": 5}, {"instruction": true}, {"instruction": NaN}, 7, null]}', []),
        ('{"tasks": [{"instruction": "a", "instruction": "b"}]}', ["b"]),
    ],
)
def test_json_that_is_not_quite_what_was_asked_for_is_read_as_far_as_it_goes(text: str, expected: list[str]) -> None:
    read = parse_json_tasks(text, 5, "stop", whole=False)
    assert read is not None
    assert [item.instruction for item in read.items] == expected
    assert_adds_up(read, 5)


@pytest.mark.parametrize(
    "text",
    ['4. Sort the list ["pear", "fig"].\n5. Name a river.', "I'm sorry, I can't.", " Name a river.\n5. Say hi.", ""],
)
def test_a_list_in_words_is_no_json(text: str) -> None:
    assert parse_json_tasks(text, 5, "stop", whole=False) is None


def test_a_reply_as_long_as_the_client_takes_is_read_in_bounded_work() -> None:
    for piece in ("{", '{"instruction":[1,', '{"x":1}', '{"a":"a{', '{"instruction":"a"},'):
        read = parse_json_tasks(piece * (2_000_000 // len(piece)), 5, "length", whole=False)
        assert read is not None
        assert_adds_up(read, 5)
        assert read.surplus <= MOST_SURPLUS


def test_what_no_store_can_hold_is_replaced_in_json_too() -> None:
    read = parse_json_tasks('{"tasks": [{"instruction": "a\\ud800b\\u0000c", "output": 5}]}', 1, "stop", whole=True)
    assert read is not None
    assert (read.items[0].instruction, read.items[0].output) == ("a?b\ufffdc", "5")

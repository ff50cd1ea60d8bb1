"""Recorded candidates: checked before anything starts, dealt out n a call, read back as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.errors import InputError, NotFoundError
from sedi_engine.generator.stream import Stream, parse_stream, read_stream

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
CANDIDATES = st.fixed_dictionaries({"instruction": TEXTS, "input": TEXTS, "output": TEXTS})


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines), "utf-8")
    return path


GOOD = {"instruction": "Say hi.", "output": "Hi."}


@given(st.lists(CANDIDATES, min_size=1, max_size=20), st.integers(1, 7))
def test_every_candidate_comes_once_in_order(candidates: list[dict[str, str]], n: int) -> None:
    stream, read, call_index = Stream(candidates), [], 0
    while reply := stream.reply(call_index, n):
        parsed = parse_stream(*reply)
        assert (parsed.failed, parsed.surplus) == ({}, 0) or sum(parsed.failed.values()) == 0
        assert len(parsed.items) == reply[1] == min(n, len(candidates) - call_index * n)
        read += [{"instruction": i.instruction, "input": i.input, "output": i.output} for i in parsed.items]
        call_index += 1
    assert read == candidates
    assert stream.reply(call_index + 1, n) is None


def test_fields_beyond_the_three_are_left_out_and_input_may_be_missing_or_null(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", {**GOOD, "id": 7}, {**GOOD, "input": None}, {**GOOD, "output": ""})
    read = read_stream(path)
    assert read == [{**GOOD, "input": ""}, {**GOOD, "input": ""}, {**GOOD, "input": "", "output": ""}]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "not JSON"),
        ("[1]", "list"),
        ({"instruction": "Say hi."}, "output"),
        ({"output": "Hi."}, "instruction"),
        ({**GOOD, "output": 3}, "output is int"),
        ({**GOOD, "input": ["x"]}, "input is list"),
        ({**GOOD, "instruction": None}, "instruction"),
        ("", "blank"),
    ],
)
def test_a_wrong_line_is_named_with_its_number(tmp_path: Path, line: object, fault: str) -> None:
    path = write(tmp_path / "s.jsonl", *[GOOD] * 16, line, GOOD)
    with pytest.raises(InputError) as caught:
        read_stream(path)
    assert caught.value.exit_code == 2
    assert "17" in caught.value.message and fault in caught.value.message


def test_bytes_that_are_no_text_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b'\n{"instruction": "\xff", "output": "x"}\n')
    with pytest.raises(InputError, match="2"):
        read_stream(path)


def test_an_empty_file_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no candidate"):
        read_stream(write(tmp_path / "s.jsonl"))
    with pytest.raises(NotFoundError):
        read_stream(tmp_path / "none.jsonl")
    with pytest.raises(InputError):
        read_stream(tmp_path)

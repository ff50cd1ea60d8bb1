"""From a reply to the tasks in it. Pure, and total: any text at all gives a ParsedReply.

asked = items + Σ failed, always: what was asked for and not read is counted as missing, unparseable or refused.
What a reply holds beyond the number asked is counted as surplus and not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sedi_engine.generator.prompts import NO_INPUT, one_line

FailureCause = Literal["missing", "unparseable", "refused"]

LINE_NUMBER = re.compile(r"^[ \t]*(\d{1,6})[.)](?=\s|$)", re.MULTILINE)
TASK_HEAD = re.compile(r"^[ \t]*(?:#{2,}\s*)?(?:\d{1,6}\.[ \t]*)?Instruction:", re.MULTILINE | re.IGNORECASE)
INPUT_HEAD = re.compile(r"^[ \t]*(?:\d{1,6}\.[ \t]*)?Input:", re.MULTILINE | re.IGNORECASE)
OUTPUT_HEAD = re.compile(r"^[ \t]*(?:\d{1,6}\.[ \t]*)?Output:", re.MULTILINE | re.IGNORECASE)
SEPARATOR_AT_END = re.compile(r"\n[ \t]*#{3,}\s*(?:\d{1,6}\.?\s*)?\Z")
REFUSAL = re.compile(
    r"\s*(?:i[’']?m |i am )?(?:very |so )?(?:sorry|unable to|afraid i can)|\s*i (?:can[’']?t|cannot|can not|won[’']?t)\b"
    r"|\s*as an ai\b",
    re.IGNORECASE,
)
REFUSING_ENDS = ("content_filter", "refusal")
CUT_BY_LENGTH = "length"


@dataclass(frozen=True)
class Item:
    """One task as it was read; `truncated` when the reply was cut by length inside it."""

    instruction: str
    input: str = ""
    output: str = ""
    truncated: bool = False


@dataclass(frozen=True)
class ParsedReply:
    """The tasks of a reply, at most as many as were asked; what failed, by cause; tasks beyond the number asked."""

    items: tuple[Item, ...]
    failed: dict[FailureCause, int]
    surplus: int


@dataclass(frozen=True)
class ParsedOutput:
    """The input, where the reply gave one, and output of one task."""

    input: str
    output: str
    truncated: bool


def parse_instructions(text: str, asked: int, first_number: int, finish_reason: str | None) -> ParsedReply:
    """The instructions of a numbered list that begins, with or without its number, at `first_number`.

    An entry ends at its first blank line, and line breaks inside it become blanks.
    """
    entries = [one_line(entry.strip().partition("\n\n")[0]) for entry in _entries(text, first_number)]
    items = [Item(entry) if entry else None for entry in entries]
    return _counted(items, text, asked, finish_reason)


def parse_whole_tasks(text: str, asked: int, finish_reason: str | None) -> ParsedReply:
    """The whole tasks of a reply in the form "N. Instruction: … / Input: … / Output: …", "###" between them."""
    heads = list(TASK_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    blocks = [text[head.end() : end] for head, end in zip(heads, ends, strict=True)]
    cut = finish_reason == CUT_BY_LENGTH
    last = len(blocks) - 1
    items = [_whole_task(block, unfinished=cut and place == last) for place, block in enumerate(blocks)]
    return _counted(items, text, asked, finish_reason)


def parse_output(text: str, finish_reason: str | None) -> ParsedOutput:
    """The answer to one task: all of the reply, or its parts where it begins with "Input:"."""
    if finish_reason in REFUSING_ENDS:
        return ParsedOutput("", "", False)
    head, output_head = INPUT_HEAD.match(text.lstrip()), OUTPUT_HEAD.match(text.lstrip())
    if output_head:
        input_text, output = "", text.lstrip()[output_head.end() :]
    elif head and (end := OUTPUT_HEAD.search(text.lstrip(), head.end())):
        input_text, output = text.lstrip()[head.end() : end.start()], text.lstrip()[end.end() :]
    else:
        input_text, output = "", text
    return ParsedOutput(_input(input_text), output.strip(), finish_reason == CUT_BY_LENGTH)


def _entries(text: str, first_number: int) -> Iterator[str]:
    """The texts between the numbers of a list; numbers that do not go on with the list belong to an entry."""
    numbers = list(LINE_NUMBER.finditer(text))
    heads, start = _chain(numbers, first_number)
    if start is not None:
        # the prompt ended with the first number, so the reply goes on behind it
        yield text[: heads[0].start()] if heads else text
    ends = [head.start() for head in heads[1:]] + [len(text)]
    for head, end in zip(heads, ends, strict=False):
        yield text[head.end() : end]

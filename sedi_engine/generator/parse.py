"""From a reply to the tasks in it. Pure, and total: any text at all gives a ParsedReply.

asked = items + Σ failed, always: what was asked for and not read is counted as missing, unparseable or refused.
What a reply holds beyond the number asked is counted as surplus and not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from sedi_engine.generator.body import storable
from sedi_engine.generator.json_tasks import Broken, elements
from sedi_engine.generator.prompts import one_line
from sedi_engine.generator.request import CUT

FailureCause = Literal["missing", "unparseable", "refused"]

LINE_NUMBER = re.compile(r"^[ \t]*(\d{1,6})[.)](?=\s|$)", re.MULTILINE)
TASK_HEAD = re.compile(r"^[ \t]*(?:#{2,}\s*)?(?:\d{1,6}\.[ \t]*)?Instruction:", re.MULTILINE | re.IGNORECASE)
INPUT_HEAD = re.compile(r"^[ \t]*(?:\d{1,6}\.[ \t]*)?Input:", re.MULTILINE | re.IGNORECASE)
OUTPUT_HEAD = re.compile(r"^[ \t]*(?:\d{1,6}\.[ \t]*)?Output:", re.MULTILINE | re.IGNORECASE)
SEPARATOR_AT_END = re.compile(r"\n[ \t]*#{3,}\s*(?:\d{1,6}\.?\s*)?\Z")
REFUSAL = re.compile(
    r"\s*(?:(?:i[’']?m |i am )?(?:very |so )?(?:sorry|unable to|afraid i can)|as an ai\b"
    r"|i (?:can[’']?t|cannot|can not|won[’']?t)\b)",
    re.IGNORECASE,
)
REFUSING_ENDS = ("content_filter", "refusal")
CUT_SHORT = ("length", CUT)
BLANK_LINE = re.compile(r"\n[ \t]*\n")
SKIP = 3
MOST_SURPLUS = 1000  # elements of a JSON reply beyond the number asked that are counted


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
    entries = [one_line(BLANK_LINE.split(entry.strip())[0]) for entry in _entries(text, first_number)]
    cut, last = finish_reason in CUT_SHORT, len(entries) - 1
    items = [Item(entry, truncated=cut and place == last) if entry else None for place, entry in enumerate(entries)]
    return _counted(items, text, asked, finish_reason)


def parse_whole_tasks(text: str, asked: int, finish_reason: str | None) -> ParsedReply:
    """The whole tasks of a reply in the form "N. Instruction: … / Input: … / Output: …", "###" between them."""
    blocks = _between(text, list(TASK_HEAD.finditer(text)))
    cut, last = finish_reason in CUT_SHORT, len(blocks) - 1
    items = [_whole_task(block, unfinished=cut and place == last) for place, block in enumerate(blocks)]
    return _counted(items, text, asked, finish_reason)


def parse_json_tasks(text: str, asked: int, finish_reason: str | None, *, whole: bool) -> ParsedReply | None:
    """The tasks of a reply in JSON: an object with `tasks`, an array, or objects one after the other.

    What is around them is passed over. Of half a reply every whole element is taken, and what there is of the last
    one's instruction. None where no JSON begins: then the reply may still be a list.
    """
    found = elements(text, most=asked + MOST_SURPLUS)
    if found is None:
        return None
    cut, last = finish_reason in CUT_SHORT, len(found) - 1
    read = [_json_task(one, whole, unfinished=cut and place == last) for place, one in enumerate(found)]
    return _counted(read, "", asked, finish_reason)


def parse_output(text: str, finish_reason: str | None) -> ParsedOutput:
    """The answer to one task: all of the reply, or its parts where it begins with "Input:"."""
    if finish_reason in REFUSING_ENDS:
        return ParsedOutput("", "", False)
    text = text.strip()
    input_head = INPUT_HEAD.match(text)
    output_head = OUTPUT_HEAD.search(text, input_head.end()) if input_head else OUTPUT_HEAD.match(text)
    input_text = text[input_head.end() : output_head.start()] if input_head and output_head else ""
    output = text[output_head.end() :].strip() if output_head else text
    return ParsedOutput(_input(input_text), output, finish_reason in CUT_SHORT)


def _json_task(value: Any, whole: bool, *, unfinished: bool) -> Item | None:
    """A task from an element; None where a part is missing or is no text."""
    if isinstance(value, Broken):
        begun = one_line(value.begun) if unfinished else ""
        return Item(begun, truncated=True) if begun else None
    if isinstance(value, str) and not whole:
        value = {"instruction": value}
    if not isinstance(value, dict) or not isinstance(value.get("instruction"), str):
        return None
    instruction, given, output = (_json_text(value.get(name)) for name in ("instruction", "input", "output"))
    instruction = one_line(instruction or "")
    if not instruction or (whole and (output is None or (given is None and value.get("input") is not None))):
        return None
    return Item(instruction, _input(given or ""), (output or "").strip()) if whole else Item(instruction)


def _json_text(value: Any) -> str | None:
    """A text, or a number as one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return storable(str(value))


def _entries(text: str, first_number: int) -> list[str]:
    """The texts between a list's numbers; a number that does not go on with the list belongs to an entry's text."""
    numbers = list(LINE_NUMBER.finditer(text))
    with_first = _chain(numbers, first_number)
    behind_first = _chain(numbers, first_number + 1)
    if with_first and int(with_first[0][1]) == first_number:
        return _between(text, with_first)
    if behind_first:
        # the prompt ended with the first number, so the reply goes on behind it
        return [text[: behind_first[0].start()], *_between(text, behind_first)]
    if restarted := _chain(numbers, 1):
        return _between(text, restarted)
    alone = text.strip()
    return [alone] if alone and "\n" not in BLANK_LINE.split(alone)[0] else []


def _chain(numbers: list[re.Match[str]], start: int) -> list[re.Match[str]]:
    """The numbers that count up from `start`, at most SKIP left out at a time."""
    chain, following = [], start
    for number in numbers:
        if following <= int(number[1]) <= following + SKIP:
            chain.append(number)
            following = int(number[1]) + 1
    return chain


def _between(text: str, heads: list[re.Match[str]]) -> list[str]:
    following = [head.start() for head in heads[1:]] + [len(text)]
    return [text[head.end() : end] for head, end in zip(heads, following, strict=False)]


def _whole_task(block: str, *, unfinished: bool) -> Item | None:
    """The task of one block, or None where a part is missing that no cut explains."""
    input_head = INPUT_HEAD.search(block)
    output_head = OUTPUT_HEAD.search(block, input_head.end() if input_head else 0)
    body_end = input_head.start() if input_head else output_head.start() if output_head else len(block)
    instruction = one_line(block[:body_end])
    if not instruction or not (output_head or unfinished):
        return None
    input_end = output_head.start() if output_head else len(block)
    return Item(
        instruction,
        _input(block[input_head.end() : input_end]) if input_head else "",
        SEPARATOR_AT_END.sub("", block[output_head.end() :]).strip() if output_head else "",
        truncated=unfinished,
    )


def _input(text: str) -> str:
    """The input, or nothing where it says that there is none."""
    stripped = text.strip()
    return "" if stripped.lower().strip("<>. ") in ("noinput", "no input", "none", "n/a") else stripped


def _counted(read: list[Item | None], text: str, asked: int, finish_reason: str | None) -> ParsedReply:
    """The first `asked` of what was read, with everything accounted for."""
    taken = read[:asked]
    items = tuple(item for item in taken if item)
    refused = finish_reason in REFUSING_ENDS or bool(REFUSAL.match(text))
    if refused and len(items) <= 1 and not LINE_NUMBER.search(text):
        return ParsedReply((), {"refused": asked} if asked else {}, 0)
    failed: dict[FailureCause, int] = {"missing": asked - len(taken), "unparseable": len(taken) - len(items)}
    return ParsedReply(items, {cause: count for cause, count in failed.items() if count}, len(read) - len(taken))

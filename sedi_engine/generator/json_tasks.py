"""JSON in a model's reply, as far as it goes: whole elements, those that do not decode, and a last one that was cut.

A reply may be the object that was asked for, an array alone, objects one after the other, in fences, with words around
them, and it may break off anywhere. Pure and total; what is read of one element is bounded, so that no reply takes
more than a moment.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from sedi_engine.generator.body import storable

TASKS = re.compile(r'"tasks"\s*:\s*\[\s*')
ARRAY = re.compile(r'\[\s*(?=[{"\]])')
TASK = re.compile(r'\{\s*"instruction"\s*:')
OBJECT = re.compile(r'\{\s*"')
JSON_BEGINS = re.compile(r"(?:\A|```\w*)\s*[{\[]")
NEXT_OBJECT = re.compile(r"\s*,\s*(?=\{)")
NEXT_TEXT = re.compile(r'\s*,\s*(?=")')
BEGUN = re.compile(r'(?:\{\s*"instruction"\s*:\s*)?"((?:[^"\\]|\\.)*)', re.DOTALL)
DECODER = json.JSONDecoder(strict=False)  # models write line breaks into texts as they are
LONGEST_ELEMENT = 400_000
MOST_BROKEN = 64


@dataclass(frozen=True)
class Broken:
    """An element that does not decode; `begun` is what there is of its instruction, or of a bare text."""

    begun: str


def elements(text: str, most: int) -> list[Any] | None:
    """The elements of the array of tasks, or the objects, in order and at most `most`; None where no JSON begins.

    Each is a JSON value, or Broken.
    """
    begins = JSON_BEGINS.search(text)  # elsewhere a bracket belongs to a sentence
    array, task = TASKS.search(text) or (begins and ARRAY.search(text, begins.end() - 1)), TASK.search(text)
    if array and (array.re is TASKS or task is None or array.start() < task.start()):
        inside = text[array.end() : array.end() + 1] in ("{", '"')
        return _read(text, array.end() if inside else _at(TASK, text, array.end()), TASK, most)
    if task:
        return _read(text, task.start(), TASK, most)
    if not begins:
        return None
    return _read(text, _at(OBJECT, text, begins.end() - 1), OBJECT, most) or [Broken("")]


def _read(text: str, place: int | None, head: re.Pattern[str], most: int) -> list[Any]:
    """The elements from `place` on; behind one that is broken it goes on at the next `head`."""
    found: list[Any] = []
    broken = 0
    while place is not None and len(found) < most and broken < MOST_BROKEN:
        try:
            value, length = DECODER.raw_decode(text[place : place + LONGEST_ELEMENT])
        except (ValueError, RecursionError):
            value, following, end = Broken(_begun(text, place)), None, place + 1
            broken += 1
        else:
            end = place + length
            following = (NEXT_TEXT if isinstance(value, str) else NEXT_OBJECT).match(text, end)
        found.append(value)
        place = following.end() if following else _at(head, text, end)
    return found


def _at(head: re.Pattern[str], text: str, start: int) -> int | None:
    found = head.search(text, start)
    return found.start() if found else None


def _begun(text: str, place: int) -> str:
    """What there is of an instruction that is cut; an escape that is cut is left out."""
    found = BEGUN.match(text[place : place + LONGEST_ELEMENT])
    said = found[1] if found else ""
    for cut in range(min(7, len(said) + 1)):
        try:
            return storable(json.loads(f'"{said[: len(said) - cut]}"', strict=False))
        except ValueError:
            continue
    return ""

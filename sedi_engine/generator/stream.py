"""Recorded candidates in place of a generator: n lines of a JSONL file are one whole-task call that costs nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sedi_engine.errors import InputError
from sedi_engine.generator.parse import Item, ParsedReply
from sedi_engine.generator.request import Reply, Request
from sedi_engine.jsonl import read_records

FIELDS = ("instruction", "input", "output")


def read_stream(path: Path) -> list[dict[str, str]]:
    """The candidates of a file, read whole and checked; raises InputError naming the first wrong line.

    `instruction` and `output` must be there as texts, which may be empty (the filter says what it thinks of those);
    `input` may be missing or null. Other fields are left out.
    """
    records = read_records(path, _fault)
    if not records:
        raise InputError(f"{path} holds no candidate.", "Give a JSONL file with instruction and output on each line.")
    return [{name: record.get(name) or "" for name in FIELDS} for record in records]


class Stream:
    """Recorded candidates, dealt out n a call."""

    def __init__(self, candidates: list[dict[str, str]]) -> None:
        self._candidates = candidates

    def reply(self, call_index: int, tasks_per_call: int) -> tuple[str, int] | None:
        """Text and number of tasks of a call: lines [i·n, (i+1)·n), fewer in the last; None past the end."""
        part = self._candidates[call_index * tasks_per_call : (call_index + 1) * tasks_per_call]
        return ("\n".join(json.dumps(one) for one in part), len(part)) if part else None


class StreamClient:
    """Answers a request, whose prompt is the number of the call, with what was recorded."""

    model = "stream"
    endpoint = "stream"

    def __init__(self, stream: Stream, tasks_per_call: int) -> None:
        self._stream, self._tasks_per_call = stream, tasks_per_call

    patient = False

    def holds(self, name: str) -> bool:
        """Nothing is ever on its way."""
        return False

    async def abandon(self) -> None:
        """Nothing is ever on its way."""

    async def send(self, request: Request, name: str = "") -> Reply:
        """The recorded reply, at no cost."""
        recorded = self._stream.reply(int(str(request.prompt)), self._tasks_per_call)
        assert recorded is not None, request.prompt
        return Reply(text=recorded[0], finish_reason="stop")


def parse_stream(text: str, asked: int) -> ParsedReply:
    """The candidates of a recorded reply."""
    items = tuple(Item(**json.loads(line)) for line in text.split("\n"))
    return ParsedReply(items, {"missing": asked - len(items)}, 0)


def _fault(record: Mapping[str, Any]) -> str | None:
    for name in FIELDS:
        value = record.get(name)
        if value is None and name != "input":
            return f"it has no {name}"
        if value is not None and not isinstance(value, str):
            return f"{name} is {type(value).__name__}, but should be text"
    return None

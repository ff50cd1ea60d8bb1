"""The journal of a run: every call as it is sent and every reply as it comes, on disk before anything is made of it.

One JSON object a line, synced one by one, so that a kill at any moment loses at most the line being written:

    {"sent": CALL, "request": REQUEST}      before an attempt goes out
    {"reply": CALL}                         when it came back, or failed

The worker writes it, and reads it when it resumes; the owner takes its replies into the ledger.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sedi_engine.errors import NotFoundError
from sedi_engine.generator.request import Request
from store.records import Call, CallStage


class CallKey(NamedTuple):
    """What a call of a run is known by, whatever the attempt."""

    call_index: int
    stage: CallStage
    position: int


@dataclass
class Answers:
    """What a journal knows: usable replies, calls sent and never answered, and attempts made.

    `returned` are the calls of which any attempt came back, be it with an error: those that the ledger counts.
    """

    answered: dict[CallKey, Call] = field(default_factory=dict)
    returned: set[CallKey] = field(default_factory=set)
    unanswered: dict[CallKey, tuple[Call, Request]] = field(default_factory=dict)
    attempts: dict[CallKey, int] = field(default_factory=dict)
    last_index: int = -1


class Journal:
    """The journal open for writing; a line torn by a kill is cut off first."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        _cut_torn_line(path)
        self._file = path.open("ab")

    def load(self) -> Answers:
        """What is in the journal so far."""
        answers = Answers()
        for kind, call, request in _lines(self._path):
            key = CallKey(call.call_index, call.stage, call.position)
            answers.attempts[key] = max(answers.attempts.get(key, 0), call.attempt + 1)
            answers.last_index = max(answers.last_index, call.call_index)
            if kind == "sent":
                answers.unanswered[key] = (call, Request.from_dict(request))
                continue
            answers.unanswered.pop(key, None)
            answers.returned.add(key)
            if call.raw_reply is not None:
                answers.answered[key] = call
        return answers

    def sent(self, call: Call, request: Request) -> int:
        """An attempt goes out now; the byte at which its line begins."""
        return self._append({"sent": call.model_dump(mode="json"), "request": request.as_dict()})

    def reply(self, call: Call) -> None:
        """An attempt came back, or failed."""
        self._append({"reply": call.model_dump(mode="json")})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _append(self, record: dict[str, Any]) -> int:
        offset = self._file.tell()
        self._file.write(json.dumps(record, ensure_ascii=True).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        return offset


def calls(path: Path) -> Iterator[Call]:
    """Every attempt that came back, in order; a torn last line is passed over."""
    return (call for kind, call, _ in _lines(path) if kind == "reply")


def request_at(path: Path, offset: int) -> tuple[Call, Request]:
    """An attempt as it was sent, from the line that begins at `offset`; raises NotFoundError if none does."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            record = json.loads(file.readline())
        return Call.model_validate(record["sent"]), Request.from_dict(record["request"])
    except (OSError, ValueError, KeyError, TypeError):
        raise NotFoundError(
            f"The journal {path} has no request at byte {offset}.", "The run's folder is gone or was changed."
        ) from None


def _lines(path: Path) -> Iterator[tuple[str, Call, dict[str, Any]]]:
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                record = json.loads(line)
                kind = "sent" if "sent" in record else "reply"
                yield kind, Call.model_validate(record[kind]), record.get("request", {})


def _cut_torn_line(path: Path) -> None:
    """Nothing was made of a line that is not whole: what it would have said is asked for again."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)

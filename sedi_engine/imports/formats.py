"""From a record to the tasks in it, whichever form it is in. Pure.

    self_instruct       instruction, instances [{input, output}], is_classification: a task for each instance
    alpaca              instruction, input, output
    sharegpt            conversations [{from, value}]: the first human turn and the answer to it
    openai              messages [{role, content}]: the first user turn and the answer to it
    prompt_completion   prompt, completion (or response)
    columns             any other names: which column is what is guessed from them, or said

System turns and later turns are left out. Missing inputs and outputs are empty texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sedi_engine.generator.body import storable

FormatName = Literal["self_instruct", "alpaca", "sharegpt", "openai", "prompt_completion", "columns"]
Target = Literal["seeds", "heldout", "reference", "stream"]
PARTS = ("instruction", "input", "output")
NEEDS_OUTPUT: tuple[Target, ...] = ("seeds", "heldout")
LONGEST_TEXT = 100_000
GUESSES: dict[str, tuple[str, ...]] = {
    "instruction": ("instruction", "prompt", "question", "task", "query", "human", "user", "title"),
    "input": ("input", "context", "passage"),
    "output": ("output", "completion", "response", "answer", "target", "gpt", "assistant", "reply"),
}
ASKERS, ANSWERERS = ("human", "user"), ("gpt", "assistant", "model", "chatgpt", "bot")


@dataclass(frozen=True)
class Task:
    """A task as it was read."""

    instruction: str
    input: str = ""
    output: str = ""
    is_classification: bool = False

    @property
    def key(self) -> str:
        """Equal for tasks that differ in case and white space alone."""
        texts = (" ".join(text.casefold().split()) for text in (self.instruction, self.input, self.output))
        return hashlib.md5("\x1f".join(texts).encode(), usedforsecurity=False).hexdigest()


def recognise(record: Mapping[str, Any]) -> FormatName | None:
    """The form that a record is in; None where no column looks like an instruction."""
    if isinstance(record.get("instances"), list) and "instruction" in record:
        return "self_instruct"
    if isinstance(record.get("conversations"), list):
        return "sharegpt"
    if isinstance(record.get("messages"), list):
        return "openai"
    if "instruction" in record:
        return "alpaca"
    if "prompt" in record and ("completion" in record or "response" in record):
        return "prompt_completion"
    return "columns" if "instruction" in guess_columns(list(record)) else None


def guess_columns(names: Sequence[str]) -> dict[str, str]:
    """Which column holds instruction, input and output, as far as their names tell."""
    plain = {name.strip().casefold(): name for name in names}
    found: dict[str, str] = {}
    for part, guesses in GUESSES.items():
        name = next((plain[guess] for guess in guesses if guess in plain and plain[guess] not in found.values()), None)
        if name is not None:
            found[part] = name
    return found


def tasks_of(
    record: Mapping[str, Any], form: FormatName | None, columns: Mapping[str, str], target: Target
) -> list[Task] | str:
    """The tasks of a record, or what is wrong with it in words."""
    if columns:
        read: list[Task] | str = _from_columns(record, columns)
    else:
        form = form or recognise(record)
        read = READERS[form](record) if form else f"no column is an instruction; it has {_names(record)}"
    if isinstance(read, str):
        return read
    for task in read:
        if fault := _fault(task, target):
            return fault
    return read


def _fault(task: Task, target: Target) -> str | None:
    if not task.instruction.strip():
        return "its instruction is empty"
    if target in NEEDS_OUTPUT and not task.output.strip():
        return f"its output is empty, which {target} need"
    longest = max((task.instruction, task.input, task.output), key=len)
    if len(longest) > LONGEST_TEXT:
        return f"a text of it has {len(longest):,} characters, more than {LONGEST_TEXT:,}"
    return None


def _from_columns(record: Mapping[str, Any], columns: Mapping[str, str]) -> list[Task] | str:
    if missing := next((name for name in columns.values() if name not in record), None):
        return f"it has no column {missing!r}; it has {_names(record)}"
    return _task({part: record[name] for part, name in columns.items()})


def _guessed(record: Mapping[str, Any]) -> list[Task] | str:
    columns = guess_columns(list(record))
    if "instruction" not in columns:
        return f"no column is an instruction; it has {_names(record)}"
    return _from_columns(record, columns)


def _alpaca(record: Mapping[str, Any]) -> list[Task] | str:
    output = next((name for name in GUESSES["output"] if name in record), "output")
    source = next((name for name in GUESSES["input"] if name in record), "input")
    return _task({"instruction": record.get("instruction"), "input": record.get(source), "output": record.get(output)})


def _prompt_completion(record: Mapping[str, Any]) -> list[Task] | str:
    return _task({"instruction": record.get("prompt"), "output": record.get("completion", record.get("response"))})


def _self_instruct(record: Mapping[str, Any]) -> list[Task] | str:
    instances, found = record.get("instances") or [], []
    if not isinstance(instances, list) or not all(isinstance(one, Mapping) for one in instances) or not instances:
        return "it has no instance"
    for instance in instances:
        read = _task(
            {
                "instruction": record.get("instruction"),
                "input": instance.get("input"),
                "output": instance.get("output"),
            },
            is_classification=record.get("is_classification") is True,
        )
        if isinstance(read, str):
            return read
        found += read
    return found


def _sharegpt(record: Mapping[str, Any]) -> list[Task] | str:
    return _turns(record.get("conversations"), "from", "value")


def _messages(record: Mapping[str, Any]) -> list[Task] | str:
    return _turns(record.get("messages"), "role", "content")


def _turns(turns: Any, who: str, said: str) -> list[Task] | str:
    """The first turn of a person, and the model's answer to it."""
    if not isinstance(turns, list) or not all(isinstance(turn, Mapping) for turn in turns):
        return f"its turns are no list of {{{who}, {said}}}"
    first = next((place for place, turn in enumerate(turns) if turn.get(who) in ASKERS), None)
    if first is None:
        return "no turn is a person's"
    answer = turns[first + 1] if first + 1 < len(turns) else {}
    output = answer.get(said) if answer.get(who) in ANSWERERS else ""
    return _task({"instruction": turns[first].get(said), "output": output})


def _task(values: Mapping[str, Any], is_classification: bool = False) -> list[Task] | str:
    texts: dict[str, str] = {}
    for part in PARTS:
        value = values.get(part)
        if value is not None and not isinstance(value, str | int | float):
            return f"its {part} is a {type(value).__name__}, but should be text"
        texts[part] = "" if value is None else storable(str(value)).strip()
    return [Task(texts["instruction"], _no_input(texts["input"]), texts["output"], is_classification)]


def _no_input(text: str) -> str:
    return "" if text.casefold() in ("<noinput>", "nan") else text


def _names(record: Mapping[str, Any]) -> str:
    return ", ".join(storable(str(name))[:40] for name in list(record)[:8]) or "none"


READERS = {
    "self_instruct": _self_instruct,
    "alpaca": _alpaca,
    "sharegpt": _sharegpt,
    "openai": _messages,
    "prompt_completion": _prompt_completion,
    "columns": _guessed,
}

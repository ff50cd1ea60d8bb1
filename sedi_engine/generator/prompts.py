"""Prompts: demonstrations and a template in, a request out. Pure but for reading the template.

Which template a stage uses follows from the generator, or is named in `prompts.*`; its name goes into the ledger with
every call. Values are put in place of {{markers}} in one pass, so nothing inside a value is ever read as a marker.

The embedded model goes on with Self-Instruct's numbered list, which stands as the beginning of its own turn in the
chat form that it was tuned on, and it answers a task with no demonstration: for a model this small both were measured
to be better than a bare list and than demonstrated answers. An endpoint is told what to do in words, and asked for
JSON unless `generator.reply_form` is text; one that only completes goes on with a bare list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from sedi_engine.config import RunConfig
from sedi_engine.generator.request import Request
from sedi_engine.generator.templates import Templates, TemplateStage, name_for, replies_in_json
from store.records import Seed

NO_INPUT = "<noinput>"
MARKER = re.compile(r"\{\{(\w+)\}\}")
OUTPUT_FREQUENCY_PENALTY = 0.3


def instruction_request(demos: Sequence[Seed], config: RunConfig, seed: int, templates: Templates) -> Request:
    """The demonstrations' instructions, to be gone on with by `generator.tasks_per_call` more."""
    generator, first = config.generator, len(demos) + 1
    name = name_for("instructions", config)
    if replies_in_json(name):
        lines = ",\n".join(_json({"instruction": one_line(demo.instruction)}) for demo in demos)
    else:
        lines = "\n".join(f"{number}. {one_line(demo.instruction)}" for number, demo in enumerate(demos, start=1))
    return _request(
        "instructions",
        name,
        config,
        _list_values(demos, config, lines),
        templates,
        max_tokens=generator.max_instruction_tokens,
        temperature=generator.temperature,
        top_p=generator.top_p,
        presence_penalty=generator.presence_penalty,
        stop=() if replies_in_json(name) else (f"\n{first + generator.tasks_per_call}.",),
        seed=seed,
    )


def output_request(
    instruction: str, demos: Sequence[Seed], config: RunConfig, seed: int, templates: Templates
) -> Request:
    """One task, to be solved; an endpoint sees the demonstrations and may write an input first."""
    generator = config.generator
    name = name_for("output", config)
    sampling: dict[str, Any] = {
        "max_tokens": generator.max_output_tokens,
        "temperature": generator.output_temperature,
        "top_p": generator.top_p,
        "seed": seed,
    }
    if generator.kind == "embedded":
        text = templates.text(name)
        said = render(text, {"examples": "", "instruction": one_line(instruction)})
        messages = (("user", said),) if "{{instruction}}" in text else (("system", said), ("user", instruction))
        penalty = OUTPUT_FREQUENCY_PENALTY
        return Request("chat", messages, frequency_penalty=penalty, prompt_version=name, **sampling)
    examples = "".join(f"Task: {one_line(demo.instruction)}\n{_solved(demo)}\n\n" for demo in demos)
    stop = ("\nTask:",) if generator.api == "completion" else ()
    values = {"examples": examples, "instruction": one_line(instruction)}
    model = generator.output_model or ""
    return _request("output", name, config, values, templates, model=model, stop=stop, **sampling)


def whole_task_request(demos: Sequence[Seed], config: RunConfig, seed: int, templates: Templates) -> Request:
    """Demonstrations as whole tasks, to be gone on with by `generator.tasks_per_call` more (the one-call form)."""
    generator, total = config.generator, len(demos) + config.generator.tasks_per_call
    name = name_for("whole_task", config)
    if replies_in_json(name):
        shown = ",\n".join(
            _json({"instruction": one_line(demo.instruction), "input": demo.input, "output": demo.output})
            for demo in demos
        )
    else:
        shown = "".join(whole_task_text(number, demo) for number, demo in enumerate(demos, start=1))
    return _request(
        "whole_task",
        name,
        config,
        _list_values(demos, config, shown),
        templates,
        max_tokens=generator.max_instruction_tokens + generator.tasks_per_call * generator.max_output_tokens,
        temperature=generator.temperature,
        top_p=generator.top_p,
        stop=() if replies_in_json(name) else (f"\n{total + 1}. Instruction:",),
        seed=seed,
    )


def whole_task_text(number: int, task: Seed) -> str:
    """One whole task in the numbered form that `parse_whole_tasks` reads."""
    return f"###\n{number}. Instruction: {one_line(task.instruction)}\n{_solved(task)}\n"


def one_line(text: str) -> str:
    """The text with every run of white space as one blank."""
    return " ".join(text.split())


def task_schema(stage: TemplateStage) -> dict[str, Any]:
    """The JSON schema of a reply: an object with `tasks`, in the strict form that allows no other property."""
    fields = ("instruction",) if stage == "instructions" else ("instruction", "input", "output")
    task = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in fields},
        "required": list(fields),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"tasks": {"type": "array", "items": task}},
        "required": ["tasks"],
        "additionalProperties": False,
    }


def render(text: str, values: dict[str, str]) -> str:
    """The text with every marker replaced in one pass, so that nothing inside a value is read as a marker."""
    return MARKER.sub(lambda marker: values[marker[1]], text)


def _list_values(demos: Sequence[Seed], config: RunConfig, shown: str) -> dict[str, str]:
    count = config.generator.tasks_per_call
    numbers = {"total": len(demos) + count, "shown": len(demos), "first": len(demos) + 1, "count": count}
    return {**{name: str(number) for name, number in numbers.items()}, "list": shown}


def _request(
    stage: TemplateStage, name: str, config: RunConfig, values: dict[str, str], templates: Templates, **more: Any
) -> Request:
    text = render(templates.text(name), values)
    completes = config.generator.kind == "embedded" or config.generator.api == "completion"
    kind: Literal["completion", "chat"] = "completion" if completes else "chat"
    schema = task_schema(stage) if kind == "chat" and replies_in_json(name) else None
    prompt = text if completes else (("user", text),)
    return Request(kind=kind, prompt=prompt, prompt_version=name, schema=schema, **more)


def _solved(task: Seed) -> str:
    return f"Input: {task.input or NO_INPUT}\nOutput: {task.output}"


def _json(values: dict[str, str]) -> str:
    return json.dumps(values, ensure_ascii=False)

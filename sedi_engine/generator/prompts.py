"""Prompts: demonstrations and a template in, a request out. Pure.

The texts are files in `sedi_engine/templates`, whose names carry their version; it goes into the ledger with every
call. Values are put in place of {{markers}} in one pass, so that nothing inside a value is ever read as a marker.

The embedded model goes on with Self-Instruct's numbered list, which stands as the beginning of its own turn in the
chat form that it was tuned on, and it answers a task with no demonstration: for a model this small both were measured
to be better than a bare list and than demonstrated answers. An endpoint is told what to do in words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources

from sedi_engine.config import GeneratorConfig
from sedi_engine.generator.request import Request
from store.records import Seed

NO_INPUT = "<noinput>"
MARKER = re.compile(r"\{\{(\w+)\}\}")
LIST_PRESENCE_PENALTY = 0.5
OUTPUT_FREQUENCY_PENALTY = 0.3


def instruction_request(demos: Sequence[Seed], tasks_per_call: int, config: GeneratorConfig, seed: int) -> Request:
    """A list of the demonstrations' instructions, to be gone on with by `tasks_per_call` more."""
    first, total = len(demos) + 1, len(demos) + tasks_per_call
    lines = "\n".join(f"{number}. {one_line(demo.instruction)}" for number, demo in enumerate(demos, start=1))
    embedded = config.kind == "embedded"
    version = "instruction_list.v1" if embedded else "instruction_list_endpoint.v1"
    text = _render(version, total=str(total), shown=str(len(demos)), first=str(first), list=lines)
    return Request(
        kind="completion" if embedded else "chat",
        prompt=text if embedded else (("user", text),),
        max_tokens=config.max_instruction_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        presence_penalty=LIST_PRESENCE_PENALTY,
        stop=(f"\n{total + 1}.",),
        seed=seed,
        prompt_version=version,
    )


def output_request(instruction: str, demos: Sequence[Seed], config: GeneratorConfig, seed: int) -> Request:
    """One task, to be solved; an endpoint sees the demonstrations and may write an input first."""
    if config.kind == "embedded":
        version = "output.v1"
        messages = (("system", _render(version)), ("user", instruction))
    else:
        version = "output_endpoint.v1"
        examples = "".join(f"Task: {one_line(demo.instruction)}\n{_solved(demo)}\n\n" for demo in demos)
        messages = (("user", _render(version, examples=examples, instruction=one_line(instruction))),)
    return Request(
        kind="chat",
        prompt=messages,
        max_tokens=config.max_output_tokens,
        temperature=config.output_temperature,
        top_p=config.top_p,
        frequency_penalty=OUTPUT_FREQUENCY_PENALTY if config.kind == "embedded" else 0.0,
        seed=seed,
        prompt_version=version,
    )


def whole_task_request(demos: Sequence[Seed], tasks_per_call: int, config: GeneratorConfig, seed: int) -> Request:
    """Demonstrations as whole tasks, to be gone on with by `tasks_per_call` more (Alpaca's one-call form)."""
    first, total = len(demos) + 1, len(demos) + tasks_per_call
    version = "whole_task.v1"
    shown = "".join(whole_task_text(number, demo) for number, demo in enumerate(demos, start=1))
    ask = _render(version, total=str(total), shown=str(len(demos)), first=str(first), list=shown)
    return Request(
        kind="chat",
        prompt=(("user", ask),),
        max_tokens=config.max_instruction_tokens + tasks_per_call * config.max_output_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        stop=(f"\n{total + 1}. Instruction:",),
        seed=seed,
        prompt_version=version,
    )


def whole_task_text(number: int, task: Seed) -> str:
    """One whole task in the numbered form that `parse_whole_tasks` reads."""
    return f"###\n{number}. Instruction: {one_line(task.instruction)}\n{_solved(task)}\n"


def one_line(text: str) -> str:
    """The text with every run of white space as one blank."""
    return " ".join(text.split())


def _solved(task: Seed) -> str:
    return f"Input: {task.input or NO_INPUT}\nOutput: {task.output}"


def _render(name: str, **values: str) -> str:
    return MARKER.sub(lambda marker: values[marker[1]], _template(name))


@cache
def _template(name: str) -> str:
    text = resources.files("sedi_engine").joinpath("templates", f"{name}.txt").read_text("utf-8")
    return text.rstrip("\n")

"""Prompts to look at: the one that any call of a run was sent with, and those that settings or a draft would make.

    rendered(folder, run_id, call) -> Ask                       what a call was sent with, from the run's journal
    sample(stage, config, seeds, templates) -> Ask              what a run with these settings would send
    preview(stage, text, config, seeds, folder, stem) -> Ask    the same with a text that is not saved yet
    said(request) -> str                                        a request's prompt as one text to show

An Ask holds the call as the ledger would name it and the request as it goes out; `request.prompt` is a text, or
(role, content) pairs. Any Ask can be tried: `Service.trial`. All of it is plain text that a model or a person wrote,
and never markup.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sedi_engine import paths
from sedi_engine.config import RunConfig
from sedi_engine.errors import InputError, NotFoundError
from sedi_engine.generator import journal, prompts
from sedi_engine.generator.caller import Ask
from sedi_engine.generator.request import Request
from sedi_engine.generator.templates import DRAFT, Templates, TemplateStage
from store.records import Call, CallStage, Seed

CALL_STAGES: dict[TemplateStage, CallStage] = {
    "instructions": "instruction",
    "output": "output",
    "whole_task": "whole_task",
}


def rendered(folder: Path, run_id: str, call: Mapping[str, Any]) -> Ask:
    """The request that a row of `store.probes.calls` was sent with; raises NotFoundError where it is gone."""
    path = paths.journal(folder, run_id)
    offset = call["journal_offset"]
    return Ask(*(journal.request_at(path, offset) if offset is not None else _search(path, call)))


def sample(stage: TemplateStage, config: RunConfig, seeds: Sequence[Seed], templates: Templates) -> Ask:
    """A prompt of this stage with demonstrations drawn from `seeds` by random_seed. Raises InputError or ConfigError.

    For an output the first of those drawn is the task to be solved.
    """
    rng = random.Random(config.random_seed)
    drawn = rng.sample(list(seeds), min(config.demos.count + config.demos.from_pool, len(seeds)))
    asked = config.generator.tasks_per_call
    if stage == "output":
        demos = [] if config.generator.kind == "embedded" else drawn[1:]
        task = drawn[0].instruction if drawn else ""
        request = prompts.output_request(task, demos, config, config.random_seed, templates)
        asked = 0
    else:
        demos = drawn
        ask = prompts.instruction_request if stage == "instructions" else prompts.whole_task_request
        request = ask(demos, config, config.random_seed, templates)
    call = Call(
        run_id="",
        call_index=0,
        stage=CALL_STAGES[stage],
        iteration=0,
        model=request.model or config.generator.model,
        endpoint="",
        prompt_version=request.prompt_version,
        demo_seed_ids=tuple(demo.seed_id for demo in demos),
        asked=asked,
    )
    return Ask(call, request)


def preview(
    stage: TemplateStage,
    text: str,
    config: RunConfig,
    seeds: Sequence[Seed],
    folder: Path | None = None,
    stem: str = "draft",
) -> Ask:
    """The prompt that a draft makes; a `stem` that ends in _json asks for JSON. Raises InputError for a bad draft."""
    templates = Templates(folder)
    if fault := templates.check(text, stage):
        raise InputError(f"The draft cannot be used: {fault}.", "Correct it.")
    name = f"{templates.full_stem(stem, stage)}.v{DRAFT}"
    return sample(stage, config.with_settings({f"prompts.{stage}": name}), seeds, templates.draft(name, text))


def said(request: Request) -> str:
    """A request's prompt as one text: as it is, or each turn under its role."""
    if isinstance(request.prompt, str):
        return request.prompt
    return "\n\n".join(f"[{role}]\n{content}" for role, content in request.prompt)


def _search(path: Path, call: Mapping[str, Any]) -> tuple[Call, Request]:
    """The same by reading the journal from its beginning: ledgers from before offsets have none."""
    wanted = [call[name] for name in ("call_index", "stage", "position", "attempt")]
    try:
        with path.open("rb") as file:
            for line in file:
                if line.startswith(b'{"sent"') and line.endswith(b"\n"):
                    record = json.loads(line)
                    sent = Call.model_validate(record["sent"])
                    if [sent.call_index, sent.stage, sent.position, sent.attempt] == wanted:
                        return sent, Request.from_dict(record["request"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # a journal that is gone or was changed has nothing to show: said below
    raise NotFoundError(
        f"The prompt of call {call['call_index']} is not in {path}.", "The run's folder is gone or was changed."
    )

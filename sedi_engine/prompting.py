"""What the owner of a store can be asked about prompts: to show one, to try one, and to test a connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sedi_engine import rendering
from sedi_engine.config import RunConfig
from sedi_engine.errors import NotFoundError
from sedi_engine.generator.caller import Ask
from sedi_engine.generator.request import Request
from sedi_engine.generator.templates import Templates, TemplateStage
from sedi_engine.jobs import Manager
from sedi_engine.probe import Prober
from store import probes, seeds
from store.database import Store
from store.records import Call, CallStage

BY = "command"


def commands(store: Store, manager: Manager, prober: Prober) -> dict[str, Callable[..., Any]]:
    """The commands by name; arguments and results are JSON-ready."""

    def examine(config: dict[str, Any], key: str | None) -> dict[str, Any]:
        return asdict(prober.examine(RunConfig.model_validate(config), key, BY).result())

    def trial(config: dict[str, Any], key: str | None, ask: dict[str, Any]) -> dict[str, Any]:
        return prober.trial(RunConfig.model_validate(config), key, from_dict(ask), BY).result().as_dict()

    def sample(config: dict[str, Any], stage: TemplateStage) -> dict[str, Any]:
        checked = RunConfig.model_validate(config)
        return as_dict(rendering.sample(stage, checked, store.read(seeds.library), Templates(store.folder)))

    def prompt(
        run_id: str, call_index: int, stage: CallStage | None, position: int, attempt: int | None
    ) -> dict[str, Any]:
        manager.get(run_id)
        row = store.read(probes.call, run_id, call_index, stage, position, attempt)
        if row is None:
            raise NotFoundError(
                f"Run {run_id} has no such call {call_index}.",
                "Give its --stage, and an output's --position; a retry has an --attempt.",
            )
        ask = as_dict(rendering.rendered(store.folder, run_id, row))
        return {**ask, "reply": row["raw_reply"], "error": row["error"]}

    return {"examine": examine, "trial": trial, "sample": sample, "prompt": prompt}


def as_dict(ask: Ask) -> dict[str, Any]:
    """An Ask as JSON-ready values."""
    return {"call": ask.call.model_dump(mode="json"), "request": ask.request.as_dict()}


def from_dict(values: dict[str, Any]) -> Ask:
    """What `as_dict` gave."""
    return Ask(Call.model_validate(values["call"]), Request.from_dict(values["request"]))

"""Which call comes next: its demonstrations and sampling follow from (random_seed, iteration, call_index).

The same place in the same run always asks the same, so a resumed run repeats what is missing word for word.
"""

from __future__ import annotations

import random

from sedi_engine.config import RunConfig
from sedi_engine.generator import prompts
from sedi_engine.generator.caller import Ask
from sedi_engine.generator.reading import STREAM
from sedi_engine.generator.request import Request
from sedi_engine.generator.stream import Stream
from sedi_engine.generator.templates import Templates
from store.records import Call, CallStage, Seed
from store.snapshot import PoolEntry, Snapshot

SEED_BITS = 31


class Asks:
    """The calls of one iteration; `endpoint` is what the ledger names."""

    def __init__(
        self,
        snapshot: Snapshot,
        config: RunConfig,
        endpoint: str,
        templates: Templates,
        stream: Stream | None = None,
    ) -> None:
        self._snapshot, self._config, self._stream = snapshot, config, stream
        self.templates = templates
        self._endpoint = endpoint
        self._seeds = {state.seed.seed_id: state.seed for state in snapshot.active}
        self._made = {
            entry.ident: _as_seed(entry)
            for entry in snapshot.pool
            if entry.source == "kept" and entry.output is not None
        }

    def instruction(self, call_index: int) -> Ask | None:
        """The call with this index; None when a stream has no more."""
        if self._stream:
            return self._recorded(call_index)
        rng = self._random(call_index)
        seed_ids, pool_ids = self._demonstrations(rng)
        demos = [self._seeds[ident] for ident in seed_ids] + [self._made[ident] for ident in pool_ids]
        n, sampling_seed = self._config.generator.tasks_per_call, rng.getrandbits(SEED_BITS)
        if self._config.generator.prompt_form == "staged":
            stage: CallStage = "instruction"
            request = prompts.instruction_request(demos, self._config, sampling_seed, self.templates)
        else:
            stage = "whole_task"
            request = prompts.whole_task_request(demos, self._config, sampling_seed, self.templates)
        call = self._call(call_index, stage, request, n, seed_ids, pool_ids)
        return Ask(call, request)

    def _demonstrations(self, rng: random.Random) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Ids of seeds and of machine-made examples to show; an aimed iteration draws from its own alone."""
        wanted, aim = self._config.demos, self._snapshot.aim
        seeds = {ident: self._seeds[ident] for ident in aim if ident in self._seeds} if aim else self._seeds
        made = {ident: self._made[ident] for ident in aim if ident in self._made} if aim else self._made
        if not seeds and not made:
            seeds, made = self._seeds, self._made  # what it was aimed at has left S since
        seed_ids = _draw(rng, seeds, wanted.count)
        missing = wanted.count - len(seed_ids) if aim else 0
        return seed_ids, _draw(rng, made, wanted.from_pool + missing)

    def output(self, of: Call, position: int, instruction: str) -> Ask:
        """The call for the output of a candidate that passed; an endpoint sees the demonstrations of its list."""
        rng = self._random(of.call_index, position)
        shown = of.demo_seed_ids if self._config.generator.kind == "endpoint" else ()
        demos = [self._seeds[ident] for ident in shown if ident in self._seeds]
        sampling_seed = rng.getrandbits(SEED_BITS)
        request = prompts.output_request(instruction, demos, self._config, sampling_seed, self.templates)
        call = self._call(of.call_index, "output", request, 0, tuple(demo.seed_id for demo in demos), ())
        return Ask(call.model_copy(update={"position": position}), request)

    def _recorded(self, call_index: int) -> Ask | None:
        assert self._stream is not None
        reply = self._stream.reply(call_index, self._config.generator.tasks_per_call)
        if reply is None:
            return None
        request = Request("completion", str(call_index), max_tokens=0, temperature=0, prompt_version=STREAM)
        return Ask(self._call(call_index, "whole_task", request, reply[1], (), ()), request)

    def _call(
        self,
        call_index: int,
        stage: CallStage,
        request: Request,
        asked: int,
        seed_ids: tuple[str, ...],
        pool_ids: tuple[str, ...],
    ) -> Call:
        return Call(
            run_id=self._snapshot.run_id,
            call_index=call_index,
            stage=stage,
            iteration=self._snapshot.iteration,
            model=STREAM if self._stream else request.model or self._config.generator.model,
            endpoint=self._endpoint,
            prompt_version=request.prompt_version,
            demo_seed_ids=seed_ids,
            demo_pool_ids=pool_ids,
            asked=asked,
            last_decision=self._snapshot.last_decision,
        )

    def _random(self, *place: int) -> random.Random:
        return random.Random(f"{self._config.random_seed}/{self._snapshot.iteration}/{place}")


def _draw(rng: random.Random, tasks: dict[str, Seed], count: int) -> tuple[str, ...]:
    return tuple(rng.sample(list(tasks), min(count, len(tasks))))


def _as_seed(entry: PoolEntry) -> Seed:
    return Seed(
        seed_id=entry.ident,
        instruction=entry.instruction,
        input=entry.input,
        output=entry.output or "",
        origin="machine",
    )

"""One iteration, top to bottom: generate → compose → train → feedback. The one place that joins the stages.

It runs in the worker, takes a snapshot, and says what happens in events. Nothing here reads or writes the store, so an
iteration depends on its snapshot, its journal and the generator's replies alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sedi_engine import paths, proposals
from sedi_engine.config import RunConfig
from sedi_engine.costs import Budget
from sedi_engine.filters.verdict import Filter
from sedi_engine.generator.asks import Asks
from sedi_engine.generator.caller import Caller
from sedi_engine.generator.journal import Journal
from sedi_engine.generator.templates import Templates
from sedi_engine.generator.window import Emit, Stop, Window
from sedi_engine.seeds import heldout_tasks
from sedi_engine.tools import Tools
from store.events import (
    CallRecorded,
    Outcome,
    Phase,
    PhaseStarted,
    StepDone,
    StudentLoaded,
    WindowComposed,
    WindowFinished,
)
from store.records import Batch, Seed, Step
from store.snapshot import Queued, Snapshot

if TYPE_CHECKING:
    from sedi_engine.chat import Example
    from sedi_engine.train import StepResult, Student


class Iteration:
    """One iteration of a run; `run` returns False when it was asked to stop before its end."""

    def __init__(self, snapshot: Snapshot, tools: Tools, emit: Emit, stop: Stop) -> None:
        self._snapshot, self._tools, self._emit, self._stop = snapshot, tools, emit, stop
        self._config = RunConfig.model_validate(snapshot.config)
        self._cap: str | None = snapshot.window_cap

    async def run(self) -> bool:
        """Work through the stages; a window that was composed before goes on with its stored batches."""
        queue: Sequence[Queued] = self._snapshot.queue
        outcome: Outcome | None = self._snapshot.window_outcome
        if not self._snapshot.batches:
            outcome, queue = await self._generate()
        if outcome is None:
            return False
        members = self._members(queue)
        if self._config.train.model == "none" or not members:
            self._finish(outcome, members)
            return True
        batches = self._snapshot.batches or self._compose(members, outcome)
        return self._learn(batches, {member.candidate_id: member for member in members}, outcome)

    async def _generate(self) -> tuple[Outcome | None, list[Queued]]:
        """Fill the queue; the outcome is None when asked to stop."""
        self._phase("loading")
        client = await self._tools.client(self._snapshot.run_id, self._config)
        self._phase("generate")
        journal = Journal(paths.journal(self._tools.folder, self._snapshot.run_id))
        caller = Caller(self._config, client, journal, self._budget(), lambda call: self._emit(CallRecorded, call=call))
        templates = Templates(self._tools.folder)
        asks = Asks(self._snapshot, self._config, client.endpoint, templates, self._tools.stream)
        window = Window(self._snapshot, self._config, self._filter(), asks, caller, self._emit, self._stop)
        try:
            outcome = await window.fill()
        finally:
            journal.close()
        self._cap = caller.cap if outcome == "capped" else None
        return outcome, window.queue

    def _budget(self) -> Budget:
        spent = self._snapshot
        return Budget(
            self._config.budget,
            calls=spent.calls_sent,
            tokens=spent.tokens_spent,
            usd=spent.cost_usd or 0.0,
            elapsed_s=spent.elapsed_s,
        )

    def _filter(self) -> Filter:
        heldout = [task.instruction for task in self._heldout()]
        judge = Filter(self._config.filter.threshold, self._config.filter.tokenizer, heldout)
        for entry in self._snapshot.pool:
            judge.add(entry.instruction, entry.ident, entry.source)
            if entry.output is not None:
                judge.complete(entry.instruction, entry.input, entry.output)
        return judge

    def _heldout(self) -> tuple[Seed, ...]:
        """The tasks that the student is measured on and that nothing may come near: ours, or an imported set."""
        return self._snapshot.heldout or heldout_tasks()

    def _members(self, queue: Sequence[Queued]) -> list[Queued]:
        """The oldest of the queue, in full batches: W of them, or what a window that closed early has."""
        if self._snapshot.batches:
            composed = {member for batch in self._snapshot.batches for member in batch.members}
            return [one for one in queue if one.candidate_id in composed]
        size = self._config.compose.batch_size
        return list(queue[: min(self._config.window, len(queue) // size * size)])

    def _compose(self, members: Sequence[Queued], outcome: Outcome) -> tuple[Batch, ...]:
        """Embed, cluster and deal the members into batches."""
        from sedi_engine.compose import batch_diversities, compose
        from sedi_engine.embed import example_text

        self._phase("embed")
        vectors = self._tools.embedder().encode([example_text(one.instruction, one.input) for one in members])
        self._phase("compose")
        size, settings = self._config.compose.batch_size, self._config.compose
        seed = self._config.random_seed + self._snapshot.iteration
        composition = compose(vectors, len(members) // size, settings.composer, seed, clusters=size)
        batches = tuple(
            Batch(
                run_id=self._snapshot.run_id,
                iteration=self._snapshot.iteration,
                step=self._snapshot.next_step + position,
                members=tuple(members[index].candidate_id for index in indices),
                clusters=composition.clusters(position),
                **vars(measured),
            )
            for position, (indices, measured) in enumerate(
                zip(composition.batches, batch_diversities(vectors, composition), strict=True)
            )
        )
        self._emit(WindowComposed, iteration=self._snapshot.iteration, outcome=outcome, cap=self._cap, batches=batches)
        return batches

    def _learn(self, batches: Sequence[Batch], members: dict[str, Queued], outcome: Outcome) -> bool:
        """Train on every batch, measure, save, and propose; False when asked to stop between two steps."""
        self._phase("train")
        student = self._tools.student(self._snapshot, self._config)
        self._emit(
            StudentLoaded,
            device=student.device_name,
            precision=student.precision,
            trained_parameters=student.trained_parameters,
        )
        steps = []
        for batch in batches:
            if self._stop.requested:
                return False
            steps.append(self._step(student, batch, members))
        heldout_loss = student.heldout_loss([_example(task.seed_id, task) for task in self._heldout()])
        checkpoint, digest = self._tools.save(student, self._snapshot)
        self._phase("feedback")
        said = proposals.of_window(self._snapshot, self._config, steps, batches, members)
        self._emit(
            WindowFinished,
            iteration=self._snapshot.iteration,
            outcome=outcome,
            cap=self._cap,
            members=tuple(members),
            heldout_loss=heldout_loss,
            checkpoint=checkpoint,
            checkpoint_sha256=digest,
            attractive_step=said.attractive_step,
            detrended=said.detrended,
            credits=said.credits,
            proposals=said.proposals,
            reason=said.reason,
        )
        return True

    def _step(self, student: Student, batch: Batch, members: dict[str, Queued]) -> Step:
        from sedi_engine.train import learning_rate

        examples = [_example(ident, members[ident]) for ident in batch.members]
        result = student.step(examples, learning_rate(batch.step - 1, self._config))
        step = _as_step(result, batch, self._snapshot.attempt)
        self._emit(StepDone, step=step)
        return step

    def _finish(self, outcome: Outcome, members: Sequence[Queued]) -> None:
        """Close a window that is not trained on."""
        self._emit(
            WindowFinished,
            iteration=self._snapshot.iteration,
            outcome=outcome,
            cap=self._cap,
            members=tuple(member.candidate_id for member in members),
            reason="train.model is none" if members else "no batch was full",
        )

    def _phase(self, phase: Phase) -> None:
        self._emit(PhaseStarted, iteration=self._snapshot.iteration, phase=phase)


def _example(ident: str, task: Queued | Seed) -> Example:
    from sedi_engine.chat import Example

    return Example(ident, task.instruction, task.input, task.output)


def _as_step(result: StepResult, batch: Batch, attempt: int) -> Step:
    return Step(
        run_id=batch.run_id,
        iteration=batch.iteration,
        step=batch.step,
        attempt=attempt,
        **vars(result),
    )

"""The words of worker and store: what a worker says, one JSON object a line, numbered within its run.

(run_id, seq) makes an event idempotent: the writer turns each into rows once, in one transaction, however often it
arrives.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from store.records import Batch, Call, Candidate, Proposal, Record, Step

Outcome = Literal["filled", "target", "capped", "exhausted", "stalled"]
Phase = Literal["loading", "generate", "embed", "compose", "train", "feedback"]


class RunEvent(Record):
    """What every event carries: whose it is, its number, when (UTC), and the run's working time so far."""

    run_id: str
    seq: int
    at: datetime
    elapsed_s: float


class WorkerStarted(RunEvent):
    """A worker process is there."""

    kind: Literal["worker_started"] = "worker_started"
    pid: int
    versions: dict[str, str]
    hardware: dict[str, str | int | float]


class StudentLoaded(RunEvent):
    """The model that is trained is there; how it trains belongs to the run's hardware."""

    kind: Literal["student_loaded"] = "student_loaded"
    device: str
    precision: str
    trained_parameters: int


class PhaseStarted(RunEvent):
    """A stage of an iteration begins."""

    kind: Literal["phase_started"] = "phase_started"
    iteration: int
    phase: Phase


class CallRecorded(RunEvent):
    """An attempt came back, or failed; it is in the journal already."""

    kind: Literal["call_recorded"] = "call_recorded"
    call: Call


class CallJudged(RunEvent):
    """One instruction or whole-task reply is read and each of its candidates has its final verdict."""

    kind: Literal["call_judged"] = "call_judged"
    iteration: int
    call_index: int
    asked: int
    parsed: int
    failed: dict[str, int] = Field(description="missing, unparseable, refused")
    surplus: int
    candidates: tuple[Candidate, ...]


class WindowComposed(RunEvent):
    """The oldest W of the queue became batches; every call that was in flight has come back."""

    kind: Literal["window_composed"] = "window_composed"
    iteration: int
    outcome: Outcome
    cap: str | None = None
    batches: tuple[Batch, ...]


class StepDone(RunEvent):
    """One optimiser step."""

    kind: Literal["step_done"] = "step_done"
    step: Step


class SeedCredit(Record):
    """Credit of a seed after this window: credit = credit_sum / (calls + 3)."""

    seed_id: str
    credit: float
    credit_sum: float
    calls: int
    trained_children: int = 0


class WindowFinished(RunEvent):
    """A window is over: its members leave the queue together with its checkpoint and its proposals."""

    kind: Literal["window_finished"] = "window_finished"
    iteration: int
    outcome: Outcome
    cap: str | None = None
    members: tuple[str, ...]
    heldout_loss: float | None = None
    checkpoint: str | None = Field(default=None, description="path relative to the data folder")
    checkpoint_sha256: str | None = None
    attractive_step: int | None = None
    detrended: dict[int, float] = Field(default_factory=dict, description="step -> norm less its trend")
    credits: tuple[SeedCredit, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    reason: str | None = Field(default=None, description="why there is no proposal, where there is none")


class Stopped(RunEvent):
    """The worker stopped as it was asked to."""

    kind: Literal["stopped"] = "stopped"
    status: Literal["paused", "cancelled"]


class Failed(RunEvent):
    """The worker cannot go on; everything before is kept."""

    kind: Literal["failed"] = "failed"
    error: str
    next_step: str


class Warned(RunEvent):
    """Something a person should know that does not end the run."""

    kind: Literal["warned"] = "warned"
    text: str


Event = Annotated[
    WorkerStarted
    | StudentLoaded
    | PhaseStarted
    | CallRecorded
    | CallJudged
    | WindowComposed
    | StepDone
    | WindowFinished
    | Stopped
    | Failed
    | Warned,
    Field(discriminator="kind"),
]
_ADAPTER: TypeAdapter[Any] = TypeAdapter(Event)


def read_event(line: str | bytes) -> Event:
    """One line of a worker's output as an event; raises pydantic.ValidationError."""
    return _ADAPTER.validate_json(line)

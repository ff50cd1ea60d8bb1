"""The values that cross from worker to store: one frozen model a record, field names = column names.

Units are in the names. A text field holds a model's or a person's words and is never trusted as markup.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SeedOrigin = Literal["own", "import", "machine", "edit"]
Verdict = Literal["kept", "dropped"]
VerdictStage = Literal["heuristics", "similarity", "output"]
DropReason = Literal[
    "heldout",
    "empty",
    "short",
    "long",
    "banned",
    "program",
    "punctuation",
    "non_ascii",
    "similar",
    "duplicate",
    "no_output",
    "echo",
    "truncated",
]
Flag = Literal["unsafe", "personal_data"]
NearestSource = Literal["seed", "former_seed", "kept"]
CallStage = Literal["instruction", "output", "whole_task"]
RunStatus = Literal[
    "queued",
    "running",
    "paused",
    "completed",
    "capped",
    "exhausted",
    "stalled",
    "waiting_for_review",
    "cancelled",
    "interrupted",
    "failed",
]
ProposalKind = Literal["promote", "evict"]
DecisionKind = Literal["accept", "reject", "rescue", "flag", "edit", "use_as_seed", "skip", "undo"]


class Record(BaseModel):
    """A frozen value; unknown fields are refused; NaN and infinity survive JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Seed(Record):
    """A task that may demonstrate: a row of the library, or one that a run promoted."""

    seed_id: str
    instruction: str
    input: str = ""
    output: str
    is_classification: bool = False
    origin: SeedOrigin = "own"
    parent_ids: tuple[str, ...] = ()


class Call(Record):
    """One attempt of one request to the generator, as the ledger holds it.

    Known by (run_id, call_index, stage, position, attempt). An output call carries the index of its
    instruction call and the position of its candidate; elsewhere position is -1.
    """

    run_id: str
    call_index: int
    stage: CallStage
    position: int = -1
    attempt: int = 0
    iteration: int
    model: str
    endpoint: str
    prompt_version: str
    demo_seed_ids: tuple[str, ...] = ()
    demo_pool_ids: tuple[str, ...] = ()
    asked: int = Field(description="tasks asked for; 0 for an output call")
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usage_source: Literal["server", "estimated", "unknown", "none"] = "server"
    cost_usd: float | None = Field(default=0.0, description="null when a price is unknown")
    latency_s: float = 0.0
    finish_reason: str | None = None
    raw_reply: str | None = None
    error: str | None = None
    sent_at: datetime | None = Field(default=None, description="UTC; null in ledgers from before it was recorded")
    journal_offset: int | None = Field(default=None, description="byte of the journal where its request stands")
    last_decision: int | None = Field(default=None, description="the last decision that its prompt could know of")


class Probe(Record):
    """One request outside any run, such as a connection test or the trial of a prompt: it costs, so it is kept."""

    probe_id: str
    purpose: Literal["connection", "trial"]
    at: datetime
    by: str
    model: str
    endpoint: str
    prompt_version: str
    request: str = Field(description="the whole request as JSON; no key is in it")
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usage_source: Literal["server", "estimated", "unknown", "none"] = "server"
    cost_usd: float | None = Field(default=0.0, description="null when a price is unknown")
    latency_s: float = 0.0
    finish_reason: str | None = None
    raw_reply: str | None = None
    error: str | None = None


class Candidate(Record):
    """One task read from a reply, with the filter's verdict; dropped ones are rows like the others."""

    candidate_id: str
    run_id: str
    iteration: int
    call_index: int
    position: int
    origin: Literal["machine", "stream", "edit"] = "machine"
    parent_id: str | None = None
    instruction: str
    input: str = ""
    output: str = ""
    verdict: Verdict
    stage: VerdictStage | None = Field(default=None, description="where a drop was decided; null if kept")
    reason: DropReason | None = None
    max_rouge_l: float | None = Field(default=None, description="exact where >= 0.5, else null")
    nearest_id: str | None = None
    nearest_source: NearestSource | None = None
    flags: tuple[Flag, ...] = Field(default=(), description="what a person should look at; drops nothing")


class Batch(Record):
    """One batch as it was composed; `members` are candidate ids in training order."""

    run_id: str
    iteration: int
    phase: Literal["online", "final"] = "online"
    step: int
    attempt: int = 0
    members: tuple[str, ...]
    clusters: tuple[int, ...] = Field(description="cluster of each member, same order")
    distinct_clusters: int
    largest_share: float
    vendi: float
    mean_distance: float
    near_duplicates: int


class ExampleSignal(Record):
    """What one optimiser step showed of one example."""

    candidate_id: str
    loss: float
    el2n: float
    grand: float | None = None
    ifd: float | None = None
    response_tokens: int


class Step(Record):
    """One optimiser step on one batch; the gradient norm is read before clipping."""

    run_id: str
    iteration: int
    phase: Literal["online", "final"] = "online"
    step: int
    attempt: int = 0
    loss: float
    heldout_loss: float | None = Field(default=None, description="on the last step of a window")
    grad_norm: float
    grad_norm_detrended: float | None = Field(default=None, description="known once the window is complete")
    clipped: bool
    lr: float
    response_tokens: int
    seconds: float
    tokens_per_s: float
    memory_mb: float
    micro_batch: int
    ifd_seconds: float | None = Field(default=None, description="what measuring IFD cost of it; null if it was not")
    device_busy: float | None = Field(default=None, description="share of the device at work, 0 to 1; null if unknown")
    attractive: bool = False
    examples: tuple[ExampleSignal, ...] = ()


class Proposal(Record):
    """A promotion or an eviction that the machine proposes, with its evidence."""

    proposal_id: str
    run_id: str
    iteration: int
    kind: ProposalKind
    subject_id: str = Field(description="candidate to promote, or seed to evict")
    rank: int
    evidence: dict[str, float | int | str | bool | list[float] | None]

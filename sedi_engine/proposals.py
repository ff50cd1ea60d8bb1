"""Feedback on a window of a run: the window's records in, the run's proposals and credits out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sedi_engine.config import RunConfig
from sedi_engine.feedback import ActiveSeed, Change, Credit, Feedback, TrainedExample, TrainedStep, detrend, propose
from store.events import SeedCredit
from store.records import Batch, Proposal, ProposalKind, Step
from store.snapshot import Queued, Snapshot


@dataclass(frozen=True)
class WindowFeedback:
    """What a finished window says, in the words of the store."""

    attractive_step: int | None
    detrended: dict[int, float]
    credits: tuple[SeedCredit, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    reason: str | None = None


def of_window(
    snapshot: Snapshot,
    config: RunConfig,
    steps: Sequence[Step],
    batches: Sequence[Batch],
    members: Mapping[str, Queued],
) -> WindowFeedback:
    """Attractive batch, credits and proposals of a window; with feedback off nothing is proposed."""
    lineage = config.generator.kind != "stream"
    settings = config.feedback
    found = propose(
        [trained(step, batch, members, lineage) for step, batch in zip(steps, batches, strict=True)],
        [
            ActiveSeed(one.seed.seed_id, one.seed.instruction, one.seed.origin, one.added_iteration)
            for one in snapshot.active
        ],
        settings,
        earlier={one.seed.seed_id: Credit(one.credit_sum, one.calls, one.trained_children) for one in snapshot.active},
        tokenizer=config.filter.tokenizer,
        lineage=lineage,
    )
    off = settings.mode == "off"
    return WindowFeedback(
        attractive_step=found.attractive_step,
        detrended=_by_step(steps),
        credits=_credits(snapshot, found),
        proposals=() if off else _proposals(snapshot, found),
        reason="feedback.mode is off." if off else found.reason_none,
    )


def _by_step(steps: Sequence[Step]) -> dict[int, float]:
    return {step.step: value for step, value in zip(steps, detrend([one.grad_norm for one in steps]), strict=True)}


def trained(step: Step, batch: Batch, members: Mapping[str, Queued], lineage: bool) -> TrainedStep:
    """A step with its batch, in the words of feedback; without `lineage` nobody knows which call made what."""
    clusters = dict(zip(batch.members, batch.clusters, strict=True))
    examples = tuple(
        TrainedExample(
            candidate_id=signal.candidate_id,
            instruction=(member := members[signal.candidate_id]).instruction,
            output=member.output,
            cluster=clusters[signal.candidate_id],
            loss=signal.loss,
            el2n=signal.el2n,
            grand=signal.grand,
            ifd=signal.ifd,
            call_index=member.call_index if lineage else None,
            demo_seed_ids=member.demo_seed_ids,
            machine_made=member.origin != "edit",
        )
        for signal in step.examples
    )
    return TrainedStep(step.step, step.loss, step.grad_norm, step.response_tokens, examples)


def _credits(snapshot: Snapshot, found: Feedback) -> tuple[SeedCredit, ...]:
    """Credits of the active seeds; what one that left was still shown in has no say in S."""
    return tuple(
        SeedCredit(
            seed_id=ident,
            credit=credit.value,
            credit_sum=credit.sum_z,
            calls=credit.calls,
            trained_children=credit.children,
        )
        for one in snapshot.active
        if (credit := found.credits.get(ident := one.seed.seed_id))
    )


def _proposals(snapshot: Snapshot, found: Feedback) -> tuple[Proposal, ...]:
    changes: list[tuple[ProposalKind, Change]] = [("promote", change) for change in found.promotions]
    changes += [("evict", change) for change in found.evictions]
    return tuple(
        Proposal(
            proposal_id=f"{snapshot.run_id}-w{snapshot.iteration}-{kind}-{change.rank}",
            run_id=snapshot.run_id,
            iteration=snapshot.iteration,
            kind=kind,
            subject_id=change.subject_id,
            rank=change.rank,
            evidence=change.evidence,
        )
        for kind, change in changes
    )

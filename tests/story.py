"""Builds what a worker would say and a store would hold: a run told in a few words."""

from __future__ import annotations

from datetime import datetime
from itertools import count
from typing import Any

from sedi_engine.config import RunConfig
from store import runs, seeds, writer
from store.database import Store
from store.events import CallJudged, CallRecorded, Event, PhaseStarted, StepDone, WindowComposed, WindowFinished
from store.records import Batch, Call, Candidate, ExampleSignal, Proposal, Seed, Step

AT = datetime(2026, 1, 2, 3, 4, 5)


def seed(ident: str, **more: Any) -> Seed:
    return Seed(seed_id=ident, instruction=f"Say {ident} aloud", output=f"{ident}!", **more)


class Story:
    """One run: each method makes the next event; `tell` takes events into the store."""

    def __init__(self, run_id: str = "r1", **settings: Any) -> None:
        self.run_id = run_id
        self.config = RunConfig.load("quick", settings)
        self._seq = count(1)
        self._rank = count(1)

    def begin(self, store: Store, seed_ids: tuple[str, ...] = ("s1", "s2", "s3")) -> None:
        store.write(seeds.add, [seed(ident) for ident in seed_ids], True)
        store.write(runs.create, self.run_id, self.config.model_dump(), "print", self.config.random_seed)
        store.write(seeds.start_run, self.run_id, list(seed_ids))

    def tell(self, store: Store, *events: Event) -> None:
        store.write(writer.take_in, events)

    def call(self, index: int, stage: str = "instruction", position: int = -1, **more: Any) -> CallRecorded:
        values = {
            "iteration": 1,
            "model": "m",
            "endpoint": "e",
            "prompt_version": "v1",
            "demo_seed_ids": ("s1", "s2"),
            "asked": 0 if stage == "output" else 4,
            "prompt_tokens": 30,
            "completion_tokens": 10,
            "cost_usd": 0.5,
            "latency_s": 2.0,
            "raw_reply": "text",
            **more,
        }
        call = Call(run_id=self.run_id, call_index=index, stage=stage, position=position, **values)
        return CallRecorded(**self._head(), call=call)

    def candidate(self, index: int, position: int, reason: str | None = None, **more: Any) -> Candidate:
        """A kept candidate, or one dropped for `reason` at the stage where that is decided."""
        stages = {"similar": "similarity", "no_output": "output", "echo": "output", "duplicate": "output"}
        values = {
            "iteration": 1,
            "instruction": f"Task {index} {position}",
            "output": f"Done {index} {position}",
            "verdict": "dropped" if reason else "kept",
            "stage": stages.get(reason, "heuristics") if reason else None,
            "reason": reason,
            **more,
        }
        ident = f"{self.run_id}-{index}-{position}"
        return Candidate(candidate_id=ident, run_id=self.run_id, call_index=index, position=position, **values)

    def judged(self, index: int, *candidates: Candidate, missing: int = 0, **more: Any) -> CallJudged:
        values = {"iteration": 1, "surplus": 0, "failed": {"missing": missing}, **more}
        asked = len(candidates) + sum(values["failed"].values())
        return CallJudged(
            **self._head(), call_index=index, asked=asked, parsed=len(candidates), candidates=candidates, **values
        )

    def composed(self, iteration: int, *members: tuple[str, ...], first_step: int = 1) -> WindowComposed:
        batches = tuple(
            Batch(
                run_id=self.run_id,
                iteration=iteration,
                step=step,
                members=names,
                clusters=(0,) * len(names),
                distinct_clusters=1,
                largest_share=1.0,
                vendi=1.0,
                mean_distance=0.5,
                near_duplicates=0,
            )
            for step, names in enumerate(members, first_step)
        )
        return WindowComposed(**self._head(), iteration=iteration, outcome="filled", batches=batches)

    def phase(self, phase: str, at_s: float, iteration: int = 1) -> PhaseStarted:
        return PhaseStarted(**{**self._head(), "elapsed_s": at_s}, iteration=iteration, phase=phase)

    def step(self, iteration: int, number: int, *members: str, attempt: int = 0) -> StepDone:
        examples = tuple(ExampleSignal(candidate_id=name, loss=1.0, el2n=0.5, response_tokens=5) for name in members)
        step = Step(
            run_id=self.run_id,
            iteration=iteration,
            step=number,
            attempt=attempt,
            loss=2.0,
            grad_norm=float(number),
            clipped=False,
            lr=1e-4,
            response_tokens=50,
            seconds=2.0,
            tokens_per_s=25.0,
            memory_mb=1.0,
            micro_batch=4,
            examples=examples,
        )
        return StepDone(**self._head(), step=step)

    def proposal(self, kind: str, subject_id: str, iteration: int = 1) -> Proposal:
        return Proposal(
            proposal_id=f"{self.run_id}-{kind}-{subject_id}-{iteration}",
            run_id=self.run_id,
            iteration=iteration,
            kind=kind,
            subject_id=subject_id,
            rank=next(self._rank),
            evidence={"loss": 1.5},
        )

    def finished(
        self, iteration: int, members: tuple[str, ...], *proposals: Proposal, outcome: str = "filled", **more: Any
    ) -> WindowFinished:
        return WindowFinished(
            **self._head(), iteration=iteration, outcome=outcome, members=members, proposals=proposals, **more
        )

    def _head(self) -> dict[str, Any]:
        seq = next(self._seq)
        return {"run_id": self.run_id, "seq": seq, "at": AT, "elapsed_s": float(seq)}

"""Filling a window: calls go out a few at a time, replies are judged in the order of their index.

Replies may come in any order; a reply is judged only when all before it are, and in staged form only while the
queue and the outputs still outstanding leave room. So what is kept depends on the replies alone, not on timing.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from sedi_engine.config import RunConfig
from sedi_engine.filters.flags import flags
from sedi_engine.filters.verdict import Filter, Judgement, lost_all_tokens
from sedi_engine.generator.asks import Asks
from sedi_engine.generator.caller import Caller
from sedi_engine.generator.parse import Item, ParsedReply
from sedi_engine.generator.reading import read_output, read_tasks
from store.events import CallJudged, Outcome, RunEvent, Warned
from store.records import Call, Candidate
from store.snapshot import Queued, Snapshot

STALLED_AFTER = 20
EXPECTED_KEPT_SHARE = 0.5
Emit = Callable[..., RunEvent]


class Stop(Protocol):
    """Whether somebody asked the run to stop."""

    @property
    def requested(self) -> str | None:
        """paused, cancelled or None."""


@dataclass
class Pending:
    """A judged reply whose outputs may still be outstanding."""

    call: Call
    parsed: ParsedReply
    judgements: list[Judgement]
    outputs: dict[int, asyncio.Task[Call] | None] = field(default_factory=dict)

    @property
    def outstanding(self) -> int:
        """Candidates that passed so far and are not in the queue yet."""
        return sum(judgement.verdict == "kept" for judgement in self.judgements)

    @property
    def complete(self) -> bool:
        """Whether every output has come back or been given up."""
        return all(task is None or task.done() for task in self.outputs.values())


class Window:
    """Fills the queue of one iteration; `fill` returns how the window closed."""

    def __init__(
        self,
        snapshot: Snapshot,
        config: RunConfig,
        judge: Filter,
        asks: Asks,
        caller: Caller,
        emit: Emit,
        stop: Stop,
    ) -> None:
        self._snapshot, self._config, self._judge = snapshot, config, judge
        self._asks, self._caller, self._emit, self._stop = asks, caller, emit, stop
        self._streamed = config.generator.kind == "stream"
        self.queue: list[Queued] = list(snapshot.queue)
        self._kept = snapshot.kept
        self._kept_here, self._judged_here = 0, 0
        self._barren = snapshot.barren_calls
        self._next_judged = snapshot.next_call_index
        self._next_sent = max(snapshot.next_call_index, caller.sent_up_to() + 1)
        self._replies: dict[int, asyncio.Task[Call]] = {}
        self._pending: deque[Pending] = deque()
        self._exhausted = False
        self._warned = False

    async def fill(self) -> Outcome | None:
        """Generate and judge until the window closes; None when it was asked to stop before."""
        self._take_up()
        try:
            while not (self._stop.requested and self._caller.patient):
                self._collect()
                if outcome := self._closed():
                    return outcome
                progressed = self._judge_next()
                self._send()
                flying = self._flying()
                if not flying and not progressed and not self._pending:
                    return self._ran_dry()
                idle = flying and not progressed and not self._ready()
                await (_first_of(flying) if idle else asyncio.sleep(0))
            return None
        finally:
            await self._drain()

    def _take_up(self) -> None:
        """What an earlier worker sent: answered replies wait to be judged, unanswered calls go out again."""
        for index in range(self._next_judged, self._next_sent):
            ask = self._asks.instruction(index)
            task = self._caller.start(ask) if ask else None
            if task is None:
                self._next_sent = index
                return
            self._replies[index] = task

    def _room(self) -> int:
        outstanding = sum(pending.outstanding for pending in self._pending)
        room = self._config.window - len(self.queue) - outstanding
        if self._config.target_kept is not None:
            room = min(room, self._config.target_kept - self._kept - outstanding)
        return room

    def _closed(self) -> Outcome | None:
        if self._pending or self._room() > 0:
            return None
        target = self._config.target_kept
        return "target" if target is not None and self._kept >= target else "filled"

    def _ran_dry(self) -> Outcome | None:
        if self._stop.requested:
            return None
        if self._caller.cap:
            return "capped"
        return "exhausted" if self._exhausted else "stalled"

    def _flying(self) -> list[asyncio.Task[Call]]:
        outputs = (task for pending in self._pending for task in pending.outputs.values() if task)
        return [task for task in (*self._replies.values(), *outputs) if not task.done()]

    def _ready(self) -> bool:
        """Whether something that came back can be worked on at once."""
        return bool(self._pending and self._pending[0].complete) or self._may_judge()

    def _may_judge(self) -> bool:
        """Whether the next reply in order is there and the window wants it."""
        reply = self._replies.get(self._next_judged)
        wanted = self._room() > 0 and not self._stop.requested and self._barren < STALLED_AFTER
        return wanted and reply is not None and reply.done()

    def _send(self) -> None:
        """Keep as many instruction calls in flight as the window is expected to need."""
        while not self._halted() and len(self._replies) < self._wanted():
            ask = self._asks.instruction(self._next_sent)
            if ask is None:
                self._exhausted = True
                return
            task = self._caller.start(ask)
            if task is None:
                return
            self._replies[self._next_sent] = task
            self._next_sent += 1

    def _halted(self) -> bool:
        return bool(self._stop.requested or self._caller.cap or self._exhausted or self._barren >= STALLED_AFTER)

    def _wanted(self) -> int:
        room = self._room()
        if room <= 0:
            return 0
        if self._streamed:
            return 1
        prior = EXPECTED_KEPT_SHARE * self._config.generator.tasks_per_call
        per_call = (self._kept_here + prior) / (self._judged_here + 1)
        needed = math.ceil(room / max(per_call, 0.5))
        return needed if self._caller.patient else min(self._config.generator.max_concurrency, needed)

    def _judge_next(self) -> bool:
        """Judge the next reply if it is there and the window has room for it."""
        if not self._may_judge():
            return False
        reply = self._replies.pop(self._next_judged)
        self._next_judged += 1
        self._pending.append(self._judge_reply(reply.result()))
        return True

    def _judge_reply(self, call: Call) -> Pending:
        parsed = read_tasks(call, self._asks.templates)
        pending = Pending(call, parsed, [])
        for position, item in enumerate(parsed.items):
            judgement = self._judge_item(call, position, item)
            pending.judgements.append(judgement)
            if judgement.verdict == "kept" and call.stage == "instruction":
                ask = self._asks.output(call, position, item.instruction)
                pending.outputs[position] = self._caller.start(ask)
        return pending

    def _judge_item(self, call: Call, position: int, item: Item) -> Judgement:
        if not self._warned and lost_all_tokens(item.instruction, self._config.filter.tokenizer):
            self._warned = True
            self._emit(
                Warned,
                text="Some texts have no Latin letters or digits, so ROUGE-L cannot compare them; "
                "set filter.tokenizer to unicode.",
            )
        whole = None if call.stage == "instruction" else (item.input, item.output)
        judgement = self._judge.judge(item.instruction, whole, truncated=item.truncated)
        if judgement.verdict == "kept":
            ident = self._candidate_id(call.call_index, position)
            self._judge.add(item.instruction, ident, "kept")
            if whole:
                self._judge.complete(item.instruction, *whole)
        return judgement

    def _collect(self) -> None:
        """Close the oldest judged replies whose outputs are all there, in order."""
        while self._pending and self._pending[0].complete:
            self._close(self._pending.popleft())

    def _close(self, pending: Pending) -> None:
        candidates = [self._candidate(pending, position) for position in range(len(pending.parsed.items))]
        kept = [candidate for candidate in candidates if candidate.verdict == "kept"]
        self._kept += len(kept)
        self._kept_here += len(kept)
        self._judged_here += 1
        self._barren = 0 if kept else self._barren + 1
        self.queue.extend(self._queued(pending.call, candidate) for candidate in kept)
        read = pending.call.raw_reply is not None
        self._emit(
            CallJudged,
            iteration=self._snapshot.iteration,
            call_index=pending.call.call_index,
            asked=pending.call.asked if read else 0,
            parsed=len(candidates),
            failed=pending.parsed.failed,
            surplus=pending.parsed.surplus,
            candidates=tuple(candidates),
        )

    def _candidate(self, pending: Pending, position: int) -> Candidate:
        call, item, judgement = pending.call, pending.parsed.items[position], pending.judgements[position]
        if position in pending.outputs:
            item, judgement = self._with_output(item, judgement, pending.outputs[position])
        return Candidate(
            candidate_id=self._candidate_id(call.call_index, position),
            run_id=call.run_id,
            iteration=self._snapshot.iteration,
            call_index=call.call_index,
            position=position,
            origin="stream" if self._streamed else "machine",
            instruction=item.instruction,
            input=item.input,
            output=item.output,
            verdict=judgement.verdict,
            stage=judgement.stage,
            reason=judgement.reason,
            max_rouge_l=judgement.max_rouge_l,
            nearest_id=judgement.nearest_id,
            nearest_source=judgement.nearest_source,
            flags=flags(item.instruction, item.input, item.output),
        )

    def _with_output(self, item: Item, judgement: Judgement, task: asyncio.Task[Call] | None) -> tuple[Item, Judgement]:
        reply = task.result() if task else None
        if reply is None or reply.raw_reply is None:
            return item, judgement.dropped("output", "no_output")
        read = read_output(reply, self._asks.templates)
        whole = Item(item.instruction, read.input, read.output, read.truncated)
        reason = self._judge.judge_output(whole.instruction, whole.input, whole.output, truncated=whole.truncated)
        if reason:
            return whole, judgement.dropped("output", reason)
        self._judge.complete(whole.instruction, whole.input, whole.output)
        return whole, judgement

    async def _drain(self) -> None:
        """Calls in flight are paid for: wait until each is in the journal. What may take hours is found again later."""
        flying = self._flying()
        if self._stop.requested and self._caller.patient:
            if self._stop.requested == "cancelled":
                await self._caller.abandon()
            for task in flying:
                task.cancel()
        if flying:
            await asyncio.wait(flying)

    def _candidate_id(self, call_index: int, position: int) -> str:
        return f"{self._snapshot.run_id}-{call_index}-{position}"

    def _queued(self, call: Call, candidate: Candidate) -> Queued:
        return Queued(
            candidate_id=candidate.candidate_id,
            call_index=call.call_index,
            origin=candidate.origin,
            instruction=candidate.instruction,
            input=candidate.input,
            output=candidate.output,
            demo_seed_ids=call.demo_seed_ids,
        )


async def _first_of(tasks: list[asyncio.Task[Call]]) -> None:
    """Wait until one has come back, or for long enough to look whether somebody asked to stop."""
    await asyncio.wait(tasks, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)

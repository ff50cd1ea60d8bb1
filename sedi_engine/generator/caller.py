"""One way for every call: reserve, write to the journal, send, write the reply to the journal, tell the ledger.

A call whose reply is in the journal is not sent again; one that was sent and never answered is sent again with the
same prompt as its next attempt. So a resumed run asks for what is missing and for nothing else. A call that fails in
all its attempts is tried once more behind the rest, when the endpoint may have come to itself.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sedi_engine.config import RunConfig
from sedi_engine.costs import Budget, Reservation, cost_usd
from sedi_engine.errors import GeneratorError
from sedi_engine.generator.journal import CallKey, Journal
from sedi_engine.generator.pace import Pace
from sedi_engine.generator.request import Reply, Request, Sender
from store.records import Call

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class Ask:
    """A call to make: what the ledger says of it before there is a reply, and the request itself."""

    call: Call
    request: Request

    @property
    def key(self) -> CallKey:
        """What the call is known by, whatever the attempt."""
        return CallKey(self.call.call_index, self.call.stage, self.call.position)


class Caller:
    """Sends calls under the caps of a run; `cap` names the one that stood in the way, once one has."""

    def __init__(
        self,
        config: RunConfig,
        client: Sender,
        journal: Journal,
        budget: Budget,
        record: Callable[[Call], None],
    ) -> None:
        self._config, self._client, self._journal, self._budget = config, client, journal, budget
        self._record = record
        most = config.generator.max_concurrency
        self._pace = Pace(NO_LIMIT if client.patient else most, fixed=config.generator.kind != "endpoint")
        self._answers = journal.load()
        self._reached = False
        self._first_rounds = 0
        self._rest_is_back = asyncio.Event()
        self.cap: str | None = None

    @property
    def patient(self) -> bool:
        """Whether replies may take hours, so that a run that is asked to stop does not wait for them."""
        return self._client.patient

    async def abandon(self) -> None:
        """Give up what is on its way, for the run was cancelled."""
        await self._client.abandon()

    def sent_up_to(self) -> int:
        """The largest call index in the journal; -1 if there is none."""
        return self._answers.last_index

    def start(self, ask: Ask) -> asyncio.Task[Call] | None:
        """Begin a call; None when a cap does not allow it. The task's result is its last attempt."""
        if answered := self._answers.answered.get(ask.key):
            return asyncio.ensure_future(_done(answered))
        first = self._answers.attempts.get(ask.key, 0)
        if lost := self._answers.unanswered.get(ask.key):
            ask = Ask(*lost)
            if self._client.holds(_name(ask.call)):
                first = ask.call.attempt  # its reply is still to come: to ask anew would pay twice
        reservation = self._reserve(ask, new_call=ask.key not in self._answers.returned)
        if reservation is None:
            return None
        self._first_rounds += 1
        return asyncio.create_task(self._see_through(ask, first, reservation))

    def _reserve(self, ask: Ask, *, new_call: bool) -> Reservation | None:
        request, prices = ask.request, self._config.prices(ask.call.stage)
        reservation = self._budget.reserve(_prompt_bytes(request), request.max_tokens, prices, new_call=new_call)
        if isinstance(reservation, str):
            self.cap = reservation
            return None
        return reservation

    async def _see_through(self, ask: Ask, first: int, reservation: Reservation) -> Call:
        """A round of attempts; where all fail, another one behind the rest of the calls."""
        try:
            call, reply = await self._round(ask, first, reservation)
        finally:
            self._first_rounds -= 1
            if not self._first_rounds:
                self._rest_is_back.set()
        if reply.error and reply.retryable and not self.cap:
            while self._first_rounds:
                self._rest_is_back.clear()
                await self._rest_is_back.wait()
            if again := self._reserve(ask, new_call=False):
                call, reply = await self._round(ask, call.attempt + 1, again)
        return call

    async def _round(self, ask: Ask, first: int, reservation: Reservation) -> tuple[Call, Reply]:
        """Up to `max_attempts` attempts, the pauses between them growing; the last one."""
        call, reply = await self._attempt(ask, first, reservation)
        for attempt in range(first + 1, first + self._config.generator.max_attempts):
            if not _worth_another(ask, reply):
                break
            # calls of one batch wait alike, so that they go out together again
            salt = 0 if self._client.patient else ask.call.call_index
            await asyncio.sleep(_wait_s(attempt - first, reply.retry_after_s, salt))
            again = self._reserve(ask, new_call=False)
            if again is None:
                break
            call, reply = await self._attempt(ask, attempt, again)
        self._reached = self._reached or reply.error is None
        self._raise_if_hopeless(reply)
        return call, reply

    def _raise_if_hopeless(self, reply: Reply) -> None:
        unreached = reply.error_kind in ("connection", "address") and not self._reached
        if reply.fatal or unreached:
            raise GeneratorError(
                reply.error or "The generator refuses.",
                "Check generator.base_url, generator.model and the key, then resume: nothing is lost.",
            )

    async def _attempt(self, ask: Ask, attempt: int, reservation: Reservation) -> tuple[Call, Reply]:
        async with self._pace.slot() as place:
            sent = ask.call.model_copy(update={"attempt": attempt, "sent_at": datetime.now(UTC).replace(tzinfo=None)})
            offset = self._journal.sent(sent, ask.request)
            reply = await self._client.send(ask.request, _name(sent))
            if reply.overloaded:
                self._pace.overloaded(place, reply.retry_after_s)
            elif not reply.error:
                self._pace.succeeded()
        unknown = reply.usage_source == "unknown"
        cost = cost_usd(reply.prompt_tokens, reply.completion_tokens, self._config.prices(ask.call.stage))
        call = sent.model_copy(
            update={
                "journal_offset": offset,
                "prompt_tokens": reply.prompt_tokens,
                "completion_tokens": reply.completion_tokens,
                "usage_source": reply.usage_source,
                "cost_usd": cost,
                "latency_s": reply.latency_s,
                "finish_reason": reply.finish_reason,
                "raw_reply": None if reply.error else reply.text,
                "error": reply.error,
            }
        )
        self._journal.reply(call)
        tokens = reply.prompt_tokens + reply.completion_tokens
        self._budget.settle(reservation, None if unknown else tokens, None if unknown else cost)
        self._record(call)
        return call, reply


def _worth_another(ask: Ask, reply: Reply) -> bool:
    """Whether another attempt may bring more. Half a list has whole tasks in it; half an output is none."""
    return (reply.partial and ask.call.stage == "output") if reply.error is None else reply.retryable


def _name(call: Call) -> str:
    return f"{call.run_id}/{call.call_index}/{call.stage}/{call.position}/{call.attempt}"


async def _done(call: Call) -> Call:
    return call


def _prompt_bytes(request: Request) -> int:
    prompt = request.prompt
    texts = [prompt] if isinstance(prompt, str) else [part for message in prompt for part in message]
    return sum(len(text.encode()) for text in texts)


def _wait_s(failures: int, retry_after_s: float | None, salt: int) -> float:
    """Exponential, with jitter, and never sooner than the server asks."""
    jitter = 0.5 + random.Random(salt + failures).random()
    return max(retry_after_s or 0.0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**failures) * jitter)

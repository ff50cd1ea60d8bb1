"""The provider's batch API as a sender: calls go out together in a file, and are looked for until their batch ends.

    gathered calls -> request lines -> POST /files -> POST /batches -> GET /batches/ID ... -> GET /files/ID/content

`batches.jsonl` of the run remembers what was sent, a line each, on disk before the next step:

    {"made": TAG, "names": [...]}     before anything is sent; TAG goes along as the batch's metadata
    {"batch": ID, "tag": TAG}         the provider has it
    {"cancelled": TAG}                the run was cancelled, and so the batch

So a worker that comes later, days later too, finds its batches again, by id or by tag, and sends none of their calls a
second time. The forms are those of OpenAI's API reference, "Batch" and "Files".
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
import openai

from sedi_engine.errors import GeneratorError
from sedi_engine.generator.body import UnreadableError, read_reply
from sedi_engine.generator.client import LARGEST_REPLY_BYTES, LISTING, Client, failed, reading_unbounded
from sedi_engine.generator.provider_batch import ProviderBatch, read_batch, read_batches, read_result
from sedi_engine.generator.request import Reply, Request

GATHER_S = 0.5
FIRST_POLL_S, LONGEST_POLL_S = 0.5, 60.0
MOST_CALLS = 50_000
LARGEST_FILE_BYTES = 100_000_000
LISTED, MOST_PAGES = 100, 20


@dataclass
class Parcel:
    """Calls that go out together: names with their request lines; the provider's id once it is known."""

    tag: str
    names: list[str]
    batch_id: str | None = None
    cancelled: bool = False
    lines: list[bytes] = field(default_factory=list, repr=False)
    url: str = ""
    follower: asyncio.Task[None] | None = None


class BatchClient(Client):
    """Sends through the batch API. A reply takes hours at most; what is on its way outlives this process."""

    def __init__(self, path: Path, base_url: str, model: str, *, api_key: str | None, timeout_s: float) -> None:
        super().__init__(base_url, model, api_key=api_key, timeout_s=timeout_s, max_concurrency=4)
        self._path = path
        self._parcels = _load(path)
        self._of = {name: parcel for parcel in self._parcels.values() for name in parcel.names}
        self._replies: dict[str, asyncio.Future[tuple[int, bytes] | Reply]] = {}
        self._gathered: dict[tuple[str, str], list[tuple[str, bytes]]] = {}
        self._gathering: asyncio.Task[None] | None = None
        self._last_gathered = 0.0

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go; the batches stay with the provider."""
        followers = [parcel.follower for parcel in self._parcels.values()]
        tasks = [task for task in (self._gathering, *followers) if task and not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await super().__aexit__(kind, error, trace)

    @property
    def patient(self) -> bool:
        """Replies may take hours."""
        return True

    def holds(self, name: str) -> bool:
        """Whether this attempt is in a batch that was made, sent or about to be."""
        return name in self._of

    async def send(self, request: Request, name: str = "") -> Reply:
        """One attempt, in the next batch, or in the one that it was sent with before a restart."""
        started = time.perf_counter()
        reply = self._replies[name] = asyncio.get_running_loop().create_future()
        if name in self._of:
            self._follow(self._of[name])
        else:
            self._gather(request, name)
        found = await reply
        read = found if isinstance(found, Reply) else self._read(*found, request)
        return replace(read, latency_s=time.perf_counter() - started)

    async def abandon(self) -> None:
        """Cancel what the provider has not finished; what it has is read when the run goes on."""
        for parcel in self._parcels.values():
            if parcel.batch_id and not parcel.cancelled and any(name in self._replies for name in parcel.names):
                _append(self._path, {"cancelled": parcel.tag})
                parcel.cancelled = True
                await self._in_words(self._cancel(parcel.batch_id), LISTING)

    def _read(self, status: int, body: bytes, request: Request) -> Reply:
        if status != 200:
            return self._turned_down(httpx2.Response(status, content=body), request)
        try:
            return read_reply(body, request)
        except UnreadableError as error:
            return failed(error.kind, f"{self.endpoint}: {error}", "unknown", retryable=error.retryable)

    def _gather(self, request: Request, name: str) -> None:
        url, parameters = self.parameters(request)
        line = json.dumps({"custom_id": name, "method": "POST", "url": url, "body": parameters})
        self._gathered.setdefault((url, parameters["model"]), []).append((name, line.encode() + b"\n"))
        self._last_gathered = time.monotonic()
        if self._gathering is None or self._gathering.done():
            self._gathering = asyncio.create_task(self._send_gathered())

    async def _send_gathered(self) -> None:
        """Wait until no more calls come, then make parcels: a batch is for one address and one model."""
        while (rest := self._last_gathered + GATHER_S - time.monotonic()) > 0:
            await asyncio.sleep(rest)
        gathered, self._gathered = self._gathered, {}
        for (url, _), calls in gathered.items():
            for part in _parts(calls):
                parcel = Parcel(secrets.token_hex(12), [name for name, _ in part], url=url)
                parcel.lines = [line for _, line in part]
                _append(self._path, {"made": parcel.tag, "names": parcel.names})
                self._parcels[parcel.tag] = parcel
                self._of.update((name, parcel) for name in parcel.names)
                self._follow(parcel)

    def _follow(self, parcel: Parcel) -> None:
        if parcel.follower is None or parcel.follower.done():
            parcel.follower = asyncio.create_task(self._see_to_end(parcel))

    async def _see_to_end(self, parcel: Parcel) -> None:
        """Place the batch, look until it has ended, and hand out its results."""
        refused = await self._in_words(self._place(parcel), LISTING) if parcel.lines else None
        if refused and refused.usage_source == "none":
            self._settle(parcel, self._no_batch_api() if refused.error_kind == "model" else refused)
            return
        pause_s = FIRST_POLL_S
        while not await self._looked(parcel):
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_POLL_S, 1.5 * pause_s)

    def _no_batch_api(self) -> Reply:
        """The client reads a 404 as an unknown model."""
        return failed("model", f"{self.endpoint} has no batch API; set generator.mode to live.")

    async def _place(self, parcel: Parcel) -> None:
        """Upload the requests and make the batch. Where it ends in doubt, the tag tells later whether it was made."""
        lines, parcel.lines = parcel.lines, []
        with tempfile.TemporaryFile() as file:
            file.writelines(lines)
            file.seek(0)
            uploaded = await self._openai.files.with_raw_response.create(
                file=(f"{parcel.tag}.jsonl", file, "application/jsonl"), purpose="batch"
            )
        file_id = read_batch(uploaded.http_response.content).batch_id
        made = await self._openai.batches.with_raw_response.create(
            input_file_id=file_id,
            endpoint=parcel.url,  # type: ignore[arg-type]
            completion_window="24h",
            metadata={"sedi_tag": parcel.tag},
        )
        self._know(parcel, read_batch(made.http_response.content).batch_id)

    def _know(self, parcel: Parcel, batch_id: str) -> None:
        parcel.batch_id = batch_id
        _append(self._path, {"batch": batch_id, "tag": parcel.tag})

    async def _looked(self, parcel: Parcel) -> bool:
        """Look once; whether every call of the batch has its reply now."""
        if parcel.batch_id is None:
            found = await self._in_words(self._found(parcel.tag), LISTING)
            if isinstance(found, Reply):
                return self._broken_off(parcel, found)
            if found is None:
                self._settle(parcel, failed("connection", "The batch never reached the provider.", retryable=True))
                return True
            self._know(parcel, found)
        batch = await self._in_words(self._state(str(parcel.batch_id)), LISTING)
        if isinstance(batch, Reply):
            return self._broken_off(parcel, batch)
        if not batch.ended:
            return False
        for file_id in batch.result_files:
            try:
                async for name, status, body in self._results(file_id):
                    self._hand_over(name, (status, body))
            except (openai.OpenAIError, httpx2.HTTPError, UnreadableError, TimeoutError):
                return False  # what is missing is read at the next look
        self._settle(parcel, batch.missing(ours=parcel.cancelled))
        return True

    def _broken_off(self, parcel: Parcel, reply: Reply) -> bool:
        """Whether looking any longer is of no use. A batch that may still be there leaves its calls unanswered."""
        if reply.error_kind == "model":
            words = f"{self.endpoint} does not know the batch {parcel.batch_id or ''} any more."
            self._settle(parcel, failed("server", words, "unknown", retryable=True))
            return True
        if reply.retryable:
            return False
        step = "Check generator.base_url and the key, then resume: the batch is still with the provider."
        for name in parcel.names:
            if (waiting := self._replies.get(name)) and not waiting.done():
                waiting.set_exception(GeneratorError(reply.error or "The provider refuses.", step))
        return True

    def _hand_over(self, name: str, found: tuple[int, bytes] | Reply) -> None:
        if (waiting := self._replies.get(name)) and not waiting.done():
            waiting.set_result(found)

    def _settle(self, parcel: Parcel, reply: Reply) -> None:
        """The same reply for every call of a batch that has none."""
        for name in parcel.names:
            self._hand_over(name, reply)

    async def _found(self, tag: str) -> str | None:
        after: dict[str, Any] = {}
        for _ in range(MOST_PAGES):
            raw = await self._openai.batches.with_raw_response.list(limit=LISTED, **after)
            listed = read_batches(raw.http_response.content)
            if batch_id := next((one.batch_id for one in listed if one.tag == tag), None):
                return batch_id
            if len(listed) < LISTED:
                break
            after = {"after": listed[-1].batch_id}
        return None

    async def _state(self, batch_id: str) -> ProviderBatch:
        raw = await self._openai.batches.with_raw_response.retrieve(batch_id)
        return read_batch(raw.http_response.content)

    async def _cancel(self, batch_id: str) -> None:
        await self._openai.batches.with_raw_response.cancel(batch_id)

    async def _results(self, file_id: str) -> AsyncIterator[tuple[str, int, bytes]]:
        """Results of a file as (name, status, body), a line at a time; a line that is none is passed over."""
        with reading_unbounded():
            async with self._openai.files.with_streaming_response.content(file_id) as response:
                rest = b""
                async for chunk in response.iter_bytes():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        if result := read_result(line):
                            yield result
                    if len(rest) > LARGEST_REPLY_BYTES:
                        rest = b"!"  # no such reply is read; its end is no JSON, and so passed over
                if result := read_result(rest):
                    yield result


def _parts(calls: list[tuple[str, bytes]]) -> list[list[tuple[str, bytes]]]:
    """As few parts as the API's limits on a file allow."""
    parts: list[list[tuple[str, bytes]]] = [[]]
    size = 0
    for name, line in calls:
        if len(parts[-1]) == MOST_CALLS or (parts[-1] and size + len(line) > LARGEST_FILE_BYTES):
            parts.append([])
            size = 0
        parts[-1].append((name, line))
        size += len(line)
    return parts


def _load(path: Path) -> dict[str, Parcel]:
    """What an earlier worker made; a line torn by a kill was followed by nothing."""
    parcels: dict[str, Parcel] = {}
    with suppress(FileNotFoundError):
        for line in path.read_bytes().split(b"\n"):
            with suppress(ValueError, KeyError, TypeError):
                record: dict[str, Any] = json.loads(line)
                if "made" in record:
                    parcels[record["made"]] = Parcel(record["made"], list(record["names"]))
                elif "batch" in record:
                    parcels[record["tag"]].batch_id = record["batch"]
                else:
                    parcels[record["cancelled"]].cancelled = True
    return parcels


def _append(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        # a line that a kill tore is ended first, so that this one stands alone
        file.write(b"\n" * (file.tell() > 0) + json.dumps(record).encode())
        file.flush()
        os.fsync(file.fileno())

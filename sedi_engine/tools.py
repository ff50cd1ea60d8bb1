"""What a worker keeps warm from one iteration to the next: generator, embedder and student, each made on first use."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sedi_engine import models, paths
from sedi_engine.config import RunConfig
from sedi_engine.generator.batch import BatchClient
from sedi_engine.generator.client import Client
from sedi_engine.generator.embedded import EmbeddedServer, usable_threads
from sedi_engine.generator.stream import Stream, StreamClient, read_stream
from store.snapshot import Snapshot

if TYPE_CHECKING:
    from sedi_engine.embed import Embedder
    from sedi_engine.train import Student


class Tools:
    """The models of one worker; an async context manager that lets go of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key: str | None = None
        self.stream: Stream | None = None
        self._client: Client | StreamClient | None = None
        self._embedder: Embedder | None = None
        self._student: Student | None = None
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def client(self, run_id: str, config: RunConfig) -> Client | StreamClient:
        """The generator's client: over loopback to the embedded server, to an endpoint, or to recorded candidates."""
        if self._client is None:
            self._client = await self._make_client(run_id, config)
        return self._client

    async def _make_client(self, run_id: str, config: RunConfig) -> Client | StreamClient:
        generator = config.generator
        if generator.kind == "stream":
            self.stream = Stream(read_stream(paths.stream(self.folder, run_id)))
            return StreamClient(self.stream, generator.tasks_per_call)
        if generator.kind == "embedded":
            gguf = models.ensure_weights().gguf
            server = self._open.enter_context(EmbeddedServer(gguf, generator.max_concurrency))
            base_url, key = server.base_url, server.api_key
        else:
            base_url, key = generator.base_url or "", self.key
        if generator.mode == "batch":
            path = paths.batches(self.folder, run_id)
            client: Client = BatchClient(path, base_url, generator.model, api_key=key, timeout_s=generator.timeout_s)
        else:
            client = Client(
                base_url,
                generator.model,
                api_key=key,
                timeout_s=generator.timeout_s,
                max_concurrency=generator.max_concurrency,
            )
        return await self._open.enter_async_context(client)

    def embedder(self) -> Embedder:
        """The sentence embedder, on the CPU."""
        if self._embedder is None:
            from sedi_engine.embed import Embedder

            _limit_threads()
            self._embedder = Embedder()
        return self._embedder

    def student(self, snapshot: Snapshot, config: RunConfig) -> Student:
        """The student where the last finished window left it: its checkpoint, or the seeded start."""
        from sedi_engine.train import Student

        _limit_threads()
        if self._student is None:
            model = models.ensure_weights().student if config.train.model == "embedded" else config.train.model
            self._student = Student(model, config.train, config.random_seed)
        if snapshot.checkpoint and snapshot.checkpoint_sha256:
            self._student.load(self.folder / snapshot.checkpoint, snapshot.checkpoint_sha256)
        return self._student

    def save(self, student: Student, snapshot: Snapshot) -> tuple[str, str]:
        """Write the checkpoint of a window's end; its path relative to the data folder, and its sha256."""
        target = paths.checkpoint(self.folder, snapshot.run_id, snapshot.iteration)
        digest = student.save(target)
        return str(target.relative_to(self.folder)), digest


def _limit_threads() -> None:
    import torch

    torch.set_num_threads(usable_threads())

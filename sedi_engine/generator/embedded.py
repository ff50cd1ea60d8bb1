"""llama.cpp's OpenAI-compatible server inside this process, on loopback with a random port and key."""

from __future__ import annotations

import gc
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sedi_engine.errors import GeneratorError

CONTEXT_TOKENS = 2048
MOST_THREADS = 8
# llama.cpp's threads wait for each other at every layer: one that has to share its core with the dashboard or
# another job holds up all (measured: two threads on two busy cores gave a sixth of what one gave)
SHARED_BETWEEN = 2
ERRORS_ONLY = 1


class EmbeddedServer:
    """Serves one GGUF file while the context is open: `base_url` (ends in /v1) and `api_key` reach it.

    `slots` calls are worked on at once, each with its own `context_tokens` of prompt and reply together.
    llama.cpp speaks to the process's stdout and stderr only of errors. Raises GeneratorError.
    """

    def __init__(
        self, gguf: Path, slots: int, *, context_tokens: int = CONTEXT_TOKENS, threads: int | None = None
    ) -> None:
        self._gguf = gguf
        self._slots = slots
        self._context_tokens = context_tokens
        self._threads = threads or max(1, usable_threads() // SHARED_BETWEEN)
        self._server: Any = None
        self.api_key = secrets.token_urlsafe(32)
        self.base_url = ""

    def __enter__(self) -> Self:
        import xllamacpp

        try:
            self._server = xllamacpp.Server(self._parameters(xllamacpp.CommonParams()))
        except (RuntimeError, ValueError, OSError) as error:
            raise GeneratorError(
                f"The embedded model {self._gguf.name} could not be started: {error}.",
                "Run `python -m sedi_engine doctor` to check the weights.",
            ) from error
        self.base_url = f"{self._server.listening_address}/v1"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # the server has no stop: it ends when its last reference is gone
        self._server = None
        gc.collect()

    def _parameters(self, parameters: Any) -> Any:
        parameters.model.path = str(self._gguf)
        parameters.hostnames, parameters.port = ["127.0.0.1"], 0
        parameters.api_keys = [self.api_key]
        parameters.cors_origins = ""
        parameters.ui = parameters.endpoint_slots = False
        parameters.verbosity = ERRORS_ONLY
        parameters.n_parallel = self._slots
        parameters.n_ctx = self._slots * self._context_tokens
        # the prompt cache grows by megabytes a call and is never read again here
        parameters.cache_ram_mib = 0
        parameters.cpuparams.n_threads = self._threads
        parameters.cpuparams_batch.n_threads = self._threads
        return parameters


def usable_threads() -> int:
    """Cores that this process may use, at most 8: a small model gains nothing from more."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MOST_THREADS, usable))

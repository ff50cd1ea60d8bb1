"""The worker process: reads commands from stdin, speaks in events on stdout, and never touches the store.

    python -m sedi_engine.worker DATA_FOLDER RUN_ID

Commands are JSON lines: {"do": "iterate", "snapshot": PATH, "key": KEY}, {"do": "pause"}, {"do": "cancel"}. When stdin
ends, the owner is gone and so is this process. The real stdout is kept for events; whatever a library prints goes to
stderr.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import sys
import threading
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

from sedi_engine import provenance
from sedi_engine.errors import StudioError
from sedi_engine.iteration import Iteration
from sedi_engine.tools import Tools
from store.events import Failed, RunEvent, Stopped, WorkerStarted
from store.snapshot import Snapshot


class Commands:
    """What the owner says; `requested` is paused or cancelled once it has asked for it."""

    def __init__(self, source: IO[str]) -> None:
        self.requested: Literal["paused", "cancelled"] | None = None
        self._iterations: queue.Queue[tuple[Path, str | None]] = queue.Queue()
        threading.Thread(target=self._listen, args=(source,), daemon=True).start()

    def next_iteration(self) -> tuple[Path, str | None]:
        """Wait for the next iteration to work on: its snapshot, and the endpoint's key."""
        return self._iterations.get()

    def _listen(self, source: IO[str]) -> None:
        for line in source:
            command = json.loads(line)
            if command["do"] == "iterate":
                self._iterations.put((Path(command["snapshot"]), command["key"]))
            else:
                self.requested = "paused" if command["do"] == "pause" else "cancelled"
        os._exit(3)  # the owner is gone: there is nobody to speak to, and the journal has what was paid for


class Emitter:
    """Numbers and stamps events and writes each as one line."""

    def __init__(self, out: IO[str], run_id: str) -> None:
        self._out, self._run_id = out, run_id
        self._seq, self._started = 1, time.monotonic()

    def start_at(self, seq: int, elapsed_s: float) -> None:
        """Go on where a snapshot says that the run is."""
        self._seq, self._started = seq, time.monotonic() - elapsed_s

    def __call__(self, kind: type[RunEvent], **fields: Any) -> RunEvent:
        """Say one event."""
        event = kind(
            run_id=self._run_id,
            seq=self._seq,
            at=datetime.now(UTC).replace(tzinfo=None),
            elapsed_s=time.monotonic() - self._started,
            **fields,
        )
        self._seq += 1
        self._out.write(event.model_dump_json() + "\n")
        self._out.flush()
        return event


async def work(folder: Path, commands: Commands, emit: Emitter) -> int:
    """Iterate as told until stopped or failed; returns the exit code."""
    started = False
    async with Tools(folder) as tools:
        while True:
            path, tools.key = await asyncio.to_thread(commands.next_iteration)
            snapshot = Snapshot.model_validate_json(path.read_bytes())
            emit.start_at(snapshot.next_seq, snapshot.elapsed_s)
            if not started:
                started = True
                emit(WorkerStarted, pid=os.getpid(), versions=provenance.versions(), hardware=provenance.hardware())
            try:
                done = await Iteration(snapshot, tools, emit, commands).run()
            except StudioError as error:
                emit(Failed, error=error.message, next_step=error.next_step)
                return 1
            except OSError as error:
                emit(
                    Failed,
                    error=f"{error.filename or folder} cannot be read or written: {error.strerror or error}.",
                    next_step="Free some disk space or mend the folder, then resume: what was stored is kept.",
                )
                return 1
            except Exception as error:
                traceback.print_exc()
                emit(
                    Failed,
                    error=f"{type(error).__name__}: {error}",
                    next_step="What happened in full is in worker.log in the run's folder; resume tries again.",
                )
                return 1
            if not done:
                emit(Stopped, status=commands.requested or "paused")
                return 0


def main(arguments: list[str]) -> int:
    """Set up the channels and work."""
    folder, run_id = Path(arguments[0]), arguments[1]
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return asyncio.run(work(folder, Commands(sys.stdin), Emitter(out, run_id)))


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # native threads of the model servers must not hold up the end

"""A worker process as its owner holds it: started from one long-lived thread, spoken to in lines, gone with its owner.

On Linux the kernel ends the worker with the *thread* that started it (PR_SET_PDEATHSIG), so only the manager's own
thread may start one; the end of stdin is the second line everywhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sedi_engine import keys, paths
from sedi_engine.errors import ConfigError
from store.events import Event, read_event

PR_SET_PDEATHSIG = 1
NICENESS = 10
READ_BYTES = 1 << 20


class WorkerProcess:
    """The worker of one run."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self._process = spawn("sedi_engine.worker", str(folder), run_id, log=paths.log(folder, run_id))

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def iterate(self, snapshot: Path, key: str | None) -> None:
        """Tell it to work on the iteration of this snapshot; the endpoint's key goes this way and no other."""
        self._say({"do": "iterate", "snapshot": str(snapshot), "key": key})

    def stop(self, how: str) -> None:
        """Ask it to pause or cancel."""
        self._say({"do": how})

    def events(self) -> Iterator[list[Event]]:
        """Events as they come, several at a time when they come fast, until the worker is gone."""
        assert self._process.stdout is not None
        descriptor, rest = self._process.stdout.fileno(), b""
        while chunk := os.read(descriptor, READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            if events := [event for line in lines if (event := _read(line))]:
                yield events

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def wait(self) -> int:
        """Its exit code, once it is gone; negative for a signal."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        return self._process.wait()

    def _say(self, command: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # a worker that is gone is seen by who reads its events
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()


def spawn(module: str, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
    """Start a module of ours with pipes for its lines in and out; what its libraries print is added to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=Path(__file__).parents[1],
            env={**_without_keys(), **_quiet_environment()},
            start_new_session=True,
            preexec_fn=_tie_to_owner if sys.platform == "linux" else None,
        )


def _read(line: bytes) -> Event | None:
    try:
        return read_event(line)
    except ValidationError:
        return None  # only a line torn by a kill can be malformed; what it said is in the journal


def _without_keys() -> dict[str, str]:
    """The environment less the endpoints' keys: a worker gets the one it needs on its standard input."""
    try:
        known = set(keys.allow_list())
    except ConfigError:  # a list that cannot be read allows nothing; who starts a run with a key is told
        known = set()
    return {name: value for name, value in os.environ.items() if name not in known and not _of_openai(name)}


def _of_openai(name: str) -> bool:
    """The client library would take organisation, project and headers from these, and send them to any host."""
    return name.startswith("OPENAI_") or name == keys.LIST_VARIABLE


def _quiet_environment() -> dict[str, str]:
    """Settings of libraries in the worker: no telemetry, no bars, and threads that wait without spinning.

    Spinning is quicker on idle cores, but beside any other work it cost four times the CPU time on two cores.
    """
    return {
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }


def _tie_to_owner() -> None:
    os.nice(NICENESS)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

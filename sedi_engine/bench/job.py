"""A real run in a server that is measured, which can be halted and let go on as often as one likes."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import psutil

from sedi_engine.bench.browser import wait_until
from sedi_engine.config import RunConfig
from sedi_engine.errors import StudioError
from sedi_engine.owner import Remote

STARTS_S = 120.0


class Job:
    """A run on the embedded model, far longer than any measurement, from its first reply on."""

    def __init__(self, folder: Path, server: int) -> None:
        found = Remote.find(folder)
        if found is None:
            raise StudioError("The measured server does not answer.", "Try again.")
        self._do, self._server = found, psutil.Process(server)
        config = RunConfig.load("demo", {"iterations": 1000, "feedback.mode": "off"})
        self.run_id = found("start", config=config.model_dump(), key=None)

    def __enter__(self) -> Job:
        wait_until(lambda: self._summary()["parsed"] > 0, STARTS_S, "the job has its first tasks")
        return self

    def __exit__(self, *_error: object) -> None:
        self.go_on()

    def halt(self) -> None:
        """Its worker uses no processor from here on."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """It works again; raises StudioError where it has ended."""
        if (status := self._summary()["status"]) != "running":
            raise StudioError(f"The job that the pages are measured beside is {status}.", "Try again.")
        self._signal(signal.SIGCONT)

    def _summary(self) -> dict[str, object]:
        return self._do("summary", run_id=self.run_id)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._server.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

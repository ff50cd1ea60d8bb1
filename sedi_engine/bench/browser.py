"""A real server in a process of its own, and a real Chromium: what the benchmark of the pages and the journeys share.

Playwright and Chromium are development dependencies: nothing here is imported by the program itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sedi_engine.errors import StudioError
from sedi_engine.paths import STORE_VARIABLE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",
)
DASHBOARD = ("-m", "streamlit", "run", "app.py", "--server.port")
READY_S = 60.0
INSTALL = "Install what tests/requirements.txt names, and Chromium (on Debian: apt-get install chromium)."


def wait_until(condition: Callable[[], object], deadline_s: float, what: str) -> None:
    """Ask again and again until it is so; raises StudioError when the time is over."""
    end, pause = time.monotonic() + deadline_s, threading.Event()
    while not condition():
        if time.monotonic() > end:
            raise StudioError(f"It took longer than {deadline_s:g} s until {what}.", "Look at what else runs here.")
        pause.wait(0.1)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium; raises StudioError in words where it, or Playwright, is missing."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise StudioError("Playwright is not installed here, and pages are measured in a browser.", INSTALL) from None
    if not Path(CHROMIUM).exists():
        raise StudioError(f"There is no Chromium at {CHROMIUM}, and pages are measured in it.", INSTALL)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        except Error as error:
            raise StudioError(f"Chromium: {error.message.splitlines()[0]}", "Look at what else runs here.") from error
        browser.close()


class Server:
    """The dashboard over a data folder, or what another `command` starts on the port that it ends with.

    The log lies beside the folder.
    """

    def __init__(self, folder: Path, command: Sequence[str] = DASHBOARD, ready: str = "/readyz") -> None:
        self.folder, self.port = folder, free_port()
        self._command, self._ready = command, ready
        self._log = (folder.parent / f"server-{self.port}.log").open("wb")
        self.start()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            [sys.executable, *self._command, str(self.port)],
            cwd=ROOT,
            env={**os.environ, STORE_VARIABLE: str(self.folder)},
            stdout=self._log,
            stderr=self._log,
        )
        wait_until(self._answers, READY_S, f"{self.address} is ready")

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ask it to end; insist after a while."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
        self._log.close()

    def _answers(self) -> bool:
        if (code := self._process.poll()) is not None:
            raise StudioError(f"The server ended with {code}.", f"Its log is {self._log.name}.")
        with contextlib.suppress(urllib.error.URLError, OSError):
            return urllib.request.urlopen(f"{self.address}{self._ready}", timeout=5).status == 200  # noqa: S310
        return False


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

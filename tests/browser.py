"""A real server in a process of its own, and a real browser; fixtures for the journeys."""

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
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --enable-unsafe-swiftshader"
).split()
READY_S = 60.0
ON_SCREEN_MS = 30_000


def wait_until(condition: Callable[[], object], deadline_s: float, what: str) -> None:
    """Ask again and again until it is so; fail when the time is over."""
    end, pause = time.monotonic() + deadline_s, threading.Event()
    while not condition():
        assert time.monotonic() < end, f"{what} within {deadline_s:g} s"
        pause.wait(0.1)


class Server:
    """The dashboard over a data folder; with `up` as a person starts it, else without looking for weights."""

    def __init__(self, folder: Path, up: bool = False) -> None:
        self.folder, self.up, self.port = folder, up, free_port()
        self._log = (folder.parent / f"server-{self.port}.log").open("wb")
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        streamlit = ["-m", "streamlit", "run", "app.py", "--server.port", str(self.port)]
        ours = ["-m", "sedi_engine", "up", "--port", str(self.port), "--store", str(self.folder)]
        self._process = subprocess.Popen(
            [sys.executable, *(ours if self.up else streamlit)],
            cwd=ROOT,
            env={**os.environ, "SEDI_DATA": str(self.folder)},
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
        assert self._process.poll() is None, f"the server ended with {self._process.returncode}"
        with contextlib.suppress(urllib.error.URLError, OSError):
            return urllib.request.urlopen(f"{self.address}/readyz", timeout=5).status == 200
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def open_page(context: BrowserContext, address: str) -> Page:
    """A tab at an address, with the page's script at rest."""
    page = context.new_page()
    page.set_default_timeout(ON_SCREEN_MS)
    page.goto(address)
    at_rest(page)
    return page


def at_rest(page: Page) -> None:
    """Wait until the script of the page has run through."""
    app = page.locator("[data-testid=stApp]")
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=ON_SCREEN_MS)


def keyed(page: Page, key: str, inside: str = "") -> Locator:
    """What carries a key of the automation contract, or something inside it."""
    return page.locator(f".st-key-{key} {inside}".strip())


def choose(page: Page, key: str, option: str) -> None:
    """Pick an option of a select box; what follows from it may still be on its way."""
    page.locator(f".st-key-{key} input").click()
    page.get_by_role("option", name=option, exact=True).click()
    expect(page.locator(f".st-key-{key} input")).to_have_value(option)


def unfold(page: Page, key: str) -> None:
    """Open an expander and wait until it has grown: a list that opens before is closed by the growing."""
    page.locator(f".st-key-{key} summary").click()
    page.locator(f".st-key-{key} details").evaluate(
        "box => Promise.all(box.getAnimations({subtree: true}).map(one => one.finished))"
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1440, "height": 900})
    yield made
    made.close()


@pytest.fixture
def serve(folder: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers over the test's data folder, and ends them."""
    started: list[Server] = []

    def start(up: bool = False) -> Server:
        started.append(Server(folder, up))
        return started[-1]

    yield start
    for server in started:
        server.stop()

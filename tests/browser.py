"""Pages in a real browser: how the journeys find and wait for what is on them; fixtures for server and browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from sedi_engine.bench.browser import DASHBOARD, Server, chromium

ON_SCREEN_MS = 30_000
# What Streamlit is about to take away stands for a moment beside what comes in its place: it is never what is meant.
RETAINED = "[data-retained=true]"
GOING = f":is([data-stale=true], {RETAINED})"
STANDING = f":not({GOING}, {GOING} *)"
# Elements are counted, not mutations: a clock that ticks and a fragment that is drawn alike leave the page as it is.
COUNTED = """quiet_ms => {
    const count = document.querySelectorAll("[data-testid=stElementContainer], button").length;
    const resting = document.querySelector("[data-testid=stApp]")?.dataset.testScriptState === "notRunning";
    if (window.counted !== count) { window.counted = count; window.counted_at = performance.now(); }
    return resting && performance.now() - window.counted_at > quiet_ms;
}"""


def open_page(context: BrowserContext, address: str) -> Page:
    """A tab at an address, with the page drawn."""
    page = context.new_page()
    page.set_default_timeout(ON_SCREEN_MS)
    page.goto(address)
    drawn(page)
    return page


def at_rest(page: Page) -> None:
    """Wait until the script of the page has run through."""
    app = page.locator("[data-testid=stApp]")
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=ON_SCREEN_MS)


def drawn(page: Page, quiet_ms: int = 300) -> None:
    """Wait until the page's script is at rest and what it sent stands on the page: nothing came or went for a while."""
    page.evaluate("delete window.counted")
    page.wait_for_function(COUNTED, arg=quiet_ms, timeout=ON_SCREEN_MS)


def keyed(page: Page, key: str, inside: str = "") -> Locator:
    """What carries a key of the automation contract, or something inside it."""
    return standing(page, f".st-key-{key} {inside}".strip())


def standing(page: Page, selector: str) -> Locator:
    """What a selector finds and the page is to keep."""
    return page.locator(f"{selector}{STANDING}")


def saying(page: Page, words: str | re.Pattern[str]) -> Locator:
    """What says these words, of what the page is to keep."""
    return page.get_by_text(words).and_(page.locator(STANDING))


def choose(page: Page, key: str, option: str) -> None:
    """Pick an option of a select box; what follows from it may still be on its way."""
    keyed(page, key, "input").click()
    page.get_by_role("option", name=option, exact=True).click()
    expect(keyed(page, key, "input")).to_have_value(option)


def unfold(page: Page, key: str) -> None:
    """Open an expander and wait until it has grown: a list that opens before is closed by the growing."""
    keyed(page, key, "summary").click()
    keyed(page, key, "details").evaluate(
        "box => Promise.allSettled(box.getAnimations({subtree: true}).map(one => one.finished))"
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1440, "height": 900})
    yield made
    made.close()


@pytest.fixture
def serve(folder: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers over the test's data folder, with `up` as a person does, and ends them."""
    started: list[Server] = []

    def start(up: bool = False) -> Server:
        up_command = ("-m", "sedi_engine", "up", "--store", str(folder), "--port")
        started.append(Server(folder, up_command if up else DASHBOARD))
        return started[-1]

    yield start
    for server in started:
        server.stop()

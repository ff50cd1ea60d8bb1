"""Decisions in a real browser: they outlive a refresh, a second tab, and the server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from sedi_engine.service import Service
from store import decisions
from store.database import Store
from tests.browser import keyed, open_page, saying
from tests.pages.builder import in_review

pytestmark = pytest.mark.browser
PROMOTE, EVICT = "r1-promote-r1-0-0-1", "r1-evict-own_003-1"


@pytest.fixture
def reviewed(folder: Path) -> Path:
    """A data folder with a run that waits for decisions."""
    service = Service(folder)
    in_review(service)
    service.close()
    return folder


def test_decisions_outlive_refresh_second_tab_and_a_killed_server(
    reviewed: Path, serve, context: BrowserContext
) -> None:
    server = serve()
    page = open_page(context, server.address)
    page.get_by_role("link", name="Decide on Seeds").click()
    expect(keyed(page, "seeds_item")).to_be_visible()
    keyed(page, "seeds_part").get_by_text("Proposals", exact=True).click()
    keyed(page, f"seeds_accept_{PROMOTE}", "button").click()
    expect(keyed(page, f"seeds_undo_{PROMOTE}")).to_be_visible()
    keyed(page, f"seeds_reject_{EVICT}", "button").click()
    expect(keyed(page, f"seeds_undo_{EVICT}")).to_be_visible()
    page.reload()
    expect(keyed(page, f"seeds_undo_{PROMOTE}")).to_be_visible()
    second = open_page(context, page.url)
    expect(keyed(second, f"seeds_undo_{EVICT}")).to_be_visible()
    expect(saying(second, "2 undecided: going on now, they do nothing.")).to_be_visible()
    server.kill()
    server.start()
    second.reload()
    expect(keyed(second, f"seeds_undo_{PROMOTE}")).to_be_visible()
    keyed(second, f"seeds_undo_{PROMOTE}", "button").click()
    expect(keyed(second, f"seeds_accept_{PROMOTE}")).to_be_visible()
    server.stop()
    store = Store(reviewed)
    standing = {row["proposal_id"]: row["decision"] for row in store.read(decisions.of_run, "r1")}
    store.close()
    assert (standing[PROMOTE], standing[EVICT]) == (None, "reject")


@pytest.mark.parametrize("path", ["", "generate", "seeds"])
def test_a_deep_link_right_after_the_start_goes_through_the_router(
    reviewed: Path, serve, context: BrowserContext, path: str
) -> None:
    server = serve()
    page = open_page(context, f"{server.address}/{path}?run=r1")
    expect(page.get_by_role("link", name="Overview")).to_be_visible()
    expect(keyed(page, f"{path or 'overview'}_run", "input")).to_have_value(re.compile("^r1 "))

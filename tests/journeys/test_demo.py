"""The main job, on the real small model: one button, a refresh, a second tab; then a review, and the run goes on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from store import decisions, runs
from store.database import Store
from tests.browser import choose, drawn, keyed, open_page, saying, standing, unfold

pytestmark = [pytest.mark.browser, pytest.mark.weights]
ITERATION_MS = 480_000


def shown_run(page: Page) -> str:
    found = re.search(r"[?&]run=([\w-]+)", page.url)
    assert found, page.url
    return found[1]


def test_one_button_starts_the_demo_and_every_tab_sees_it(folder: Path, serve, context: BrowserContext) -> None:
    server = serve(up=True)
    page = open_page(context, server.address)
    keyed(page, "overview_start_demo", "button").click()
    page.wait_for_url("**/?run=*")
    run_id = shown_run(page)
    working = saying(page, "generating and filtering")
    expect(working).to_be_visible(timeout=ITERATION_MS)
    page.reload()
    expect(working).to_be_visible()
    second = open_page(context, f"{server.address}/generate?run={run_id}")
    expect(keyed(second, "generate_feed", "canvas").first).to_be_visible(timeout=ITERATION_MS)
    expect(saying(second, "1 of 3 iterations done")).to_be_visible(timeout=ITERATION_MS)
    expect(saying(page, re.compile("1 of 3 iterations done"))).to_be_visible()
    expect(keyed(second, "generate_training", ".js-plotly-plot")).to_be_visible()
    keyed(second, "generate_cancel", "button").click()
    for tab in (page, second):
        expect(saying(tab, "The run was cancelled.")).to_be_visible(timeout=ITERATION_MS)
    server.stop()
    counts = summary_of(folder, run_id)
    assert counts["asked"] == counts["parsed"] + counts["failed"]
    assert counts["parsed"] == counts["kept"] + sum(counts["dropped"].values())
    assert counts["batches"] >= counts["steps"] >= 5


def test_a_run_in_review_waits_for_its_decisions_and_finishes(folder: Path, serve, context: BrowserContext) -> None:
    server = serve(up=True)
    page = open_page(context, f"{server.address}/generate")
    choose(page, "generate_preset", "quick")
    expect(keyed(page, "generate_iterations", "input")).to_have_value("1")
    unfold(page, "generate_settings")
    choose(page, "generate_feedback_mode", "review")
    keyed(page, "generate_start", "button").click()
    page.get_by_role("link", name="Decide on Seeds").click(timeout=ITERATION_MS)
    page.wait_for_url("**run=*")
    run_id = shown_run(page)
    keyed(page, "seeds_part").get_by_text("Proposals", exact=True).click()
    accept, reject = "[class*=st-key-seeds_accept_] button", "[class*=st-key-seeds_reject_] button"
    said = re.search(r"(\d+) undecided", keyed(page, "seeds_waiting").first.inner_text())
    assert said
    before = int(said[1])
    expect(standing(page, accept)).to_have_count(before)
    drawn(page)
    standing(page, accept).first.click()
    expect(standing(page, accept)).to_have_count(before - 1)
    standing(page, reject).first.click()
    expect(standing(page, reject)).to_have_count(before - 2)
    second = open_page(context, f"{server.address}/?run={run_id}")
    expect(keyed(second, "overview_state")).to_be_visible()
    keyed(page, "seeds_resume", "button").click()
    expect(keyed(page, "seeds_waiting")).to_have_count(0)
    page.get_by_role("link", name="Overview").click()
    for tab in (page, second):  # nobody touched the second one since the run went on
        expect(keyed(tab, "overview_state").get_by_text("completed")).to_be_visible(timeout=ITERATION_MS)
    server.stop()
    counts = summary_of(folder, run_id)
    assert (counts["promoted"], counts["evicted"], counts["seeds_active"]) == (1, 0, 25)
    store = Store(folder)
    said_of_each = [row["decision"] for row in store.read(decisions.of_run, run_id)]
    store.close()
    assert sorted(map(str, said_of_each)) == sorted(["accept", "reject", *["None"] * (before - 2)])


def summary_of(folder: Path, run_id: str) -> dict:
    store = Store(folder)
    try:
        return store.read(runs.summary, run_id)
    finally:
        store.close()

"""A person reviews seeds with keys alone in a real browser: none is lost, all can be undone, and runs start from it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from sedi_engine import keys
from sedi_engine.config import RunConfig
from sedi_engine.curation import settings as curation_settings
from sedi_engine.curation.settings import Curation
from sedi_engine.service import Service
from store import decisions, review, runs, seeds
from store.connection import fetch
from store.database import Store
from tests.browser import at_rest, keyed, open_page, saying, standing
from tests.loopback import LoopbackServer
from tests.pages.builder import in_review, on_map
from tests.replies import answering

pytestmark = pytest.mark.browser
STORED_S = 30.0
TEN_A_SECOND_S = 0.1


@pytest.fixture
def reviewed(folder: Path) -> Path:
    """A data folder with a run that waits for decisions, on a map."""
    service = Service(folder)
    in_review(service)
    on_map(service.store, "r1")
    service.close()
    return folder


def item(page: Page) -> str:
    """The subject of the item that is shown."""
    return standing(page, ".review-item").get_attribute("data-subject") or ""


def shown(page: Page) -> str | None:
    """The same without waiting; None where none is."""
    return page.evaluate("document.querySelector('.review-item')?.dataset.subject ?? null")


def stored(page: Page) -> None:
    """Wait until the server has everything."""
    state = page.locator(".review-state[data-waiting='0']")
    expect(state.first).to_be_visible(timeout=STORED_S * 1000)


def burst(page: Page, presses: str) -> list[tuple[str, str]]:
    """Press at ten a second, each on the item then shown: (key, subject) of every press."""
    made = []
    start = time.monotonic()
    for number, key in enumerate(presses):
        page.wait_for_function("document.querySelector('.review-item') !== null")
        made.append((key, shown(page) or ""))
        page.keyboard.press(key)
        pause = start + TEN_A_SECOND_S * (number + 1) - time.monotonic()
        page.wait_for_timeout(max(0.0, 1000 * pause))
    return made


def edit(page: Page, addition: str) -> str:
    """Change the instruction with the keyboard alone; the subject."""
    subject = item(page)
    page.keyboard.press("e")
    area = standing(page, ".review-edit-instruction")
    expect(area).to_be_focused()
    page.keyboard.press("Control+End")
    page.keyboard.type(addition)
    page.keyboard.press("Shift+Enter")
    page.wait_for_function("was => document.querySelector('.review-item')?.dataset.subject !== was", arg=subject)
    return subject


def library(store: Store) -> dict[str, str]:
    return {seed.seed_id: seed.instruction for seed in store.read(seeds.library)}


def test_sixty_seeds_with_keys_alone_and_runs_start_from_what_was_decided(
    reviewed: Path, serve, context: BrowserContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    page = open_page(context, f"{server.address}/seeds?run=r1&queue=library")
    first = burst(page, "aaxaa" * 4)
    stored(page)
    undone = [subject for _, subject in reversed(first)][:5]
    for subject in undone:
        page.keyboard.press("Backspace")
        page.wait_for_function("is => document.querySelector('.review-item')?.dataset.subject === is", arg=subject)
    stored(page)
    again = burst(page, "xxxxx")
    assert [subject for _, subject in again] == undone[::-1]
    edited = [edit(page, f" Then add the number {number} to it.") for number in range(10)]
    stored(page)

    server.kill()
    middle = burst(page, "aaa")
    expect(page.locator(".review-state").first).to_contain_text("not stored yet")
    server.start()
    stored(page)
    last = burst(page, "xa" * 11)
    stored(page)
    assert len({subject for _, subject in [*first, *middle, *last]} | set(edited)) >= 55

    server.stop()
    store = Store(reviewed)
    standing = dict(store.read(fetch_standing))
    expected = {subject: {"a": "accept", "x": "reject"}[key] for key, subject in [*first, *again, *middle, *last]}
    expected |= dict.fromkeys(edited, "edit")
    assert standing == expected
    left = library(store)
    gone = {one.removeprefix("seed:") for one, kind in expected.items() if kind in ("reject", "edit")}
    assert not gone & left.keys()
    made = {f"{one.removeprefix('seed:')}-e1" for one in edited}
    assert made <= left.keys()
    assert all(left[one].endswith("to it.") for one in made)
    store.close()

    monkeypatch.setenv("LOOPBACK_TEST_KEY", "loopback-key-5f1d")
    service = Service(reviewed)
    with LoopbackServer(answering()) as endpoint:
        config = RunConfig.load("quick", {
            "generator.kind": "endpoint", "generator.base_url": endpoint.base_url, "seeds.active": "all",
            "generator.api_key_env": "LOOPBACK_TEST_KEY", "train.model": "none", "feedback.mode": "off",
        })  # fmt: skip
        run_id = service.manager.start(config, keys.callers_own(config.generator))
        assert service.manager.wait(run_id, 120)
    assert {row["seed_id"] for row in service.store.read(seeds.of_run, run_id)} == left.keys()
    used = service.store.read(fetch, f"SELECT unnest(demo_seed_ids) AS s FROM call WHERE run_id = '{run_id}'")
    assert used and {row["s"] for row in used} <= left.keys()
    service.close()


def fetch_standing(cursor) -> list[tuple[str, str]]:
    rows = fetch(cursor, "SELECT subject, kind FROM standing_decision WHERE starts_with(subject, 'seed:')")
    return [(row["subject"], row["kind"]) for row in rows if row["kind"]]


def test_a_bulk_reject_is_counted_sampled_and_undone_as_one(reviewed: Path, serve, context: BrowserContext) -> None:
    server = serve()
    page = open_page(context, f"{server.address}/seeds?run=r1&queue=new")
    expect(standing(page, ".review-item")).to_be_visible()
    keyed(page, "seeds_bulk", "summary").click()
    expect(keyed(page, "seeds_bulk")).to_contain_text("Everything that the filter finds: 30 items")
    at_rest(page)
    keyed(page, "seeds_bulk_apply", "button").click()
    expect(keyed(page, "seeds_queue")).to_contain_text("New (0)")
    at_rest(page)
    keyed(page, "seeds_bulk_undo", "button").click()
    expect(keyed(page, "seeds_queue")).to_contain_text("New (30)")
    server.stop()
    store = Store(reviewed)
    kinds = store.read(fetch, "SELECT kind, count(*) AS n, count(DISTINCT group_id) AS groups FROM decision GROUP BY 1")
    assert {row["kind"]: (row["n"], row["groups"]) for row in kinds} == {"reject": (30, 1), "undo": (30, 1)}
    assert store.read(runs.summary, "r1")["kept"] == 30
    store.close()


def test_two_people_on_one_item_are_both_kept_and_both_told(reviewed: Path, serve, browser: Browser) -> None:
    curation_settings.save(reviewed, Curation(overlap=2))
    server = serve()
    pages = {}
    for name in ("ana", "ben"):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        pages[name] = open_page(context, f"{server.address}/seeds?run=r1&queue=new&me={name}")
    subject = item(pages["ana"])
    assert item(pages["ben"]) == subject, "with an overlap of two both get it"
    pages["ana"].keyboard.press("a")
    stored(pages["ana"])
    pages["ben"].keyboard.press("x")
    stored(pages["ben"])
    expect(standing(pages["ben"], ".review-said")).to_contain_text(f"ana accepted {subject}")
    told = saying(pages["ana"], f"ben rejected {subject}")
    expect(told).to_be_visible(timeout=20_000)
    server.stop()
    store = Store(reviewed)
    said = store.read(fetch, 'SELECT kind, "by" FROM decision ORDER BY decision_id')
    assert [(row["by"], row["kind"]) for row in said] == [("ana", "accept"), ("ben", "reject")]
    assert store.read(fetch, "SELECT kind FROM standing_decision")[0]["kind"] == "reject"
    store.close()


def test_nobody_gets_the_open_item_of_another(reviewed: Path, serve, browser: Browser) -> None:
    server = serve()
    first = open_page(browser.new_context(), f"{server.address}/seeds?run=r1&queue=library&me=ana")
    mine = item(first)
    second = open_page(browser.new_context(), f"{server.address}/seeds?run=r1&queue=library&me=ben")
    assert item(second) not in ("", mine)
    before = {one for _, one in burst(second, "aaaa")}
    assert mine not in before


def test_keys_rest_while_a_person_types_and_can_be_changed(reviewed: Path, serve, context: BrowserContext) -> None:
    server = serve()
    page = open_page(context, f"{server.address}/seeds?run=r1&queue=new")
    before = item(page)
    keyed(page, "seeds_filter", "button").click()
    field = keyed(page, "seeds_words", "input")
    field.click()
    page.keyboard.type("axf")
    expect(field).to_have_value("axf")
    page.keyboard.press("Escape")
    field.wait_for(state="hidden")
    assert item(page) == before
    page.keyboard.press("?")
    page.locator(".review-key", has_text="Accept").get_by_role("button", name="change").click()
    page.keyboard.press("k")
    page.keyboard.press("Escape")
    expect(keyed(page, "seeds_accept")).to_contain_text("k")
    page.keyboard.press("a")
    assert item(page) == before
    page.keyboard.press("3")
    expect(standing(page, ".review-chosen")).to_have_attribute("data-code", "unclear")
    page.keyboard.press("k")
    stored(page)
    server.stop()
    store = Store(reviewed)
    (only,) = store.read(fetch, "SELECT subject, kind, reason FROM decision")
    assert only == {"subject": before, "kind": "accept", "reason": "unclear"}
    store.close()


def test_edits_to_nothing_to_a_copy_and_to_too_much_are_answered_and_the_text_stays(
    reviewed: Path, serve, context: BrowserContext
) -> None:
    server = serve()
    page = open_page(context, f"{server.address}/seeds?run=r1&queue=new")
    subject = item(page)
    for text, said in (
        ("", "The edit has no instruction"),
        ("y" * 30_000, "has 30,000 characters; at most 20,000 are taken"),
        ("Task 0 1", "the filter drops it as"),
    ):
        page.wait_for_function("is => document.querySelector('.review-item')?.dataset.subject === is", arg=subject)
        page.keyboard.press("e")
        standing(page, ".review-edit-instruction").fill(text)
        page.keyboard.press("Shift+Enter")
        expect(standing(page, ".review-said")).to_contain_text(said)
    page.keyboard.press("e")
    expect(standing(page, ".review-edit-instruction")).to_have_value("Task 0 1")
    server.stop()
    store = Store(reviewed)
    assert store.read(decisions.last_number) == 0
    made = store.read(fetch, "SELECT verdict, origin FROM candidate WHERE origin = 'edit'")
    assert made == [{"verdict": "dropped", "origin": "edit"}]
    assert not store.read(review.people)
    store.close()


def test_a_blind_test_tells_its_result_with_the_last_decision(reviewed: Path, serve, context: BrowserContext) -> None:
    server = serve()
    page = open_page(context, f"{server.address}/seeds?run=r1")
    keyed(page, "seeds_part").get_by_text("Blind test", exact=True).click()
    keyed(page, "seeds_blind").get_by_role("button", name="Make a test").click()
    seen = set()
    expect(standing(page, ".review-item")).to_be_visible()
    while shown(page):
        assert "step" not in standing(page, ".review-item").inner_text()
        seen.add(item(page))
        page.keyboard.press("ax"[len(seen) % 2])
        stored(page)
    expect(keyed(page, "seeds_blind_result")).to_be_visible()
    server.stop()
    store = Store(reviewed)
    assert {row["subject"] for row in store.read(fetch, "SELECT subject FROM decision")} == seen
    assert len(seen) == store.read(fetch, "SELECT count(*) AS n FROM blind_item")[0]["n"] > 0
    store.close()

"""Roles in a real browser: a viewer gets nothing by hand, a secret lets one in, the presentation decides nothing."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from sedi_engine.access import own_name
from sedi_engine.bench.browser import wait_until
from sedi_engine.logins import COOKIE, TICKET_HEADER
from sedi_engine.service import Service
from store.connection import fetch
from store.database import Store
from tests.browser import at_rest, drawn, keyed, open_page, saying
from tests.pages.builder import in_review, on_map
from tests.secrets_file import ANNOTATOR, BY_SECRET, RESEARCHER, write

pytestmark = pytest.mark.browser
WAYS_OUT = ("Present", "Leave the presentation", "Log out", "Close")
# One press in one go: what a page draws anew in the meantime is not there to be waited for. No button is pressed twice.
# The press of a button that the page has disabled is sent by hand, past the page, the way Streamlit's own button sends.
PRESS = """(nodes, [place, out]) => {
    const one = nodes[place];
    if (!one || out.some(words => one.innerText.includes(words))) return 0;
    let fiber = one[Object.keys(one).find(name => name.startsWith("__reactFiber"))];
    while (fiber && !(fiber.memoizedProps?.widgetMgr && fiber.memoizedProps?.element?.id)) fiber = fiber.return;
    const {widgetMgr, element, fragmentId} = fiber?.memoizedProps ?? {};
    window.pressed ??= new Set();
    if (element && window.pressed.has(element.id)) return 0;
    if (element) window.pressed.add(element.id);
    if (one.disabled && !element) return 0;
    if (one.disabled) widgetMgr.setTriggerValue(element.id, {formId: element.formId, fragmentId, fromUser: true});
    else one.click();
    return 1;
}"""
PROMOTE = "r1-promote-r1-0-0-1"
PATHS = (
    "",
    "generate",
    "map?item=candidate:r1-0-0",
    "batch?step=1",
    "train?step=1",
    "seeds",
    "seeds?seeds_part=Proposals",
    "runs?runs_section=Import",
    "runs?runs_section=Templates",
)


@pytest.fixture
def reviewed(folder: Path) -> Path:
    """A data folder with a run that waits for decisions, on the map."""
    service = Service(folder)
    in_review(service)
    on_map(service.store, "r1")
    service.close()
    return folder


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The home folder of the servers that the test starts."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def written(folder: Path) -> dict[str, Any]:
    """Every table of a store that is closed, as a fingerprint, and the files of presets and templates."""
    store = Store(folder)
    names = [row["table_name"] for row in store.read(fetch, "SELECT table_name FROM duckdb_tables()")]
    sums = {name: store.read(fetch, f'SELECT count(*), bit_xor(hash(t)) FROM "{name}" t') for name in names}
    store.close()
    kept = [str(path) for name in ("presets", "templates", "imports", "runs") for path in (folder / name).rglob("*")]
    return {**sums, "files": sorted(kept)}


def press_everything(page: Page) -> int:
    """Press every button, those in popovers and those that are disabled too; how many were."""
    popovers = page.locator("[data-testid=stMain] button[data-testid=stPopoverButton]")
    ordinary = page.locator("button[data-testid=stBaseButton-secondary], button[data-testid=stBaseButton-primary]")
    pressed = 0
    for opened in range(-1, popovers.count()):
        popovers.evaluate_all("(nodes, place) => nodes[place]?.click()", opened)
        drawn(page)
        for place in range(ordinary.count()):
            pressed += ordinary.evaluate_all(PRESS, [place, WAYS_OUT])
            at_rest(page)
    return pressed


def test_a_viewer_gets_no_command_by_hand(reviewed: Path, secrets: Path, serve, context: BrowserContext) -> None:
    write(secrets, '[access]\neverybody_else = "viewer"\n[access.roles]\ncyd = "researcher"\n')
    before = written(reviewed)
    server = serve()
    pressed = 0
    for path in PATHS:
        page = open_page(context, f"{server.address}/{path}{'&' if '?' in path else '?'}run=r1&me=ana")
        expect(keyed(page, "shell_person").get_by_text("ana · viewer")).to_be_visible()
        pressed += press_everything(page)
        page.close()
    for path in ("seeds", "generate", "map"):
        page = open_page(context, f"{server.address}/{path}?run=r1&me=ana&role=researcher&login_token=x&person=cyd")
        expect(keyed(page, "shell_person").get_by_text("ana · viewer")).to_be_visible()
        page.close()
    server.stop()
    assert pressed >= 3 * len(PATHS)
    assert written(reviewed) == before


def test_two_names_on_an_open_server(reviewed: Path, secrets: Path, serve, context: BrowserContext) -> None:
    server = serve()
    first = open_page(context, f"{server.address}/seeds?seeds_part=Proposals&run=r1")
    expect(keyed(first, "shell_person").get_by_text(f"{own_name()} · researcher")).to_be_visible()
    keyed(first, "shell_person_more", "button").click()
    keyed(first, "shell_name", "input").fill("ana")
    keyed(first, "shell_name", "input").press("Enter")
    expect(keyed(first, "shell_person").get_by_text("ana · researcher")).to_be_visible()
    first.reload()
    expect(keyed(first, "shell_person").get_by_text("ana · researcher")).to_be_visible()
    second = open_page(context, f"{server.address}/seeds?seeds_part=Proposals&run=r1&me=ben")
    keyed(second, f"seeds_accept_{PROMOTE}", "button").click()
    expect(saying(second, "accepted by ben")).to_be_visible()
    first.reload()
    drawn(first)
    keyed(first, f"seeds_undo_{PROMOTE}", "button").click()
    expect(keyed(first, f"seeds_accept_{PROMOTE}")).to_be_visible()
    server.stop()
    store = Store(reviewed)
    assert [row["by"] for row in store.read(fetch, 'SELECT "by" FROM decision ORDER BY decision_id')] == ["ben", "ana"]
    store.close()


def log_in(page: Page, name: str, secret: str) -> None:
    keyed(page, "login_name", "input").fill(name)
    keyed(page, "login_secret", "input").fill(secret)
    keyed(page, "login_enter", "button").click()


def test_a_secret_lets_in_and_is_kept_nowhere(
    reviewed: Path, secrets: Path, serve, context: BrowserContext, tmp_path: Path
) -> None:
    write(secrets, BY_SECRET)
    server = serve()
    page = open_page(context, f"{server.address}/seeds?seeds_part=Proposals&run=r1")
    log_in(page, "ana", "not-the-secret")
    expect(saying(page, "That is not the secret of any role.")).to_be_visible()
    expect(keyed(page, "login_secret", "input")).to_have_value("")
    log_in(page, "ana", ANNOTATOR)
    expect(keyed(page, "shell_person").get_by_text("ana · annotator")).to_be_visible()
    wait_until(lambda: COOKIE in {one["name"] for one in context.cookies()}, 20, "the browser keeps the login")
    (kept,) = [one for one in context.cookies() if one["name"] == COOKIE]
    assert kept["httpOnly"] and kept["sameSite"] == "Strict" and ANNOTATOR not in kept["value"]
    assert ANNOTATOR not in page.url and kept["value"] not in page.url
    drawn(page)
    keyed(page, f"seeds_accept_{PROMOTE}", "button").click()
    expect(saying(page, "accepted by ana")).to_be_visible()
    expect(keyed(page, "seeds_resume", "button").first).to_be_disabled()
    page.reload()
    expect(keyed(page, "shell_person").get_by_text("ana · annotator")).to_be_visible()
    server.kill()
    server.start()
    page.reload()
    expect(keyed(page, "shell_person").get_by_text("ana · annotator")).to_be_visible()
    keyed(page, "shell_person_more", "button").click()
    keyed(page, "shell_logout", "button").click()
    expect(keyed(page, "login_secret")).to_be_visible()
    wait_until(lambda: COOKIE not in {one["name"] for one in context.cookies()}, 20, "the browser forgets the login")
    page.reload()
    log_in(page, "cyd", RESEARCHER)
    expect(keyed(page, "seeds_resume", "button").first).to_be_enabled()
    server.stop()
    everywhere = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "secrets.toml"]
    assert everywhere and not any(ANNOTATOR.encode() in content for content in everywhere)


def test_the_presentation_decides_nothing(reviewed: Path, secrets: Path, serve, context: BrowserContext) -> None:
    write(secrets, BY_SECRET.replace("[access]", '[access]\nguests = "presentation"', 1))
    before = written(reviewed)
    server = serve()
    page = open_page(context, f"{server.address}/?run=r1&overview_present=true")
    expect(saying(page, "A model writes tasks")).to_be_visible()
    press_everything(page)
    for path in ("map", "seeds", "runs"):
        other = open_page(context, f"{server.address}/{path}?run=r1&overview_present=true")
        expect(keyed(other, "login_secret")).to_be_visible()
        other.close()
    keyed(page, "overview_leave", "button").click()
    log_in(page, "cyd", RESEARCHER)
    expect(keyed(page, "shell_person").get_by_text("cyd · researcher")).to_be_visible()
    wait_until(lambda: COOKIE in {one["name"] for one in context.cookies()}, 20, "the browser keeps the login")
    for path in ("", "generate", "map?item=candidate:r1-0-0", "seeds"):
        other = open_page(context, f"{server.address}/{path}{'&' if '?' in path else '?'}run=r1&overview_present=true")
        press_everything(other)
        other.close()
    server.stop()
    assert written(reviewed) == before


@pytest.mark.parametrize("headers", [{}, {TICKET_HEADER: "made-up"}, {TICKET_HEADER: ""}], ids=str)
def test_no_cookie_without_a_ticket(folder: Path, serve, headers: dict[str, str]) -> None:
    server = serve()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("POST", "/login", headers=headers)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Set-Cookie"]) == (403, None)
    connection.close()

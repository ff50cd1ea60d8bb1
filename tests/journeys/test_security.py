"""What a model writes does nothing in the browser but be read; the page talks to its own server alone."""

from __future__ import annotations

import http.client
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from sedi_engine.service import Service
from sedi_engine.web import HEADERS
from store import runs
from tests.browser import at_rest, keyed
from tests.pages.builder import HOSTILE, begin, in_review, on_map, window
from tests.story import Story

pytestmark = pytest.mark.browser


class Listener(ThreadingHTTPServer):
    """Counts what asks it for anything."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.hits.append(self.path)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        pass


RUN_BOXES = {"batch": "batches", "train": "training"}


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.shutdown()
    made.server_close()


def test_hostile_words_are_text_and_nothing_leaves_the_machine(
    folder: Path, serve, context: BrowserContext, listener: Listener
) -> None:
    urllib.request.urlopen(f"{listener.url}/heard")
    assert listener.hits.pop() == "/heard"
    service = Service(folder)
    in_review(service, tuple(text.format(url=listener.url) for text in HOSTILE))
    on_map(service.store, "r1")
    service.close()
    server, asked = serve(), []
    dialogs: list[str] = []
    hostile = "map?item=candidate:r1-0-0"
    for path in ("", "generate", hostile, "map?step=1", "batch", "train?step=1", "seeds"):
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.goto(f"{server.address}/{path}")
        name = path.partition("?")[0] or "overview"
        expect(keyed(page, f"{RUN_BOXES.get(name, name)}_run")).to_be_visible(timeout=30_000)
        page.wait_for_load_state("networkidle")
    expect(page.get_by_text("<script>alert(1)</script>").first).to_be_visible()
    assert page.locator("a[href^='javascript']").count() == 0
    assert listener.hits == dialogs == []
    outside = [url for url in asked if not url.startswith((server.address, "data:", "blob:"))]
    assert outside == []


ODD = (
    "<h1>Heading</h1><img src='{url}/img.png'> <style>@import '{url}/style.css'</style>",
    "![leak]({url}/markdown.png) [[1]]({url}/link)",
    "\u202eevil \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u05e2\u05d1\u05e8\u05d9\u05ea 👩‍👩‍👧‍👦 🇩🇪 \ufdd0",
    "bell \x07 escape \x1b[31m red \x1b[0m null-like \x01 tab\t line\r\nbreak \u2028 \ufeff end",
    "{long}",
)


def test_odd_records_are_shown_beside_the_rest_and_fetch_nothing(
    folder: Path, serve, context: BrowserContext, listener: Listener
) -> None:
    """Text of 200 kB, HTML, Markdown, right to left, emoji, control characters: map, record, batch and curve stand."""
    long = f"![x]({listener.url}/long.png) " + "word " * 40_000
    service = Service(folder)
    story = Story()
    begin(service.store, story)
    for number in (1, 2):
        texts = tuple(text.format(url=listener.url, long=long) for text in ODD)
        story.tell(service.store, *window(story, number, calls=3, texts=texts))
    service.store.write(runs.set_status, "r1", "completed")
    on_map(service.store, "r1")
    service.close()
    server = serve()
    seen = {
        "map": "map_plot .js-plotly-plot",
        "map?step=1": "map_table canvas",
        "batch?step=1": "batches_members canvas",
        "train?step=1": "batch_brief_members canvas",
        **{f"map?item=candidate:r1-0-{place}": "map_record" for place in range(len(ODD))},
    }
    page = context.new_page()
    for path, there in seen.items():
        page.goto(f"{server.address}/{path}")
        expect(page.locator(f".st-key-{there}").first).to_be_visible(timeout=30_000)
        at_rest(page)
        assert page.locator("[data-testid=stException]").count() == 0, path
    expect(keyed(page, "map_record")).to_contain_text("characters in all")
    page.goto(f"{server.address}/map?item=candidate:r1-0-0")
    expect(page.get_by_text("<h1>Heading</h1>").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert listener.hits == []


def test_every_answer_carries_the_headers(folder: Path, serve) -> None:
    server = serve()
    for path in ("/", "/seeds", "/readyz", "/_stcore/health", "/nothing/../there"):
        try:
            answer = urllib.request.urlopen(server.address + path)
        except urllib.error.HTTPError as error:
            answer = error
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS, path


@pytest.mark.parametrize("header", [{"Origin": "http://evil.test"}, {"Host": "evil.test"}], ids=str)
def test_another_site_cannot_open_the_socket(folder: Path, serve, header: dict[str, str]) -> None:
    server = serve()
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    known = {**upgrade, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    assert upgraded(server.port, known) == 101
    assert upgraded(server.port, {**known, **header}) == 403


def upgraded(port: int, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/_stcore/stream", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()

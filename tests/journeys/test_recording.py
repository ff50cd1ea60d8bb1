"""A recording opened in the page: one that is cut, newer or none says so; a whole one is shown, and marked."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from sedi_engine.exports.recording import record
from sedi_engine.service import Service
from store import runs
from store.database import Store
from tests.browser import ON_SCREEN_MS, at_rest, keyed, open_page, saying, unfold
from tests.pages.builder import explored

pytestmark = pytest.mark.browser


def a_recording(folder: Path) -> bytes:
    """The recording of a run of three windows that another store holds."""
    service = Service(folder)
    explored(service.store)
    out = folder / "run.sedi"
    record(service.store, "r1", out)
    service.close()
    return out.read_bytes()


def newer(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            changed = json.dumps({**json.loads(part), "format": 99}).encode() if name.endswith(".json") else part
            new.writestr(name, changed)
    return out.getvalue()


def opened(page: Page, content: bytes) -> None:
    """Choose the file and press the button."""
    file = {"name": "run.sedi", "mimeType": "application/octet-stream", "buffer": content}
    keyed(page, "runs_play_file", "input[type=file]").set_input_files(file)
    keyed(page, "runs_play_start", "button").click()


def test_a_bad_recording_gets_its_sentence_and_a_good_one_its_screens(
    folder: Path, tmp_path: Path, serve, context: BrowserContext
) -> None:
    whole = a_recording(tmp_path / "elsewhere")
    bad = {
        "The file is no recording, or it is cut.": whole[: len(whole) // 2],
        "The recording has format 99; this program reads up to 1.": newer(whole),
        "The file is no recording, or it is cut. ": b"nothing of the kind",
    }
    server = serve()
    for said, content in bad.items():
        page = open_page(context, f"{server.address}/runs?runs_section=Import")
        unfold(page, "runs_play")
        opened(page, content)
        expect(page.get_by_text(said.strip()).first).to_be_visible(timeout=ON_SCREEN_MS)
        assert page.locator("[data-testid=stException]").count() == 0
        page.close()

    page = open_page(context, f"{server.address}/runs?runs_section=Import")
    unfold(page, "runs_play")
    opened(page, whole)
    expect(keyed(page, "runs_recording")).to_be_visible(timeout=ON_SCREEN_MS)
    for link, there in (("Training", "training_loss"), ("Batches", "batches_members"), ("Overview", "overview_state")):
        page.get_by_role("link", name=link).click()
        at_rest(page)
        expect(keyed(page, there).first).to_be_visible(timeout=ON_SCREEN_MS)
        expect(saying(page, "This run was recorded elsewhere")).to_be_visible()
    server.stop()
    store = Store(folder)
    assert store.read(runs.run_ids) == ["r1"]
    store.close()

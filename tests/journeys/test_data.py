"""From a pile of tasks to a data set: import, test the connection, estimate, run twice, compare, export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from sedi_engine import spec
from sedi_engine.config import RunConfig
from store import export_rows, imports, runs, spend
from store.database import Store
from store.selection import Selection
from tests.browser import at_rest, choose, keyed, open_page, saying, unfold
from tests.loopback import LoopbackServer
from tests.replies import answering

pytestmark = pytest.mark.browser
KEY_NAME = "JOURNEY_KEY"
SETTINGS = {
    "generator.kind": "endpoint",
    "generator.base_url": "http://127.0.0.1:9/v1",
    "generator.model": "loopback",
    "generator.prompt_form": "whole_task",
    "generator.price_in_usd_per_mtok": 3.0,
    "generator.price_out_usd_per_mtok": 15.0,
    "train.model": "none",
    "feedback.mode": "off",
}
TASKS = [{"instruction": f"Name {n} things that float on water.", "output": f"{n} corks"} for n in range(2, 7)]


def section(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    at_rest(page)


def run_to_its_end(page: Page, threshold: str) -> None:
    box = keyed(page, "generate_filter_threshold", "input")
    box.fill(threshold)
    box.press("Enter")
    at_rest(page)
    before = page.url
    keyed(page, "generate_start", "button").click()
    expect(page).not_to_have_url(before)
    expect(keyed(page, "generate_state").get_by_text("completed")).to_be_visible(timeout=60_000)
    expect(page).to_have_title("● completed · SeDi Studio")


def test_a_researcher_brings_tasks_and_an_endpoint_and_takes_a_data_set_away(
    folder: Path, tmp_path: Path, serve, context: BrowserContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "tasks.jsonl"
    lines = [*map(json.dumps, TASKS), '{"instruction": "no answer"}', "<img src=x onerror=alert(1)>"]
    source.write_text("\n".join(lines), encoding="utf-8")
    with LoopbackServer(answering(), models=["loopback"]) as endpoint:
        spec.save(folder, "journey", RunConfig.load("quick", SETTINGS))
        monkeypatch.setenv(KEY_NAME, endpoint.api_key)
        monkeypatch.setenv("SEDI_KEYS", f"{KEY_NAME}={endpoint.base_url.removesuffix('/v1')}")
        server = serve()

        page = open_page(context, f"{server.address}/runs")
        section(page, "Import")
        keyed(page, "runs_import_file", "input[type=file]").set_input_files(source)
        expect(keyed(page, "runs_import_preview")).to_be_visible()
        keyed(page, "runs_import_start", "button").click()
        expect(saying(page, "Left out, by line")).to_be_visible()

        page.get_by_role("link", name="Generate").click()
        at_rest(page)
        choose(page, "generate_preset", "journey")
        unfold(page, "generate_settings")
        address = keyed(page, "generate_generator_base_url", "input")
        address.fill(endpoint.base_url)
        address.press("Enter")
        at_rest(page)
        choose(page, "generate_generator_api_key_env", f"{KEY_NAME} for {endpoint.base_url.removesuffix('/v1')}")
        at_rest(page)
        keyed(page, "generate_test_connection", "button").click()
        expect(saying(page, "A run with these settings would get its calls answered.")).to_be_visible()
        expect(keyed(page, "generate_estimate").get_by_text("Calls, about")).to_be_visible()
        expect(keyed(page, "generate_estimate").get_by_text("$").first).to_be_visible()
        run_to_its_end(page, "0.85")
        run_to_its_end(page, "0.55")

        page.get_by_role("link", name="Runs & data").click()
        at_rest(page)
        section(page, "History")
        expect(keyed(page, "runs_table", "canvas").first).to_be_visible()
        section(page, "Compare")
        for key in ("settings", "figures", "data"):
            expect(keyed(page, "runs_compare").locator(f".st-key-runs_compare_{key} canvas").first).to_be_visible()
        section(page, "Templates")
        expect(keyed(page, "runs_templates").get_by_text("The prompt that it makes")).to_be_visible()
        section(page, "Export")
        choose(page, "runs_export_format", "JSONL, every column")
        at_rest(page)
        keyed(page, "runs_export_write", "button").click()
        with page.expect_download() as download:
            keyed(page, "runs_export_download", "button").click()
        rows = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
        shown = page.content()
        server.stop()

    assert endpoint.api_key not in shown
    store = Store(folder)
    try:
        newest, first = store.read(runs.run_ids)
        assert [row["instruction"] for row in rows] == [
            row["instruction"] for row in store.read(export_rows.first_rows, Selection(run_id=newest), 1000)
        ]
        kept = [store.read(runs.summary, name)["kept"] for name in (first, newest)]
        assert kept[1] == len(rows) > 0
        (brought,) = store.read(imports.listed)
        assert (brought["taken"], brought["refused"]) == (5, 2)
        charged = sum(7 * 3e-6 + 5 * 15e-6 for _ in endpoint.asked)
        assert sum(row["cost_usd"] for row in store.read(spend.spend, "model")) == pytest.approx(charged)
    finally:
        store.close()
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert [path for path in written if endpoint.api_key.encode() in path.read_bytes()] == []

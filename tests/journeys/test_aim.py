"""A hole of the map is filled from the page: the prompts of the iteration show its demonstrations and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, expect

from pages.ui import emptiness, mapping
from sedi_engine import keys
from sedi_engine.config import RunConfig
from sedi_engine.service import Service
from store import aims, maps, runs, seeds
from store.connection import fetch
from store.replays import rows_for_replay
from tests.browser import ON_SCREEN_MS, keyed, open_page
from tests.loopback import LoopbackServer
from tests.replies import answering

pytestmark = pytest.mark.browser
KEY_NAME = "JOURNEY_KEY"
WINDOWS, GROUPS, RUN_S = 3, 4, 120.0


def three_windows(service: Service, endpoint: LoopbackServer) -> str:
    """A run of three windows over HTTP, ended, with a map on which nothing was kept of one group of its seeds."""
    settings = {
        "iterations": WINDOWS,
        "generator.kind": "endpoint",
        "generator.base_url": endpoint.base_url,
        "generator.model": "loopback",
        "generator.api_key_env": KEY_NAME,
        "generator.prompt_form": "whole_task",
        "train.model": "none",
        "feedback.mode": "off",
    }
    config = RunConfig.load("quick", settings)
    run_id = service.manager.start(config, keys.servers(config.generator))
    assert service.manager.wait(run_id, RUN_S)
    assert service.store.read(runs.summary, run_id)["iteration"] == WINDOWS
    with_gap(service, run_id)
    return run_id


def with_gap(service: Service, run_id: str) -> None:
    """Made-up vectors: the seeds in four groups, the candidates in three of them."""
    subjects = [row["subject"] for row in service.store.read(maps.without_vector, run_id)]
    own = [f"seed:{row['seed_id']}" for row in service.store.read(seeds.of_run, run_id)]
    group = {subject: at % GROUPS for at, subject in enumerate(own)}
    random = np.random.default_rng(0)
    places = np.array([group.get(subject, at % (GROUPS - 1)) for at, subject in enumerate(subjects)])
    vectors = 0.05 * random.normal(size=(len(subjects), 16)).astype(np.float32)
    vectors[np.arange(len(subjects)), places] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    service.store.write(maps.add_vectors, subjects, vectors, "made up")
    service.store.write(maps.begin_version, subjects, vectors[:, :2].astype(float), "umap", 0, 0.5, None)


def test_a_hole_is_filled_with_what_its_own_tasks_ask_for(
    folder: Path, serve, context: BrowserContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LoopbackServer(answering(), models=["loopback"]) as endpoint:
        monkeypatch.setenv(KEY_NAME, endpoint.api_key)
        monkeypatch.setenv("SEDI_KEYS", f"{KEY_NAME}={endpoint.base_url.removesuffix('/v1')}")
        service = Service(folder)
        run_id = three_windows(service, endpoint)
        rows = mapping.frame(service.store, run_id)
        region = emptiness.found(service, run_id, rows)[0]
        asks = dict(zip(rows["ident"], rows["instruction"], strict=True))
        before = service.store.read(rows_for_replay, run_id)
        service.close()
        asked_before = len(endpoint.asked)

        server = serve()
        page = open_page(context, f"{server.address}/map?run={run_id}")
        expect(keyed(page, "map_holes")).to_contain_text(f"like: {region.name[:60]}")
        keyed(page, "map_generate_here", "button").first.click()
        expect(keyed(page, "map_run", "input").first).to_have_value(
            f"{run_id} · quick · going on", timeout=ON_SCREEN_MS
        )
        page.goto(f"{server.address}/generate?run={run_id}")
        state = keyed(page, "generate_state")
        expect(state).to_contain_text(f"{WINDOWS + 1} of {WINDOWS + 1} iterations done", timeout=RUN_S * 1000)
        expect(state).to_contain_text("completed")
        server.stop()

    sent = endpoint.asked[asked_before:]
    others = [text for ident, text in asks.items() if ident not in region.demo_ids]
    assert sent
    for call in sent:
        assert any(asks[ident] in call.prompt for ident in region.demo_ids)
        assert not any(text in call.prompt for text in others)
    service = Service(folder)
    try:
        assert service.store.read(aims.iterations, run_id) == [WINDOWS + 1]
        with service.store.cursor() as cursor:
            calls = fetch(cursor, "SELECT * FROM call WHERE run_id = ? AND iteration = ?", [run_id, WINDOWS + 1])
        shown = {ident for call in calls for ident in (*call["demo_seed_ids"], *call["demo_pool_ids"])}
        assert shown
        assert shown <= set(region.demo_ids), "a short iteration draws some of them"
        after = service.store.read(rows_for_replay, run_id).calls
        assert after[: len(before.calls)] == before.calls, "one that was on its way at the end may have come since"
        assert {call.call_index for call in after}.isdisjoint(call["call_index"] for call in calls)
    finally:
        service.close()

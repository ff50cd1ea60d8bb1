"""The main job on the real small model: a quick run, killed in generation and in training, resumed to its end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import Running, last_json, sedi

pytestmark = pytest.mark.weights


def test_a_quick_run_on_the_embedded_model_survives_two_kills(folder: Path, tmp_path: Path) -> None:
    command = Running(folder, "run", "--preset", "quick", "--json")
    assert command.watch(lambda run: run["kept"] >= 1)
    command.kill_all()
    run = json.loads(sedi("runs", "--store", folder, "--json").stdout)[0]
    assert run["status"] == "interrupted"
    assert run["kept"] >= 1

    command = Running(folder, "resume", run["run_id"], "--json")
    assert command.watch(lambda run: run["steps"] >= 1)
    assert command.kill_worker() == 1

    done = last_json(sedi("resume", run["run_id"], "--store", folder, "--json"))
    assert done["status"] == "completed"
    assert done["asked"] == done["parsed"] + done["failed"]
    assert done["parsed"] == done["kept"] + sum(done["dropped"].values())
    assert done["kept"] >= 16
    assert (done["batches"], done["steps"], done["cost_usd"]) == (4, 4, 0)
    assert done["promoted"] == done["evicted"] <= 2
    assert done["seeds_active"] == 24

    out = tmp_path / "seeds.jsonl"
    sedi("export", run["run_id"], "--what", "seeds", "--format", "jsonl", "--out", out, "--store", folder)
    seeds = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(seeds) == 24 + done["promoted"]
    assert sum(seed["status"] == "active" for seed in seeds) == 24

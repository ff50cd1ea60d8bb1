"""Kill -9 anywhere, resume, and the run ends where an uninterrupted one does: bit for bit with a stream on the CPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from store.connection import fetch
from store.database import Store
from tests.commands import Running, last_json, record_stream, sedi
from tests.tiny_model import save_tiny_model

CANDIDATES = 240
VARYING = ("run_id", "elapsed_s", "created", "started", "ended", "fingerprint")
FILL = ("--set", "train.model=none", "--set", "feedback.mode=off", "--set", "iterations=40")


def stream_settings(path: Path, *more: str) -> tuple[str, ...]:
    pairs = ("generator.kind=stream", f"generator.stream_path={path}", *more)
    return tuple(word for pair in pairs for word in ("--set", pair))


def comparable(folder: Path) -> dict[str, Any]:
    """All that a run left, less what differs between any two runs: its id, times and prices of time."""
    store = Store(folder)
    with store.cursor() as cursor:
        run_id = fetch(cursor, "SELECT run_id FROM run")[0]["run_id"]
        left = {
            "candidates": fetch(cursor, "SELECT * EXCLUDE (run_id) FROM candidate ORDER BY call_index, position"),
            "judgements": fetch(cursor, "SELECT * EXCLUDE (run_id) FROM judgement ORDER BY call_index"),
            "batches": fetch(cursor, "SELECT * EXCLUDE (run_id, attempt) FROM batch ORDER BY step"),
            "steps": fetch(
                cursor,
                "SELECT step, iteration, loss, grad_norm, grad_norm_detrended, heldout_loss, attractive, lr "
                "FROM current_step ORDER BY step",
            ),
            "signals": fetch(
                cursor,
                "SELECT step, candidate_id, e.loss, el2n, grand FROM example_signal e JOIN current_step s "
                "USING (run_id, phase, step, attempt) ORDER BY step, candidate_id",
            ),
            "proposals": fetch(cursor, "SELECT kind, subject_id, rank, evidence FROM proposal ORDER BY ALL"),
            "checkpoint": fetch(cursor, "SELECT checkpoint_sha256 FROM run"),
        }
    store.close()
    return json.loads(json.dumps(left, default=str).replace(run_id, "RUN"))


def counts(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if name not in VARYING}


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_stream(tmp_path_factory.mktemp("stream") / "candidates.jsonl", CANDIDATES)


@pytest.fixture(scope="module")
def untroubled(stream: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("untroubled")
    done = sedi("run", *stream_settings(stream), *FILL, "--store", folder, "--json", expect=1)
    return counts(last_json(done)), comparable(folder)


def test_a_run_killed_anywhere_ends_where_an_untroubled_one_does(
    kill_point: int, stream: Path, untroubled: tuple[dict[str, Any], dict[str, Any]], folder: Path
) -> None:
    """Everything is killed at even points, the worker alone at odd ones."""
    original = folder.parent / "candidates.jsonl"
    original.write_bytes(stream.read_bytes())
    command = Running(folder, "run", *stream_settings(original), *FILL, "--json")
    judged = (kill_point * 37) % CANDIDATES
    seen = command.watch(lambda run: run["status"] != "queued" and run["parsed"] >= judged)
    if kill_point % 2:
        command.kill_worker()
    else:
        command.kill_all()
    assert seen is not None
    original.unlink()  # a run goes on from what it started with
    run = json.loads(sedi("runs", "--store", folder, "--json").stdout)[0]
    assert run["status"] in ("interrupted", "exhausted")
    assert run["asked"] == run["parsed"] + run["failed"]
    assert run["parsed"] == run["kept"] + sum(run["dropped"].values())
    done = sedi("resume", run["run_id"], "--store", folder, "--json", expect=1)
    assert (counts(last_json(done)), comparable(folder)) == untroubled


@pytest.mark.parametrize("where", ["composing", "second step", "between two windows", "last window"])
def test_a_run_killed_in_training_trains_the_same_batches_to_the_same_bits(
    where: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    done, reference, settings = trained_reference(tmp_path_factory)
    folder = tmp_path / "data"
    command = Running(folder, "run", *settings, "--json")
    moments = {
        "composing": lambda run: run["batches"] >= 1 or run["phase"] == "train",
        "second step": lambda run: run["steps"] >= 2,
        "between two windows": lambda run: run["iteration"] >= 1,
        "last window": lambda run: run["iteration"] >= 1 and run["steps"] >= 5,
    }
    assert command.watch(moments[where])
    command.kill_all()
    run_id = json.loads(sedi("runs", "--store", folder, "--json").stdout)[0]["run_id"]
    resumed = last_json(sedi("resume", run_id, "--store", folder, "--json"))
    assert counts(resumed) == done
    assert comparable(folder) == reference


REFERENCE: dict[str, Any] = {}


def trained_reference(factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]:
    """One untroubled run of two windows on a tiny model, made once."""
    if not REFERENCE:
        base = factory.mktemp("trained")
        settings = stream_settings(
            record_stream(base / "candidates.jsonl", 80, seed=1),
            f"train.model={save_tiny_model(base / 'model')}",
            "train.lora_layers=2",
            "feedback.mode=off",
            "iterations=2",
            "compose.batch_size=4",
            "compose.batches_per_window=4",
        )
        done = sedi("run", *settings, "--store", base / "data", "--json")
        REFERENCE.update(done=counts(last_json(done)), left=comparable(base / "data"), settings=settings)
    return REFERENCE["done"], REFERENCE["left"], REFERENCE["settings"]


def test_a_paused_run_goes_on_and_a_cancelled_one_keeps_what_it_has(stream: Path, folder: Path) -> None:
    command = Running(folder, "run", *stream_settings(stream), *FILL, "--json")
    seen = command.watch(lambda run: run["parsed"] >= 40)
    assert seen
    sedi("pause", seen["run_id"], "--store", folder, expect=None)
    command.process.communicate()
    paused = json.loads(sedi("runs", "--store", folder, "--json").stdout)[0]
    assert paused["status"] in ("paused", "exhausted")
    assert paused["kept"] >= seen["kept"]
    sedi("resume", paused["run_id"], "--store", folder, expect=1)
    again = json.loads(sedi("runs", "--store", folder, "--json").stdout)[0]
    assert again["status"] == "exhausted"
    assert again["parsed"] == CANDIDATES

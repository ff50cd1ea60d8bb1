"""The commands: what they print, how they end, and what they say of bad input. Nothing shows a traceback."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import pytest

from sedi_engine import spec
from sedi_engine.config import RunConfig
from sedi_engine.owner import OWNER_FILE
from store.database import Store
from store.replays import rows_for_replay
from tests.commands import Running, last_json, record_stream, sedi
from tests.engine.test_replay import recount
from tests.tiny_model import save_tiny_model

SUMMARY = """run_id status asked parsed failed surplus kept dropped calls calls_failed prompt_tokens completion_tokens
cost_usd batches steps promoted evicted seeds_active failed_by_cause""".split()
COMMANDS = "up doctor weights run resume pause cancel runs compare replay presets filter compose export import".split()


def streamed(path: Path, *settings: str) -> list[str]:
    pairs = [
        "generator.kind=stream",
        f"generator.stream_path={path}",
        "feedback.mode=off",
        "train.model=none",
        *settings,
    ]
    return [word for pair in pairs for word in ("--set", pair)]


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    return record_stream(tmp_path / "candidates.jsonl", 60)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    assert sedi(command, "--help").stdout.count("--") > 0


def test_a_run_prints_only_json_and_ends_with_its_summary(stream: Path, folder: Path) -> None:
    done = sedi("run", *streamed(stream), "--store", folder, "--json")
    summary = last_json(done)
    assert set(SUMMARY) <= set(summary)
    assert summary["status"] == "completed"
    assert summary["asked"] == summary["parsed"] + summary["failed"] == summary["calls"] * 8
    assert summary["parsed"] == summary["kept"] + sum(summary["dropped"].values())
    assert summary["kept"] >= 16
    assert summary["cost_usd"] == 0
    listed = json.loads(sedi("runs", "--store", folder, "--json").stdout)
    assert listed == [summary]


def test_resuming_a_completed_run_changes_nothing_unless_it_gets_more_iterations(stream: Path, folder: Path) -> None:
    first = last_json(sedi("run", *streamed(stream), "--store", folder, "--json"))
    same = last_json(sedi("resume", first["run_id"], "--store", folder, "--json"))
    assert same == first
    more = last_json(sedi("resume", first["run_id"], "--iterations", "+1", "--store", folder, "--json"))
    assert more["status"] == "completed"
    assert more["iterations"] == 2
    assert more["kept"] >= 32


def test_a_stream_that_ends_exhausts_the_run_and_its_last_call_asks_what_is_left(stream: Path, folder: Path) -> None:
    done = sedi(
        "run", *streamed(stream, "iterations=9", "generator.tasks_per_call=7"), "--store", folder, "--json", expect=1
    )
    summary = last_json(done)
    assert summary["status"] == "exhausted"
    assert summary["asked"] == 60
    assert summary["calls"] == 9


def test_a_cap_on_calls_stops_cleanly_and_a_raised_one_goes_on(stream: Path, folder: Path) -> None:
    capped = last_json(sedi("run", *streamed(stream, "budget.max_calls=1"), "--store", folder, "--json", expect=1))
    assert (capped["status"], capped["cap"], capped["calls"]) == ("capped", "max_calls", 1)
    resume = ("resume", capped["run_id"], "--store", folder, "--json")
    more = last_json(sedi(*resume, "--set", "budget.max_calls=null"))
    assert more["status"] == "completed"
    refused = sedi(*resume, "--set", "filter.threshold=0.5", expect=2)
    assert "filter.threshold cannot be changed" in refused.stderr


def test_target_kept_closes_the_window_where_it_is_reached(stream: Path, folder: Path) -> None:
    settings = streamed(stream, "target_kept=10", "iterations=5", "generator.tasks_per_call=1")
    summary = last_json(sedi("run", *settings, "--store", folder, "--json"))
    assert (summary["status"], summary["kept"]) == ("completed", 10)


def test_review_waits_and_goes_on_when_it_is_resumed(stream: Path, folder: Path, tmp_path: Path) -> None:
    model = save_tiny_model(tmp_path / "model")
    settings = ("feedback.mode=review", f"train.model={model}", "train.lora_layers=2")
    waiting = last_json(sedi("run", *streamed(stream, *settings), "--store", folder, "--json"))
    assert waiting["status"] == "waiting_for_review"
    assert (waiting["batches"], waiting["steps"], waiting["promoted"]) == (4, 4, 0)
    done = last_json(sedi("resume", waiting["run_id"], "--store", folder, "--json"))
    assert (done["status"], done["promoted"], done["evicted"]) == ("completed", 0, 0)


def test_exports_have_as_many_rows_as_the_counts_say(stream: Path, folder: Path, tmp_path: Path) -> None:
    summary = last_json(sedi("run", *streamed(stream), "--store", folder, "--json"))
    rows = {"kept": summary["kept"], "candidates": summary["parsed"], "seeds": 24}
    for what, count in rows.items():
        out = tmp_path / f"{what}.jsonl"
        sedi("export", summary["run_id"], "--what", what, "--format", "jsonl", "--out", out, "--store", folder)
        assert len(out.read_text(encoding="utf-8").splitlines()) == count


def test_while_a_run_is_on_other_commands_go_through_its_process(folder: Path, tmp_path: Path) -> None:
    command = Running(folder, "run", *streamed(record_stream(tmp_path / "long.jsonl", 600), "iterations=60"), "--json")
    seen = command.watch(lambda run: run["parsed"] > 0)
    assert seen
    token = folder / OWNER_FILE
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert json.loads(sedi("runs", "--store", folder, "--json").stdout)[0]["run_id"] == seen["run_id"]
    sedi("cancel", seen["run_id"], "--store", folder, expect=None)
    command.process.communicate()
    assert json.loads(sedi("runs", "--store", folder, "--json").stdout)[0]["status"] in ("cancelled", "exhausted")
    assert not token.exists()


def test_no_store_yet_is_no_run_and_creates_nothing(tmp_path: Path) -> None:
    assert json.loads(sedi("runs", "--store", tmp_path / "none", "--json").stdout) == []
    assert not (tmp_path / "none").exists()


def test_a_stream_broken_at_line_17_is_refused_before_anything_is_stored(stream: Path, folder: Path) -> None:
    lines = stream.read_text(encoding="utf-8").splitlines()
    lines[16] = '{"instruction": "no output here"}'
    stream.write_text("\n".join(lines), encoding="utf-8")
    refused = sedi("run", *streamed(stream), "--store", folder, "--json", expect=2)
    assert "Line 17" in refused.stderr
    assert refused.stdout == ""
    assert json.loads(sedi("runs", "--store", folder, "--json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("run", "--preset", "fast"), 2, "no preset 'fast'"),
        (("run", "--set", "filter.treshold=0.8"), 2, "filter.threshold"),
        (("run", "--set", "filter.threshold=1.5"), 2, "filter.threshold is 1.5"),
        (("run", "--set", "iterations"), 2, "has no '='"),
        (("run", "--set", "target_kept=2"), 2, "larger than target_kept"),
        (("resume", "20260101-000000-beef"), 2, "no run '20260101-000000-beef'"),
        (("pause", "20260101-000000-beef"), 2, "no run"),
        (("cancel", "20260101-000000-beef"), 2, "no run"),
        (("export", "20260101-000000-beef", "--format", "jsonl", "--out", "x"), 2, "no run"),
    ],
)
def test_wrong_input_is_told_in_a_sentence(arguments: tuple[str, ...], code: int, said: str, folder: Path) -> None:
    assert said in " ".join(sedi(*arguments, "--store", folder, expect=code).stderr.split())


def test_a_port_in_use_is_told_with_its_number(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"Port {port}" in sedi("up", "--port", port, "--store", folder, expect=2).stderr


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, stream: Path) -> None:
    folder = stream / "inside a file"
    assert f"{folder} cannot be used" in " ".join(
        sedi("run", *streamed(stream), "--store", folder, expect=1).stderr.split()
    )


def test_a_store_whose_place_is_a_file_is_told(tmp_path: Path, stream: Path) -> None:
    (tmp_path / "data").write_text("")
    assert str(tmp_path / "data") in sedi("run", *streamed(stream), "--store", tmp_path / "data", expect=1).stderr


def test_doctor_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    found = json.loads(sedi("doctor", "--store", folder, "--json", expect=None).stdout)
    assert [one["subject"] for one in found] == ("versions device weights store port disk keys prices licences".split())
    assert all(one["ok"] or one["next_step"] for one in found)


def test_a_spec_runs_as_the_dashboard_saved_it_and_with_settings_over_it(stream: Path, folder: Path) -> None:
    dotted = dict(pair.split("=") for pair in streamed(stream, "filter.threshold=0.6")[1::2])
    config = RunConfig.load("quick", {**dotted, "filter.threshold": 0.6})
    saved = spec.save(folder, "mine", config, "for a test")
    listed = {row["name"]: row for row in json.loads(sedi("presets", "--store", folder, "--json").stdout)}
    assert (listed["mine"]["saved"], listed["quick"]["saved"]) == (True, False)
    from_file = last_json(sedi("run", saved, "--store", folder, "--json"))
    by_name = last_json(sedi("run", "--preset", "mine", "--set", "filter.threshold=0.9", "--store", folder, "--json"))
    found = json.loads(sedi("compare", from_file["run_id"], by_name["run_id"], "--store", folder, "--json").stdout)
    assert found["settings"] == {"filter.threshold": [0.6, 0.9]}
    assert found["figures"]["kept"] == [from_file["kept"], by_name["kept"]]
    assert found["data"]["first"] == from_file["kept"] <= found["data"]["second"] == by_name["kept"]
    assert found["data"]["same_task"] <= from_file["kept"]
    printed = folder / "printed.toml"
    printed.write_text(sedi("presets", "mine", "--store", folder).stdout)
    assert spec.load(printed).dotted() == {**config.dotted(), "preset": "printed"}
    sedi("presets", "mine", "--delete", "--store", folder)
    assert "no preset" in sedi("run", "--preset", "mine", "--store", folder, expect=2).stderr
    assert "Both a spec" in sedi("run", printed, "--preset", "quick", "--store", folder, expect=2).stderr


def test_a_dry_run_says_what_it_would_take_and_starts_nothing(folder: Path) -> None:
    done = sedi("run", "--preset", "paper", "--dry-run", "--store", folder, "--json")
    found = last_json(done)
    assert 0 < found["cost_usd"]["low"] < found["cost_usd"]["likely"] < found["cost_usd"]["high"]
    assert "Llama 3" in done.stderr and "OpenAI" in done.stderr
    assert json.loads(sedi("runs", "--store", folder, "--json").stdout) == []


def test_another_threshold_is_replayed_over_a_run(stream: Path, folder: Path) -> None:
    own = last_json(sedi("run", *streamed(stream), "--store", folder, "--json"))
    run_id = own["run_id"]
    found = {
        threshold: json.loads(sedi("replay", run_id, "--threshold", str(threshold), "--store", folder, "--json").stdout)
        for threshold in (0.5, 0.85, 1.0)
    }
    assert found[0.85]["kept"] == own["kept"]
    opened = Store(folder)
    log = opened.read(rows_for_replay, run_id)
    opened.close()
    for threshold, told in found.items():
        kept, _ = recount(log, threshold)  # by rouge-score, every pair
        assert told["kept"] == len(kept), threshold
    assert [found[one]["exact"] for one in (0.5, 0.85, 1.0)] == [True, True, False]
    assert found[0.5]["kept"] < found[1.0]["kept"]
    assert {"calls", "cost_usd", "calls_per_1000_kept", "cost_usd_per_1000_kept"} <= found[1.0].keys()
    assert "at most 1" in sedi("replay", run_id, "--threshold", "1.5", "--store", folder, expect=2).stderr
    assert "no run 'gone'" in sedi("replay", "gone", "--threshold", "0.7", "--store", folder, expect=2).stderr


def test_a_run_is_not_compared_with_itself_or_with_none(stream: Path, folder: Path) -> None:
    run_id = last_json(sedi("run", *streamed(stream), "--store", folder, "--json"))["run_id"]
    assert "with itself" in sedi("compare", run_id, run_id, "--store", folder, expect=2).stderr
    assert "no run 'gone'" in sedi("compare", run_id, "gone", "--store", folder, expect=2).stderr

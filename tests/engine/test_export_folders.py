"""Exported folders, loaded back by the libraries that they are for: datasets, TRL, PEFT."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sedi_engine import exports
from sedi_engine.errors import InputError, NotFoundError, TrainingError
from sedi_engine.exports import hub, selection_of
from sedi_engine.exports.adapter import export_adapter
from sedi_engine.exports.folder import AXOLOTL, MANIFEST
from store import runs
from store.database import Store
from store.errors import ExportError
from store.export_rows import first_rows
from store.selection import Selection
from tests.story import Story
from tests.tiny_model import save_tiny_model

QUIET = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
HOSTILE = "---\nlicense: mit\n<img src=x> `rm` ![x](http://x.invalid/y.png)"


@pytest.fixture
def told(store: Store) -> Store:
    story = Story(**{"generator.model": HOSTILE[:30].replace("\n", " ")})
    story.begin(store)
    kept = [story.candidate(0, place, instruction=f"Say {place}", input="x" * (place % 2)) for place in range(5)]
    hostile = story.candidate(1, 0, instruction=HOSTILE, output=HOSTILE, flags=("unsafe",))
    story.tell(store, story.call(0), story.judged(0, *kept), story.call(1), story.judged(1, hostile))
    return store


def test_a_hugging_face_folder_is_loaded_by_datasets(told: Store, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import load_dataset

    wanted = Selection(run_id="r1")
    assert exports.export(told, wanted, "hf", tmp_path / "out", lineage=True) == 6
    cache = str(tmp_path / "cache")
    rows = load_dataset(str(tmp_path / "out"), split="train", cache_dir=cache)
    assert [dict(row) for row in rows] == told.read(first_rows, wanted, 100, True)
    messages = load_dataset(str(tmp_path / "out"), "messages", split="train", cache_dir=cache)
    turns = [(said["role"], said["content"]) for said in messages[1]["messages"]]
    assert turns == [("user", "Say 1\n\nx"), ("assistant", "Done 0 1")]


def test_the_snippet_for_trl_trains_on_the_folder(told: Store, tmp_path: Path) -> None:
    exports.export(told, Selection(run_id="r1", search="Say"), "hf", tmp_path / "out")
    model = save_tiny_model(tmp_path / "tiny")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "out" / "trl_sft.py"), str(model)],
        env={
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_CACHE": str(tmp_path / "cache"),
            "PATH": "/usr/bin:/bin",
            "HOME": "/tmp",
        },
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert list((tmp_path / "out" / "trained").rglob("*.safetensors"))


def test_llama_factory_finds_its_file_and_columns(told: Store, tmp_path: Path) -> None:
    """Its data/README.md: dataset_info.json names a file, and which column is prompt, query and response."""
    exports.export(told, Selection(run_id="r1"), "llamafactory", tmp_path / "out")
    info = json.loads((tmp_path / "out" / "dataset_info.json").read_text())
    (entry,) = info.values()
    rows = json.loads((tmp_path / "out" / entry["file_name"]).read_text())
    assert len(rows) == 6
    assert set(entry["columns"].values()) == set(rows[0]) == {"instruction", "input", "output"}
    assert set(entry["columns"]) == {"prompt", "query", "response"}


def test_the_axolotl_snippet_names_what_is_in_the_folder(told: Store, tmp_path: Path) -> None:
    exports.export(told, Selection(run_id="r1"), "hf", tmp_path / "out")
    path = next(line.split(": ")[1] for line in AXOLOTL.splitlines() if "path:" in line)
    record = pq.read_table(tmp_path / "out" / path).to_pylist()[0]
    field = next(line.split(": ")[1] for line in AXOLOTL.splitlines() if "field_messages:" in line)
    assert [turn["role"] for turn in record[field]] == ["user", "assistant"]


def test_the_card_says_how_it_was_made_and_quotes_no_model(told: Store, tmp_path: Path) -> None:
    exports.export(told, Selection(run_id="r1"), "hf", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\nconfigs:\n")
    assert card.count("\n---\n") == 1
    assert "6 asked, 6 parsed, 6 kept" in card
    assert "1 unsafe" in card
    assert "<img" not in card
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert manifest["rows"] == 6
    assert set(manifest["files"]) >= {"README.md", "data/train.parquet", "messages/train.parquet"}


def test_only_a_folder_of_ours_is_replaced(told: Store, tmp_path: Path) -> None:
    wanted, out = Selection(run_id="r1"), tmp_path / "out"
    exports.export(told, wanted, "hf", out)
    exports.export(told, wanted, "llamafactory", out)
    assert not (out / "data").exists()
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(ExportError, match="was not made by an export"):
        exports.export(told, wanted, "hf", other)
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [({"what": "all"}, "what is 'all'"), ({"reasons": ["ugly"]}, "reasons.0 is 'ugly'"), ({"sql": 1}, "sql is 1")],
)
def test_a_selection_that_cannot_be_is_refused_in_words(values: dict, said: str) -> None:
    with pytest.raises(ExportError, match=said):
        selection_of({"run_id": "r1", **values})


def test_an_adapter_is_loaded_by_peft_and_says_the_same(store: Store, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from sedi_engine.chat import Example
    from sedi_engine.config import TrainConfig
    from sedi_engine.train import Student

    model = save_tiny_model(tmp_path / "tiny")
    story = Story(**{"train.model": str(model)})
    story.begin(store)
    student = Student(model, TrainConfig(model=str(model), lora_layers=2, max_length=64), seed=1)
    student.step([Example("a", "Say hi", "", "hi")], 0.1)
    digest = student.save(store.folder / "window-1")
    store.write(
        lambda cursor: cursor.execute(
            "UPDATE run SET checkpoint = 'window-1', checkpoint_sha256 = ? WHERE run_id = 'r1'", [digest]
        ).fetchall()
    )
    export_adapter(store, "r1", tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model), tmp_path / "adapter")
    ids = torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        ours, theirs = student._model(input_ids=ids).logits, loaded(input_ids=ids).logits
        plain = AutoModelForCausalLM.from_pretrained(model)(input_ids=ids).logits
    assert torch.allclose(ours.float(), theirs.float(), atol=1e-5)
    assert not torch.allclose(plain.float(), theirs.float(), atol=1e-5)
    card = (tmp_path / "adapter" / "README.md").read_text()
    assert "LoRA adapter of run r1" in card
    (store.folder / "window-1" / "adapter_model.safetensors").write_bytes(b"other")
    with pytest.raises(TrainingError, match="not the one"):
        export_adapter(store, "r1", tmp_path / "adapter")


def test_a_run_without_training_has_no_adapter(told: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no trained adapter"):
        export_adapter(told, "r1", tmp_path / "adapter")
    assert told.read(runs.get, "r1") is not None


def test_a_push_is_planned_without_a_network_and_needs_a_token(told: Store, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv(hub.TOKEN_VARIABLE, raising=False)
    exports.export(told, Selection(run_id="r1"), "hf", tmp_path / "out")
    planned = hub.plan(tmp_path / "out", "me/data", "dataset", private=True)
    assert (
        planned["files"]["messages/train.parquet"]["bytes"] == (tmp_path / "out/messages/train.parquet").stat().st_size
    )
    with pytest.raises(InputError, match="HF_TOKEN is not set"):
        hub.push(tmp_path / "out", "me/data", "dataset", private=True)
    for name in ("me", "me/../x", "a b/c", "me/data/x", ""):
        with pytest.raises(InputError, match="no name of a repository"):
            hub.plan(tmp_path / "out", name, "dataset", private=True)


def test_a_hub_that_cannot_be_reached_is_told_in_words_without_the_token(told: Store, tmp_path: Path) -> None:
    exports.export(told, Selection(run_id="r1"), "hf", tmp_path / "out")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from sedi_engine.exports import hub\n"
            "hub.push(Path(sys.argv[1]), 'me/data', 'dataset', True)",
            str(tmp_path / "out"),
        ],
        env={**QUIET, "HF_TOKEN": "hf_secret_77", "HF_ENDPOINT": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert "The Hub cannot be reached" in done.stderr
    assert "hf_secret_77" not in done.stderr + done.stdout

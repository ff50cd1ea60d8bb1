"""Folders that other tools read as they are: a Hugging Face data set, and what LLaMA-Factory wants to find.

    hf              data/train.parquet (all columns), messages/train.parquet (chat turns), README.md (the card that
                    `datasets` reads), trl_sft.py and axolotl.yml, which train on the folder
    llamafactory    sedi.json (Alpaca's form) and dataset_info.json, whose columns LLaMA-Factory's own data/README.md
                    describes; README.md

A folder is made beside its place and renamed into it; one that is there already is replaced only if it was made here.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from sedi_engine.config import RunConfig
from sedi_engine.exports import cards
from store import exports, runs
from store.database import Store
from store.errors import ExportError
from store.exports import in_words
from store.selection import Selection

Kind = Literal["hf", "llamafactory"]
MANIFEST = "sedi_export.json"
DATASET_INFO = {
    "sedi": {
        "file_name": "sedi.json",
        "columns": {"prompt": "instruction", "query": "input", "response": "output"},
    }
}
TRL = '''"""Fine-tune on this folder with TRL:  python trl_sft.py MODEL"""

import sys
from pathlib import Path

import torch
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

folder = Path(__file__).parent
trainer = SFTTrainer(
    model=sys.argv[1],
    train_dataset=load_dataset(str(folder), "messages", split="train"),
    args=SFTConfig(output_dir=str(folder / "trained"), bf16=torch.cuda.is_available()),
)
trainer.train()
'''
AXOLOTL = """# Run in this folder:  axolotl train axolotl.yml   (set base_model first)
base_model: MODEL
datasets:
  - path: messages/train.parquet
    ds_type: parquet
    type: chat_template
    field_messages: messages
output_dir: ./trained
"""


def export_folder(store: Store, selection: Selection, kind: str, out: Path, lineage: bool) -> int:
    """Write the selected rows as a folder of this kind; returns how many they are. Raises ExportError, StoreError."""

    def fill(folder: Path) -> int:
        if kind == "hf":
            rows = _hugging_face(store, selection, folder, lineage)
        else:
            rows = store.read(exports.export, selection, "alpaca", folder / "sedi.json", False)
            _write_json(folder / "dataset_info.json", DATASET_INFO)
        summary = store.read(runs.summary, selection.run_id) or {}
        config = RunConfig.model_validate((store.read(runs.get, selection.run_id) or {})["config"])
        (folder / "README.md").write_text(cards.data_set(summary, config, selection, rows, kind), encoding="utf-8")
        return rows

    return make_folder(out, fill, {"run_id": selection.run_id, "kind": kind, "what": selection.what})


def make_folder(out: Path, fill: Callable[[Path], int], about: dict[str, Any]) -> int:
    """Let `fill` make a folder under a temporary name, add the manifest, and put it in the place of `out`."""
    _check_place(out)
    temporary = out.with_name(f".{out.name[:80]}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.mkdir()
        rows = fill(temporary)
        _write_json(temporary / MANIFEST, {**about, "rows": rows, "files": digests(temporary)})
        _put_in_place(temporary, out)
    except OSError as error:
        raise in_words(out, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return rows


def digests(folder: Path) -> dict[str, dict[str, Any]]:
    """Size in bytes and sha256 of every file in a folder, by its path there."""
    found = {}
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": digest}
    return found


def _hugging_face(store: Store, selection: Selection, folder: Path, lineage: bool) -> int:
    for name in ("data", "messages"):
        (folder / name).mkdir()
    rows = store.read(exports.export, selection, "parquet", folder / "data" / "train.parquet", lineage)
    store.read(exports.export, selection, "openai_parquet", folder / "messages" / "train.parquet", False)
    (folder / "trl_sft.py").write_text(TRL, encoding="utf-8")
    (folder / "axolotl.yml").write_text(AXOLOTL, encoding="utf-8")
    return rows


def _check_place(out: Path) -> None:
    if not out.parent.is_dir():
        raise ExportError(f"The folder {out.parent} does not exist.", "Create it, or name another with --out.")
    empty = out.is_dir() and not any(out.iterdir())
    if out.exists() and not empty and not (out / MANIFEST).is_file():
        raise ExportError(
            f"{out} is there and was not made by an export, so it is not replaced.", "Name another folder with --out."
        )


def _put_in_place(temporary: Path, out: Path) -> None:
    for path in temporary.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    older = out.with_name(f".{out.name[:80]}.{secrets.token_hex(4)}.old")
    if out.exists():
        out.rename(older)
    temporary.rename(out)
    shutil.rmtree(older, ignore_errors=True)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

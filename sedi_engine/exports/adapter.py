"""The trained adapter as a folder that PEFT loads: a checkpoint has its two files, here they get a card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from sedi_engine import checkpoint
from sedi_engine.config import RunConfig
from sedi_engine.errors import NotFoundError, TrainingError
from sedi_engine.exports import cards
from sedi_engine.exports.folder import make_folder
from store import runs
from store.database import Store

WEIGHTS, SETTINGS = "adapter_model.safetensors", "adapter_config.json"


def export_adapter(store: Store, run_id: str, out: Path) -> int:
    """Write the adapter of a run's last finished window; returns the number of optimiser steps behind it.

    Raises NotFoundError where nothing was trained, TrainingError where the checkpoint is not the one that was written.
    """
    run, summary = store.read(runs.get, run_id), store.read(runs.summary, run_id)
    if run is None or summary is None or not run["checkpoint"]:
        raise NotFoundError(f"Run {run_id} has no trained adapter.", "Train it: set train.model, and finish a window.")
    source, config = store.folder / run["checkpoint"], RunConfig.model_validate(run["config"])
    if not source.is_dir() or checkpoint.folder_hash(source) != run["checkpoint_sha256"]:
        raise TrainingError(f"The checkpoint {source} is not the one that was written.", "Put it back from a backup.")
    base = cards.base_name(config)

    def fill(folder: Path) -> int:
        shutil.copyfile(source / WEIGHTS, folder / WEIGHTS)
        settings = json.loads((source / SETTINGS).read_text(encoding="utf-8"))
        text = json.dumps({**settings, "base_model_name_or_path": base}, indent=2, sort_keys=True)
        (folder / SETTINGS).write_text(text, encoding="utf-8")
        (folder / "README.md").write_text(cards.adapter(summary, config, base), encoding="utf-8")
        return int(summary["steps"])

    return make_folder(out, fill, {"run_id": run_id, "kind": "adapter"})

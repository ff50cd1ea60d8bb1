"""Where things lie in a data folder. Run ids are made here, so they are safe as names of folders."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

STORE_VARIABLE = "SEDI_DATA"


def data_folder(given: Path | None = None) -> Path:
    """The data folder: what was given, else SEDI_DATA, else ./data."""
    return (given or Path(os.environ.get(STORE_VARIABLE) or "data")).expanduser().absolute()


def new_run_id() -> str:
    """A new run's id: its time (UTC) and four random hex digits."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def run_folder(folder: Path, run_id: str) -> Path:
    """Journal, snapshot, log and checkpoints of a run."""
    return folder / "runs" / run_id


def journal(folder: Path, run_id: str) -> Path:
    """Every reply of a run, as it came."""
    return run_folder(folder, run_id) / "replies.jsonl"


def batches(folder: Path, run_id: str) -> Path:
    """What a run sent through the provider's batch API."""
    return run_folder(folder, run_id) / "batches.jsonl"


def stream(folder: Path, run_id: str) -> Path:
    """The recorded candidates of a run, as they were when it started."""
    return run_folder(folder, run_id) / "stream.jsonl"


def imported_stream(folder: Path, import_id: str) -> Path:
    """Recorded candidates that were brought in for runs to read."""
    return folder / "streams" / f"{import_id}.jsonl"


def snapshot(folder: Path, run_id: str) -> Path:
    """What the worker of a run starts its iteration from."""
    return run_folder(folder, run_id) / "snapshot.json"


def log(folder: Path, run_id: str) -> Path:
    """What the worker's libraries print."""
    return run_folder(folder, run_id) / "worker.log"


def probe_log(folder: Path) -> Path:
    """What the libraries of connection tests and trials print."""
    return folder / "probe.log"


def checkpoint(folder: Path, run_id: str, iteration: int) -> Path:
    """The adapter, optimiser and random states at a window's end."""
    return run_folder(folder, run_id) / "checkpoints" / f"window-{iteration}"

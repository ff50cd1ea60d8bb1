"""Recordings as files: written beside and renamed, read from a path or an upload, and the one that ships with us."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from sedi_engine.errors import NotFoundError
from store import recordings
from store.database import Store
from store.exports import write_whole

OURS = Path(__file__).parents[1] / "data" / "recordings" / "demo.sedi"


def record(store: Store, run_id: str, out: Path) -> int:
    """Write the recording of a run to `out`; returns the number of its rows."""

    def write(fresh: Path) -> int:
        with fresh.open("xb") as file:
            return store.read(recordings.write, run_id, file)

    return write_whole(out, write)


def play(store: Store, source: BinaryIO | Path, name: str, by: str) -> str:
    """Put a recording into the store; the id of its run. Raises RecordingError, or NotFoundError for no file."""
    if isinstance(source, Path) and not source.is_file():
        raise NotFoundError(f"There is no file {source}.", "Name a recording, as `record` writes it.")
    return store.write(recordings.read, source, name, by)

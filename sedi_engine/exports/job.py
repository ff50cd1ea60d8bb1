"""Exports for the pages: written beside them in turn, into a folder of the store that is emptied at start."""

from __future__ import annotations

import secrets
import shutil
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sedi_engine.exports import EXTENSIONS, export
from sedi_engine.exports.adapter import export_adapter
from sedi_engine.exports.recording import record
from store.database import Store
from store.exports import in_words
from store.selection import Selection

KEPT = 8


@dataclass(frozen=True)
class Prepared:
    """A file that waits to be downloaded: its place, the name to offer, the rows (or steps) in it, its bytes."""

    path: Path
    name: str
    rows: int
    size_bytes: int


class Exporter:
    """Writes what is asked for; the last KEPT files stay until the store is opened anew."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.folder / "exports"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._made: deque[Path] = deque()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="exports")

    def prepare(self, selection: Selection, file_format: str, lineage: bool) -> Future[Prepared]:
        """Write the selected rows; a folder comes as a zip archive. It fails with ExportError or StoreError."""
        name = f"{selection.run_id}-{selection.what}.{EXTENSIONS[file_format]}"
        return self._threads.submit(
            self._make, name, lambda out: export(self._store, selection, file_format, out, lineage)
        )

    def adapter(self, run_id: str) -> Future[Prepared]:
        """Write the trained adapter of a run with its card, as a zip archive."""
        name = f"{run_id}-adapter.zip"
        return self._threads.submit(self._make, name, lambda out: export_adapter(self._store, run_id, out))

    def recording(self, run_id: str) -> Future[Prepared]:
        """Write a run as a recording, which another store can show."""
        return self._threads.submit(self._make, f"{run_id}.sedi", lambda out: record(self._store, run_id, out))

    def close(self) -> None:
        """Let go once what is being written is done."""
        self._threads.shutdown(cancel_futures=True)

    def _make(self, name: str, write: Callable[[Path], int]) -> Prepared:
        place = self._folder / secrets.token_hex(4)
        try:
            place.mkdir(parents=True)
            self._made.append(place)
            out = place / name.removesuffix(".zip")
            rows = write(out)
            if out.is_dir():
                out = Path(shutil.make_archive(str(out), "zip", out))
            while len(self._made) > KEPT:
                shutil.rmtree(self._made.popleft(), ignore_errors=True)
            return Prepared(out, name, rows, out.stat().st_size)
        except OSError as error:
            raise in_words(place / name, error) from None

"""The imports of a store: one at a time, each read in a process of its own, beside whatever run is going on.

The file is kept under a name of ours; a kill at any moment leaves either nothing of it in the store or all of it, and
an interrupted import can be started again.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, get_args

from sedi_engine import process
from sedi_engine.errors import InputError, NotFoundError, StudioError
from sedi_engine.imports.formats import PARTS, FormatName, Target, Task, tasks_of
from sedi_engine.imports.readers import Fault, container, records
from store import imports
from store.database import Store

BATCH_ROWS = 10_000
HEAD_BYTES = 4 << 20


class Imports:
    """Takes files in, in the order in which they came."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.folder / "imports"
        self._waiting: queue.Queue[str | None] = queue.Queue()
        self._progress: dict[str, dict[str, int]] = {}
        self._cancelled: set[str] = set()
        self._current: tuple[str, subprocess.Popen[bytes]] | None = None
        self._lock = threading.Lock()
        self._idle: dict[str, threading.Event] = {}
        self._closing = False
        store.write(imports.interrupt_running)
        self._thread = threading.Thread(target=self._work, name="imports", daemon=True)
        self._thread.start()

    def start(
        self,
        source: BinaryIO,
        name: str,
        target: str,
        by: str,
        form: str | None = None,
        mapping: Mapping[str, str] | None = None,
    ) -> str:
        """Keep the file and queue its import; returns the import's id. Raises InputError for what cannot be."""
        mapping = dict(mapping or {})
        _check(target, form, mapping)
        import_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        place = self._folder / import_id
        try:
            place.mkdir(parents=True)
            with (place / "upload").open("xb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
                os.fsync(file.fileno())
        except OSError as error:
            shutil.rmtree(place, ignore_errors=True)
            raise StudioError(
                f"{name} was not kept: {error.strerror or error}.", "Free some disk space, then import it again."
            ) from None
        self._store.write(imports.begin, import_id, name[:200], form or "recognised", target, mapping, by)
        self._queue(import_id)
        return import_id

    def resume(self, import_id: str) -> None:
        """Start an interrupted or failed import again from the file that was kept."""
        row = self.get(import_id)
        if row["status"] in ("running", "completed"):
            raise InputError(f"Import {import_id} is {row['status']}.", "There is nothing to start again.")
        if not (self._folder / import_id / "upload").is_file():
            raise InputError(f"The file of import {import_id} is gone.", "Import it anew.")
        self._cancelled.discard(import_id)
        self._store.write(imports.again, import_id)
        self._queue(import_id)

    def cancel(self, import_id: str) -> None:
        """Stop an import; nothing of it comes into the store."""
        if self.get(import_id)["status"] != "running":
            raise InputError(f"Import {import_id} is not running.", "There is nothing to stop.")
        with self._lock:
            self._cancelled.add(import_id)
            if self._current and self._current[0] == import_id:
                self._current[1].kill()

    def get(self, import_id: str) -> dict[str, Any]:
        """An import's row, with the counts so far while it is read; raises NotFoundError."""
        row = self._store.read(imports.get, import_id)
        if row is None:
            raise NotFoundError(f"There is no import {import_id!r}.", "`imports` lists those there are.")
        return {**row, **self._progress.get(import_id, {})} if row["status"] == "running" else row

    def wait(self, import_id: str, timeout_s: float | None = None) -> bool:
        """Wait until an import has ended; False when the time is over before."""
        event = self._idle.get(import_id)
        return event is None or event.wait(timeout_s)

    def close(self) -> None:
        """End what is being read; it becomes interrupted and can be started again."""
        self._waiting.put(None)
        with self._lock:
            self._closing = True
            if self._current:
                self._current[1].kill()
        self._thread.join()
        with contextlib.suppress(StudioError):
            self._store.write(imports.interrupt_running)

    def _queue(self, import_id: str) -> None:
        self._idle[import_id] = threading.Event()
        self._waiting.put(import_id)

    def _work(self) -> None:
        while (import_id := self._waiting.get()) is not None:
            try:
                self._read(import_id)
            except Exception as error:
                message = error.message if isinstance(error, StudioError) else f"{type(error).__name__}: {error}"
                next_step = getattr(error, "next_step", "") or "Start it again: the file is kept."
                with contextlib.suppress(StudioError):
                    self._store.write(imports.end, import_id, "failed", message, next_step)
            finally:
                self._progress.pop(import_id, None)
                self._idle[import_id].set()

    def _read(self, import_id: str) -> None:
        """Let a process read the file, then take in what it made."""
        row, place = self.get(import_id), self._folder / import_id
        known = (Task(*texts).key for texts in self._store.read(imports.known_texts, row["target"]))
        (place / "known").write_text("\n".join(known), encoding="ascii")
        form = row["format"] if row["format"] in get_args(FormatName) else None
        order = {"format": form, "mapping": row["mapping"], "target": row["target"]}
        (place / "order.json").write_text(json.dumps(order), encoding="utf-8")
        said = self._follow(import_id, place)
        if import_id in self._cancelled:
            self._store.write(imports.end, import_id, "cancelled")
        elif "done" not in said and not self._closing:
            error = said.get("error", "The process that read the file ended before it was done.")
            next_step = said.get("next_step", "If it stops again, split the file into smaller ones.")
            self._store.write(imports.end, import_id, "failed", error, next_step)
        elif "done" in said:
            self._take(import_id, row["target"], place, said["done"])
        for name in ("known", "unpacked", "tasks.parquet"):
            (place / name).unlink(missing_ok=True)

    def _follow(self, import_id: str, place: Path) -> dict[str, Any]:
        """The last word of the process; its progress on the way."""
        with self._lock:
            if self._closing or import_id in self._cancelled:
                return {}
            reader = process.spawn("sedi_engine.imports.worker", str(place), log=place / "worker.log")
            self._current = (import_id, reader)
        said: dict[str, Any] = {}
        assert reader.stdout is not None
        for line in reader.stdout:
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                self._progress[import_id] = said.get("counts", self._progress.get(import_id, {}))
        with self._lock:
            self._current = None
        for pipe in (reader.stdin, reader.stdout):
            if pipe:
                pipe.close()
        reader.wait()
        return said

    def _take(self, import_id: str, target: str, place: Path, counts: dict[str, int]) -> None:
        import pyarrow.parquet as pq

        faults = [json.loads(line) for line in (place / "faults.jsonl").read_text(encoding="utf-8").splitlines()]
        with pq.ParquetFile(place / "tasks.parquet") as file:
            if target == "stream":
                _write_stream(self._store.folder / "streams" / f"{import_id}.jsonl", _rows(file))
            batches = () if target == "stream" else file.iter_batches(batch_size=BATCH_ROWS)
            self._store.write(imports.take, import_id, batches, faults, counts)


def preview(head: bytes, name: str, form: str | None, mapping: Mapping[str, str], scratch: Path) -> dict[str, Any]:
    """What the beginning of a file holds: container, columns, the first tasks and faults. For a page, before it starts.

    `scratch` is a folder of the caller's. Raises InputError where it cannot be read at all.
    """
    _check("reference", form, mapping)
    path = scratch / "head"
    path.write_bytes(head)
    shown: list[dict[str, Any]] = []
    columns: list[str] = []
    for read in records(path, scratch / "unpacked"):
        if isinstance(read.record, Fault):
            shown.append({"line": read.line, "instruction": "", "input": "", "output": "", "fault": read.record.reason})
        else:
            columns = columns or list(read.record)
            tasks = tasks_of(read.record, form, mapping, "reference")  # type: ignore[arg-type]
            if isinstance(tasks, str):
                shown.append({"line": read.line, "instruction": "", "input": "", "output": "", "fault": tasks})
            else:
                shown += [
                    {"line": read.line, **{part: getattr(one, part) for part in PARTS}, "fault": ""} for one in tasks
                ]
        if len(shown) >= 5:
            break
    return {"container": container(path), "columns": columns[:200], "rows": shown[:5]}


def stream_files(folder: Path) -> list[Path]:
    """The imported streams of a data folder, newest first."""
    return sorted((folder / "streams").glob("*.jsonl"), reverse=True)


def _check(target: str, form: str | None, mapping: Mapping[str, str]) -> None:
    if target not in get_args(Target):
        raise InputError(f"A file cannot be imported as {target!r}.", f"Choose one of {', '.join(get_args(Target))}.")
    if form is not None and form not in get_args(FormatName):
        raise InputError(f"There is no form {form!r} to import.", f"Choose one of {', '.join(get_args(FormatName))}.")
    if wrong := next((part for part in mapping if part not in PARTS), None):
        raise InputError(f"A column cannot be mapped to {wrong!r}.", f"Map to {', '.join(PARTS)}.")
    if mapping and "instruction" not in mapping:
        raise InputError("No column is mapped to instruction.", "Name it, for example --column instruction=question.")


def _rows(file: Any) -> Iterator[dict[str, str]]:
    for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(PARTS)):
        yield from batch.to_pylist()


def _write_stream(path: Path, rows: Iterator[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)

"""What import and export of many rows cost beside Python's own JSON on the same rows, in one run."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sedi_engine.bench.memory import Growth
from sedi_engine.config import RunConfig
from sedi_engine.exports import EXTENSIONS, export
from sedi_engine.imports.job import Imports
from sedi_engine.seeds import library_seeds
from store import imports, runs
from store.connection import fetch_one
from store.database import Cursor, Store
from store.selection import Selection

ROWS = 100_000
FORMATS = ("alpaca", "jsonl", "csv", "parquet", "openai", "hf")
RUN = "bench"


def tasks(rows: int) -> Iterator[dict[str, str]]:
    """Different tasks of the usual length, made of our seeds."""
    seeds = library_seeds()
    for number in range(rows):
        one, other = seeds[number % len(seeds)], seeds[(number // len(seeds) + 7 * number) % len(seeds)]
        yield {"instruction": f"{one.instruction} ({number})", "input": other.input, "output": other.output * 3}


def run_import(rows: int = ROWS) -> dict[str, Any]:
    """Rows a second, the reader's and the owner's memory, and how long a page's read waited at most meanwhile."""
    with tempfile.TemporaryDirectory() as temporary:
        path, folder = Path(temporary) / "tasks.jsonl", Path(temporary) / "data"
        path.write_text("".join(json.dumps(task) + "\n" for task in tasks(rows)), encoding="utf-8")
        bare_s = _timed(lambda: [json.loads(line) for line in path.open(encoding="utf-8")])
        store = Store(folder)
        jobs = Imports(store)
        try:
            with Growth() as memory, _Reads(store) as reads:
                started = time.perf_counter()
                with path.open("rb") as file:
                    import_id = jobs.start(file, path.name, "reference", "bench")
                jobs.wait(import_id)
                took_s = time.perf_counter() - started
            row = store.read(imports.get, import_id) or {}
        finally:
            jobs.close()
            store.close()
    return {
        "rows": rows,
        "taken": row["taken"],
        "rows_per_s": rows / took_s,
        "ratio_to_json": took_s / bare_s,
        "reader_mb": memory.children_mb,
        "owner_growth_mb": memory.own_mb,
        "longest_read_ms": 1000 * reads.longest_s,
        "reads": reads.count,
    }


def run_export(rows: int = ROWS) -> dict[str, Any]:
    """For each form: rows a second, the ratio to a bare loop of json.dumps, and what memory grew by."""
    with tempfile.TemporaryDirectory() as temporary:
        store = Store(Path(temporary) / "data")
        try:
            bare_s = _begin(store, Path(temporary) / "bare.jsonl", rows)
            found = {form: _export(store, form, Path(temporary), bare_s) for form in FORMATS}
        finally:
            store.close()
    return {"rows": rows, "json_rows_per_s": rows / bare_s, **found}


def _begin(store: Store, bare: Path, rows: int) -> float:
    """Enter the rows; seconds that Python's json takes to write the same ones. Nothing of them stays in memory."""
    made = list(tasks(rows))
    store.write(_fill, made)
    return _timed(lambda: bare.write_text("".join(json.dumps(task) + "\n" for task in made), encoding="utf-8"))


def _export(store: Store, form: str, folder: Path, bare_s: float) -> dict[str, float]:
    out = folder / f"{form}.{EXTENSIONS[form]}"
    with Growth() as memory:
        started = time.perf_counter()
        rows = export(store, Selection(run_id=RUN), form, out)
        took_s = time.perf_counter() - started
    return {"rows_per_s": rows / took_s, "ratio_to_json": took_s / bare_s, "growth_mb": memory.own_mb}


def _fill(cursor: Cursor, made: list[dict[str, str]]) -> None:
    """A run with these kept candidates, entered in bulk."""
    import pyarrow as pa

    runs.create(cursor, RUN, RunConfig.load("quick").model_dump(), "bench", 0)
    cursor.register("made", pa.Table.from_pylist(made).append_column("n", pa.array(range(len(made)))))
    cursor.execute(
        "INSERT INTO candidate BY NAME SELECT $1 || '-' || n AS candidate_id, $1 AS run_id, 1 AS iteration, "
        "n // 8 AS call_index, n % 8 AS position, 'machine' AS origin, instruction, input, output, "
        "'kept' AS verdict, []::VARCHAR[] AS flags FROM made",
        [RUN],
    )
    cursor.unregister("made")


class _Reads:
    """Reads the store again and again, as a page does, and remembers the longest wait."""

    def __init__(self, store: Store) -> None:
        self._store, self._done = store, threading.Event()
        self.longest_s, self.count = 0.0, 0
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> _Reads:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._done.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._done.wait(0.01):
            took_s = _timed(lambda: self._store.read(fetch_one, "SELECT count(*) AS n FROM seed WHERE in_library"))
            self.longest_s, self.count = max(self.longest_s, took_s), self.count + 1


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started

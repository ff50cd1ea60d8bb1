"""The process that reads one import: `python -m sedi_engine.imports.worker FOLDER`.

FOLDER holds `upload` (the file), `known` (keys of the tasks that are there already, one a line) and `order.json`. It
writes `tasks.parquet` and `faults.jsonl`, says how far it is in JSON lines on stdout, and ends with its parent.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

from sedi_engine.errors import StudioError
from sedi_engine.imports.formats import Task, tasks_of
from sedi_engine.imports.readers import Fault, Read, records
from store.imports import FAULTS_KEPT
from store.seeds import content_hash

MOST_MEMORY_BYTES = 6 << 30  # of addresses, most of which libraries reserve and never use
ROWS_AT_ONCE = 2000
SAY_EVERY_S = 0.3


class Taking:
    """Sorts what is read into tasks, duplicates and refused; `counts` hold read = taken + duplicates + refused."""

    def __init__(self, order: dict[str, Any], known: set[str]) -> None:
        self._order, self._known = order, known
        self.counts = {"read": 0, "taken": 0, "duplicates": 0, "refused": 0}
        self.faults: list[dict[str, Any]] = []

    def take(self, read: Read) -> list[dict[str, Any]]:
        """The rows that a record gives."""
        tasks = self._tasks(read)
        if isinstance(tasks, str):
            self.counts["read"] += 1
            excerpt = read.record.excerpt if isinstance(read.record, Fault) else _excerpt(read.record)
            self._leave_out("refused", read.line, tasks, excerpt)
            return []
        return [row for task in tasks if (row := self._row(task, read.line))]

    def _tasks(self, read: Read) -> list[Task] | str:
        if isinstance(read.record, Fault):
            return read.record.reason
        return tasks_of(read.record, self._order["format"], self._order["mapping"], self._order["target"])

    def _row(self, task: Task, line: int) -> dict[str, Any] | None:
        self.counts["read"] += 1
        if task.key in self._known:
            self._leave_out("duplicates", line, "the same task is there already", task.instruction)
            return None
        self._known.add(task.key)
        position = self.counts["taken"]
        self.counts["taken"] += 1
        texts = (task.instruction, task.input, task.output)
        return {
            "position": position,
            "line": line,
            **dict(zip(("instruction", "input", "output"), texts, strict=True)),
            "is_classification": task.is_classification,
            "content_hash": content_hash(*texts),
        }

    def _leave_out(self, kind: str, line: int, reason: str, excerpt: str) -> None:
        self.counts[kind] += 1
        if len(self.faults) < FAULTS_KEPT:
            shown = "".join(letter if letter.isprintable() else " " for letter in excerpt[:200])
            self.faults.append({"line": line, "reason": reason[:500], "excerpt": shown})


def work(folder: Path) -> dict[str, int]:
    """Read the upload; the counts. Raises StudioError where the file as a whole cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    order = json.loads((folder / "order.json").read_text(encoding="utf-8"))
    taking = Taking(order, set((folder / "known").read_text(encoding="ascii").split()))
    schema = pa.schema(
        [
            ("position", pa.int64()),
            ("line", pa.int64()),
            *((name, pa.string()) for name in ("instruction", "input", "output")),
            ("is_classification", pa.bool_()),
            ("content_hash", pa.string()),
        ]
    )
    said, rows = time.monotonic(), []
    with pq.ParquetWriter(folder / "tasks.parquet", schema) as out:
        for read in records(folder / "upload", folder / "unpacked"):
            rows += taking.take(read)
            if len(rows) >= ROWS_AT_ONCE:
                out.write_batch(pa.RecordBatch.from_pylist(rows, schema))
                rows = []
            if time.monotonic() - said > SAY_EVERY_S:
                said = time.monotonic()
                _say({"counts": taking.counts})
        if rows:
            out.write_batch(pa.RecordBatch.from_pylist(rows, schema))
    lines = (json.dumps(fault) + "\n" for fault in taking.faults)
    (folder / "faults.jsonl").write_text("".join(lines), encoding="utf-8")
    return taking.counts


def _excerpt(record: dict[str, Any]) -> str:
    return str(dict(list(record.items())[:8]))[:200]


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Work under a bound on memory, and say how it ended."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    try:
        _say({"done": work(Path(arguments[0]))})
    except StudioError as error:
        _say({"error": error.message, "next_step": error.next_step})
    except MemoryError:
        _say(
            {"error": "The file needs more memory than an import may use.", "next_step": "Split it into smaller ones."}
        )
    except OSError as error:
        _say(
            {
                "error": f"The import stopped: {error.strerror or error}.",
                "next_step": "Free some disk space, then retry.",
            }
        )
    return 0


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

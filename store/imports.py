"""Imports: what was brought in, with a report by line; its tasks join in one transaction or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa

from store.connection import fetch, fetch_one, insert
from store.kept import kept
from store.records import Seed

Cursor = duckdb.DuckDBPyConnection
FAULTS_KEPT = 1000


def begin(
    cursor: Cursor, import_id: str, name: str, form: str, target: str, mapping: Mapping[str, str], by: str
) -> None:
    """Enter an import that is about to be read."""
    row = {
        "import_id": import_id,
        "name": name,
        "format": form,
        "target": target,
        "mapping": json.dumps(dict(mapping)),
        "status": "running",
        "by": by,
        "at": _now(),
    }
    insert(cursor, "import", [row])


def again(cursor: Cursor, import_id: str) -> None:
    """An import that was interrupted is read from its beginning."""
    cursor.execute("DELETE FROM import_fault WHERE import_id = ?", [import_id])
    cursor.execute(
        "UPDATE import SET status = 'running', read = 0, taken = 0, duplicates = 0, refused = 0, error = NULL, "
        "next_step = NULL, ended = NULL WHERE import_id = ?",
        [import_id],
    )


def interrupt_running(cursor: Cursor) -> None:
    """At start: whatever claims to be read is not."""
    cursor.execute(
        "UPDATE import SET status = 'interrupted', ended = ?, next_step = 'Start it again: the file is kept.' "
        "WHERE status = 'running'",
        [_now()],
    )


def end(cursor: Cursor, import_id: str, status: str, error: str | None = None, next_step: str | None = None) -> None:
    """An import ended without its tasks."""
    cursor.execute(
        "UPDATE import SET status = ?, error = ?, next_step = ?, ended = ? WHERE import_id = ?",
        [status, error, next_step, _now(), import_id],
    )


def take(
    cursor: Cursor,
    import_id: str,
    tasks: Iterable[pa.RecordBatch],
    faults: Iterable[Mapping[str, Any]],
    counts: Mapping[str, int],
) -> None:
    """Enter the tasks of an import, where its target keeps them, its report and its counts, all at once.

    `tasks` have position, line, instruction, input, output, is_classification and content_hash; `counts` are read,
    taken, duplicates and refused.
    """
    row = get(cursor, import_id)
    assert row is not None, import_id
    for batch in tasks:
        cursor.register("brought_in", pa.Table.from_batches([batch]))
        if row["target"] == "seeds":
            cursor.execute(
                "INSERT INTO seed SELECT format('i-{}-{:07d}', $1, position), instruction, input, output, "
                "is_classification, 'import', []::VARCHAR[], content_hash, true, $2, true "
                "FROM brought_in ORDER BY position ON CONFLICT DO NOTHING",
                [import_id, _now()],
            )
        elif row["target"] in ("heldout", "reference"):
            cursor.execute(
                "INSERT INTO imported_task SELECT $1, position, line, instruction, input, output, content_hash "
                "FROM brought_in",
                [import_id],
            )
        cursor.unregister("brought_in")
    insert(cursor, "import_fault", ({"import_id": import_id, **fault} for fault in faults))
    cursor.execute(
        "UPDATE import SET status = 'completed', read = ?, taken = ?, duplicates = ?, refused = ?, ended = ? "
        "WHERE import_id = ?",
        [*(counts[name] for name in ("read", "taken", "duplicates", "refused")), _now(), import_id],
    )


def get(cursor: Cursor, import_id: str) -> dict[str, Any] | None:
    """An import's row with its mapping; None if it is not there."""
    row = fetch_one(cursor, "SELECT * FROM import WHERE import_id = ?", [import_id])
    return row and {**row, "mapping": json.loads(row["mapping"])}


@kept
def listed(cursor: Cursor) -> list[dict[str, Any]]:
    """Every import, newest first."""
    return fetch(cursor, 'SELECT * FROM import ORDER BY "at" DESC, import_id DESC')


def report(cursor: Cursor, import_id: str) -> list[dict[str, Any]]:
    """What an import left out, by line; the first FAULTS_KEPT of it."""
    return fetch(
        cursor, "SELECT line, reason, excerpt FROM import_fault WHERE import_id = ? ORDER BY line", [import_id]
    )


def tasks(cursor: Cursor, import_id: str, limit: int) -> tuple[Seed, ...]:
    """The first tasks of a held-out or reference import, in their order."""
    rows = fetch(
        cursor,
        "SELECT * FROM imported_task WHERE import_id = ? ORDER BY position LIMIT ?",
        [import_id, limit],
    )
    return tuple(
        Seed(
            seed_id=f"h-{import_id}-{row['position']}",
            instruction=row["instruction"],
            input=row["input"],
            output=row["output"],
            origin="import",
        )
        for row in rows
    )


def known_texts(cursor: Cursor, target: str) -> list[tuple[str, str, str]]:
    """The tasks that an import into `target` is compared with, as (instruction, input, output)."""
    texts = "instruction, input, output"
    if target == "seeds":
        cursor.execute(f"SELECT {texts} FROM seed WHERE in_library")  # noqa: S608
    else:
        cursor.execute(
            f"SELECT {texts} FROM imported_task JOIN import USING (import_id) WHERE target = ?",  # noqa: S608
            [target],
        )
    return cursor.fetchall()


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)

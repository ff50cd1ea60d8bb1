"""Opening the DuckDB file: one process owns it, every query takes a cursor of its own.

DuckDB refuses a second process even for reading, so the lock error is turned into words that name the holder.
External access is off for the whole instance: no query can read or write another file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from store.errors import StoreError, StoreLockedError, StudioError

DATABASE_NAME = "studio.duckdb"
HARDENED = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": "2GB",
    "threads": "2",
}
Values = Sequence[Any] | Mapping[str, Any]


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    """Open the store in `folder`, creating both; raises StoreLockedError or StoreError in words."""
    path = folder / DATABASE_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return duckdb.connect(str(path), config=HARDENED)
    except OSError as error:
        raise StoreError(
            f"The data folder {folder} cannot be used: {error.strerror or error}.",
            "Make it writable, or name another with --store DIR or SEDI_DATA.",
        ) from None
    except duckdb.Error as error:
        raise _opening_error(path, str(error)) from None


def _opening_error(path: Path, text: str) -> StudioError:
    if "lock" in text.lower():
        found = re.search(r"PID (\d+)", text)
        holder = f"process {found[1]}" if found else "another process"
        return StoreLockedError(
            f"The store {path} is open in {holder}; one process at a time can own it.",
            f"Close it there{f' (kill {found[1]})' if found else ''}, or name another folder with --store DIR.",
            int(found[1]) if found else None,
        )
    if "version" in text.lower() and "storage" in text.lower():
        return StoreError(
            f"The store {path} was written by another version of DuckDB.",
            "Start the version of the program that wrote it, or name another folder with --store DIR.",
        )
    reason = text.splitlines()[0] if text else "unknown"
    return StoreError(
        f"The store {path} cannot be opened: {reason}",
        "Check that the folder is writable and the disk not full, or name another with --store DIR.",
    )


def fetch(cursor: duckdb.DuckDBPyConnection, sql: str, values: Values = ()) -> list[dict[str, Any]]:
    """Rows of a query as dictionaries; values are bound by place, or by name."""
    rows = cursor.execute(sql, values if isinstance(values, Mapping) else list(values))
    names = [column[0] for column in rows.description or ()]
    return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def fetch_one(cursor: duckdb.DuckDBPyConnection, sql: str, values: Values = ()) -> dict[str, Any] | None:
    """The first row of a query, or None."""
    rows = fetch(cursor, sql, values)
    return rows[0] if rows else None


def insert(
    cursor: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Mapping[str, Any]], conflict: str = ""
) -> None:
    """Insert rows that share their columns in one statement; `conflict` is an ON CONFLICT clause.

    Table and column names come from this package's code and records, never from outside.
    """
    rows = list(rows)
    if not rows:
        return
    columns = list(rows[0])
    names = ", ".join(f'"{column}"' for column in columns)
    one = f"({', '.join('?' * len(columns))})"
    for start in range(0, len(rows), 500):
        part = rows[start : start + 500]
        values = [_plain(row[column]) for row in part for column in columns]
        cursor.execute(
            f"INSERT INTO {table} ({names}) VALUES {', '.join([one] * len(part))} {conflict}",  # noqa: S608
            values,
        )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

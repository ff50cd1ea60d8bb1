"""What a run made, as files that other tools read.

Rows go from a cursor to the file a chunk at a time, so memory does not grow with the run. A file is written under a
temporary name in its own folder, synced and renamed: until then an older one stays as it was.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
import secrets
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from store.cells import cell
from store.errors import ExportError, StoreError, StudioError
from store.export_rows import QUERIES, select
from store.selection import Selection

Cursor = duckdb.DuckDBPyConnection
Row = dict[str, Any]
Format = Literal[
    "alpaca",
    "jsonl",
    "parquet",
    "csv",
    "self_instruct",
    "sharegpt",
    "openai",
    "openai_parquet",
    "prompt_completion",
]
TEXTS = ("instruction", "input", "output")
ROWS_AT_ONCE = 1000
ARROW_TYPES = {
    "VARCHAR": pa.string(),
    "VARCHAR[]": pa.list_(pa.string()),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
}


def export(cursor: Cursor, selection: Selection, file_format: Format, out: Path, lineage: bool = False) -> int:
    """Write the selected rows to `out`; returns how many they are.

    `alpaca` is a JSON array of objects of exactly instruction, input and output; `self_instruct`, `sharegpt`, `openai`
    and `prompt_completion` are JSON lines in the forms that these names stand for; with `lineage` each record of
    theirs has a field of that name more. `jsonl`, `parquet` and `csv` hold a column for each thing that is known, with
    `lineage` more of them. In CSV, lists are JSON and texts that a spreadsheet would run are defused (store/cells.py).

    Raises ExportError for an unknown format and for a place that cannot be written, StoreError when the disk is full
    or fails.
    """
    _check_known("set of rows", selection.what, QUERIES)
    _check_known("format", file_format, WRITERS)
    select(cursor, selection, lineage)
    return write_whole(out, lambda temporary: WRITERS[file_format](temporary, cursor, lineage))


def write_whole(out: Path, write: Callable[[Path], int]) -> int:
    """Let `write` make a file under a temporary name, sync it, and put it in the place of `out`."""
    temporary = out.with_name(f".{out.name[:80]}.{secrets.token_hex(4)}.tmp")
    try:
        _check_target(out)
        written = write(temporary)
        _sync(temporary)
        temporary.replace(out)
    except OSError as error:
        raise in_words(out, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return written


def user_text(row: Row) -> str:
    """What a person would say: the instruction, and the input below it where there is one."""
    return f"{row['instruction']}\n\n{row['input']}" if row["input"] else row["instruction"]


def as_alpaca(row: Row) -> Row:
    """Alpaca's three fields."""
    return {name: row[name] for name in TEXTS}


def as_self_instruct(row: Row) -> Row:
    """Self-Instruct's seed record with one instance."""
    ident = row.get("candidate_id") or row.get("seed_id")
    return {
        "id": ident,
        "name": ident,
        "instruction": row["instruction"],
        "instances": [{"input": row["input"], "output": row["output"]}],
        "is_classification": bool(row.get("is_classification", False)),
    }


def as_sharegpt(row: Row) -> Row:
    """ShareGPT's conversation of two turns."""
    return {"conversations": [{"from": "human", "value": user_text(row)}, {"from": "gpt", "value": row["output"]}]}


def as_messages(row: Row) -> Row:
    """OpenAI's messages, which chat templates and TRL read too."""
    turns = (("user", user_text(row)), ("assistant", row["output"]))
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def as_prompt_completion(row: Row) -> Row:
    """A prompt and its completion."""
    return {"prompt": user_text(row), "completion": row["output"]}


def _columns(cursor: Cursor) -> dict[str, str]:
    """Name and SQL type of each column of the result that waits in the cursor."""
    return {column[0]: str(column[1]) for column in cursor.description or ()}


def _chunks(cursor: Cursor) -> Iterator[list[Row]]:
    names = list(_columns(cursor))
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        yield [dict(zip(names, row, strict=True)) for row in rows]


def _write_alpaca(path: Path, cursor: Cursor, lineage: bool) -> int:
    written = 0
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write("[")
        for row in (row for rows in _chunks(cursor) for row in rows):
            file.write((",\n" if written else "\n") + json.dumps(as_alpaca(row), ensure_ascii=False))
            written += 1
        file.write("\n]\n" if written else "]\n")
    return written


def _lines(record: Callable[[Row], Row] | None) -> Callable[[Path, Cursor, bool], int]:
    """A writer of JSON lines: the rows as they are, or a record of each."""

    def shaped(row: Row, lineage: bool) -> Row:
        if record is None:
            return row
        rest = {"lineage": {name: value for name, value in row.items() if name not in TEXTS}} if lineage else {}
        return {**record(row), **rest}

    def write(path: Path, cursor: Cursor, lineage: bool) -> int:
        written = 0
        with path.open("x", encoding="utf-8", newline="\n") as file:
            for rows in _chunks(cursor):
                file.writelines(json.dumps(shaped(row, lineage), ensure_ascii=False) + "\n" for row in rows)
                written += len(rows)
        return written

    return write


def _write_csv(path: Path, cursor: Cursor, lineage: bool) -> int:
    """RFC 4180 with a byte order mark, without which a spreadsheet takes UTF-8 for something else."""
    written = 0
    with path.open("x", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow(_columns(cursor))
        for rows in _chunks(cursor):
            table.writerows([[cell(value) for value in row.values()] for row in rows])
            written += len(rows)
    return written


def _write_parquet(path: Path, cursor: Cursor, lineage: bool) -> int:
    written = 0
    schema = pa.schema([(name, ARROW_TYPES[kind]) for name, kind in _columns(cursor).items()])
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for rows in _chunks(cursor):
            file.write_batch(pa.RecordBatch.from_pylist(rows, schema))
            written += len(rows)
    return written


def _write_messages(path: Path, cursor: Cursor, lineage: bool) -> int:
    """OpenAI's messages as a Parquet column."""
    written = 0
    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    schema = pa.schema([("messages", pa.list_(turn))])
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for rows in _chunks(cursor):
            file.write_batch(pa.RecordBatch.from_pylist([as_messages(row) for row in rows], schema))
            written += len(rows)
    return written


WRITERS: dict[str, Callable[[Path, Cursor, bool], int]] = {
    "alpaca": _write_alpaca,
    "jsonl": _lines(None),
    "parquet": _write_parquet,
    "csv": _write_csv,
    "self_instruct": _lines(as_self_instruct),
    "sharegpt": _lines(as_sharegpt),
    "openai": _lines(as_messages),
    "openai_parquet": _write_messages,
    "prompt_completion": _lines(as_prompt_completion),
}


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _check_known(noun: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise ExportError(f"There is no {noun} {value!r} to export.", f"Choose one of {', '.join(allowed)}.")


def _check_target(out: Path) -> None:
    if out.exists() and not out.is_file():
        raise ExportError(f"{out} is not a regular file, so it cannot be replaced.", "Name a file with --out.")
    if not out.parent.is_dir():
        raise ExportError(f"The folder {out.parent} does not exist.", "Create it, or name a file elsewhere with --out.")


def in_words(out: Path, error: OSError) -> StudioError:
    """The error of an export that failed on the disk."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(f"The disk is full: {out} was not written.", "Free some space and export again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG):
        return ExportError(f"{out} cannot be written: {error.strerror}.", "Name a file elsewhere with --out.")
    return StoreError(f"{out} was not written: {error.strerror or error}.", "Check the disk and export again.")

"""What a run made, as files that other tools read: Alpaca's JSON array, JSON lines, Parquet.

Rows go from a cursor to the file a chunk at a time, so memory does not grow with the run. A file is written under a
temporary name in its own folder, synced and renamed: until then an older one stays as it was.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from store.candidates import DECIDED, IN_K
from store.errors import ExportError, StoreError, StudioError

Cursor = duckdb.DuckDBPyConnection
What = Literal["kept", "candidates", "seeds"]
Format = Literal["alpaca", "jsonl", "parquet"]

ROWS_AT_ONCE = 1000
ARROW_TYPES = {
    "VARCHAR": pa.string(),
    "VARCHAR[]": pa.list_(pa.string()),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
}


def export(cursor: Cursor, run_id: str, what: What, file_format: Format, out: Path, lineage: bool = False) -> int:
    """Write the kept examples, all candidates or the seeds of a run to `out`; returns the number of rows.

    `kept` is what may be exported: kept, less rejected, plus rescued ones that have an output, with edits in place of
    their originals. `candidates` are in the order of judgement, edits last; `seeds` in the order of joining S.

    `alpaca` is a JSON array of objects of exactly instruction, input and output, whatever `what` is; `jsonl` and
    `parquet` hold more columns, and with `lineage` all that is known. Times are UTC in ISO 8601. Raises ExportError
    for an unknown `what` or format and for a place that cannot be written, StoreError when the disk is full or fails.
    """
    _check_known("set of rows", what, QUERIES)
    _check_known("format", file_format, WRITERS)
    cursor.execute(_sql(QUERIES[what], file_format, lineage), [run_id])
    temporary = out.with_name(f".{out.name[:80]}.{secrets.token_hex(4)}.tmp")
    try:
        _check_target(out)
        written = WRITERS[file_format](temporary, cursor)
        _sync(temporary)
        temporary.replace(out)
    except OSError as error:
        raise _in_words(out, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return written


class Query(NamedTuple):
    """The alias of the tasks, the columns, those that lineage adds, and where they come from; $1 is the run."""

    task: str
    columns: str
    lineage: str
    source: str


_ORIGINS = """
LEFT JOIN (
    SELECT call_index, arg_max(demo_seed_ids, attempt) AS demo_seed_ids,
           arg_max(demo_pool_ids, attempt) AS demo_pool_ids, arg_max(model, attempt) AS model,
           arg_max(prompt_version, attempt) AS prompt_version
    FROM call WHERE run_id = $1 AND stage <> 'output' GROUP BY call_index
) shown ON shown.call_index = c.call_index
LEFT JOIN (
    SELECT candidate_id, max(step) AS step
    FROM (SELECT unnest(members) AS candidate_id, step FROM batch WHERE run_id = $1 AND phase = 'online')
    GROUP BY candidate_id
) trained ON trained.candidate_id = c.candidate_id
"""
_EDIT_IN_PLACE = """
d.kind IS DISTINCT FROM 'edit' AND (c.origin <> 'edit' OR EXISTS (
    SELECT 1 FROM standing_decision edited WHERE edited.subject = 'candidate:' || c.parent_id AND edited.kind = 'edit'
))
"""
_IN_ORDER = "ORDER BY c.origin = 'edit', c.call_index, c.position, c.candidate_id"

QUERIES: dict[str, Query] = {
    "kept": Query(
        "c",
        "c.candidate_id, c.instruction, c.input, c.output",
        "c.run_id, c.call_index, c.position, c.iteration, c.origin, c.parent_id, shown.demo_seed_ids, "
        "shown.demo_pool_ids, shown.model, shown.prompt_version, c.max_rouge_l, c.nearest_id, c.nearest_source, "
        "trained.step, d.kind AS decision",
        f"FROM candidate c {DECIDED} {_ORIGINS} WHERE c.run_id = $1 AND {IN_K} AND {_EDIT_IN_PLACE} {_IN_ORDER}",
    ),
    "candidates": Query(
        "c",
        "c.candidate_id, c.iteration, c.call_index, c.position, c.origin, c.parent_id, c.instruction, c.input, "
        "c.output, c.verdict, c.stage, c.reason, c.max_rouge_l, c.nearest_id, c.nearest_source, "
        "shown.demo_seed_ids, c.flags",
        "c.run_id, shown.demo_pool_ids, shown.model, shown.prompt_version, c.window_iteration, trained.step, "
        'd.kind AS decision, d."by" AS decided_by',
        f"FROM candidate c {DECIDED} {_ORIGINS} WHERE c.run_id = $1 {_IN_ORDER}",
    ),
    "seeds": Query(
        "s",
        "s.seed_id, s.instruction, s.input, s.output, s.is_classification, s.origin, s.parent_ids, r.status, r.credit, "
        "r.calls, r.children, r.added_iteration, joined_at, joined_reason, r.removed_iteration, left_at, left_reason",
        "r.run_id, r.position, r.credit_sum, r.promoted_by, promotion.evidence::VARCHAR AS promotion_evidence, "
        "r.evicted_by, eviction.evidence::VARCHAR AS eviction_evidence, r.decision_id, decided_by",
        """
        FROM run_seed r JOIN seed s ON s.seed_id = r.seed_id JOIN run ON run.run_id = r.run_id
        LEFT JOIN proposal promotion ON promotion.proposal_id = r.promoted_by
        LEFT JOIN proposal eviction ON eviction.proposal_id = r.evicted_by
        LEFT JOIN decision latest ON latest.decision_id = r.decision_id
        LEFT JOIN (SELECT subject, max("at") AS "at" FROM decision WHERE kind = 'accept' GROUP BY subject) accepted
            ON accepted.subject = 'proposal:' || r.promoted_by
        CROSS JOIN LATERAL (SELECT CASE WHEN r.promoted_by IS NULL THEN 'start' ELSE 'promoted' END AS first_reason)
        CROSS JOIN LATERAL (SELECT
            strftime(CASE WHEN r.status = 'active' THEN coalesce(latest."at", run.created)
                ELSE coalesce(accepted."at", run.created) END, '%Y-%m-%dT%H:%M:%SZ') AS joined_at,
            CASE WHEN r.status = 'active' THEN r.reason ELSE first_reason END AS joined_reason,
            CASE WHEN r.status = 'left' THEN strftime(latest."at", '%Y-%m-%dT%H:%M:%SZ') END AS left_at,
            CASE WHEN r.status = 'left' THEN r.reason END AS left_reason,
            latest."by" AS decided_by)
        WHERE r.run_id = $1 ORDER BY r.position
        """,
    ),
}


def _sql(query: Query, file_format: Format, lineage: bool) -> str:
    """One statement; every name in it is this module's own."""
    if file_format == "alpaca":
        columns = ", ".join(f"{query.task}.{text}" for text in ("instruction", "input", "output"))
    else:
        columns = f"{query.columns}, {query.lineage}" if lineage else query.columns
    return f"SELECT {columns} {query.source}"


def _columns(cursor: Cursor) -> dict[str, str]:
    """Name and SQL type of each column of the result that waits in the cursor."""
    return {column[0]: str(column[1]) for column in cursor.description or ()}


def _chunks(cursor: Cursor) -> Iterator[list[dict[str, Any]]]:
    names = list(_columns(cursor))
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        yield [dict(zip(names, row, strict=True)) for row in rows]


def _write_alpaca(path: Path, cursor: Cursor) -> int:
    written = 0
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write("[")
        for row in (row for rows in _chunks(cursor) for row in rows):
            file.write((",\n" if written else "\n") + json.dumps(row, ensure_ascii=False))
            written += 1
        file.write("\n]\n" if written else "]\n")
    return written


def _write_lines(path: Path, cursor: Cursor) -> int:
    written = 0
    with path.open("x", encoding="utf-8", newline="\n") as file:
        for rows in _chunks(cursor):
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            written += len(rows)
    return written


def _write_parquet(path: Path, cursor: Cursor) -> int:
    written = 0
    schema = pa.schema([(name, ARROW_TYPES[kind]) for name, kind in _columns(cursor).items()])
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for rows in _chunks(cursor):
            file.write_batch(pa.RecordBatch.from_pylist(rows, schema))
            written += len(rows)
    return written


WRITERS: dict[str, Callable[[Path, Cursor], int]] = {
    "alpaca": _write_alpaca,
    "jsonl": _write_lines,
    "parquet": _write_parquet,
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


def _in_words(out: Path, error: OSError) -> StudioError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(f"The disk is full: {out} was not written.", "Free some space and export again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG):
        return ExportError(f"{out} cannot be written: {error.strerror}.", "Name a file elsewhere with --out.")
    return StoreError(f"{out} was not written: {error.strerror or error}.", "Check the disk and export again.")

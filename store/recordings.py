"""A run as one file that another store can show: all its rows, with their vectors, and nothing that could run.

The file is a zip of Parquet tables and a header that names them with their hashes. It is foreign input when it is read:
only known tables and columns are taken, within bounds, all or nothing, and a run that came this way is marked.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from store import runs
from store.connection import fetch_one
from store.errors import RecordingError
from store.kept import kept_of_run

Cursor = duckdb.DuckDBPyConnection
FORMAT = 1
HEADER = "recording.json"
MOST_BYTES = 256 << 20  # of the file, and of what its tables unpack to
MOST_ROWS = 2_000_000
BATCH_ROWS = 4096
SEEDS = (
    "SELECT seed_id FROM run_seed WHERE run_id = $run UNION SELECT unnest(demo_seed_ids) FROM call WHERE run_id = $run"
)
# In the order in which they are put back: what is referred to comes first.
TABLES = {
    "run": "SELECT * FROM run WHERE run_id = $run",
    "seed": f"SELECT * FROM seed WHERE seed_id IN ({SEEDS})",  # noqa: S608
    "run_seed": "SELECT * FROM run_seed WHERE run_id = $run",
    "call": "SELECT * FROM call WHERE run_id = $run",
    "judgement": "SELECT * FROM judgement WHERE run_id = $run",
    "candidate": "SELECT * FROM candidate WHERE run_id = $run",
    "batch": "SELECT * FROM batch WHERE run_id = $run",
    "step": "SELECT * FROM step WHERE run_id = $run",
    "example_signal": "SELECT * FROM example_signal WHERE run_id = $run",
    "proposal": "SELECT * FROM proposal WHERE run_id = $run",
    "event": "SELECT * FROM event WHERE run_id = $run",
    "aim": "SELECT * FROM aim WHERE run_id = $run",
    "decision": "SELECT d.* FROM decision d WHERE subject IN (SELECT 'proposal:' || proposal_id FROM proposal "
    "WHERE run_id = $run UNION SELECT 'candidate:' || candidate_id FROM candidate WHERE run_id = $run)",
    "embedding": "SELECT subject, model, vector FROM embedding WHERE subject IN (SELECT 'candidate:' || candidate_id "  # noqa: S608
    f"FROM candidate WHERE run_id = $run UNION SELECT 'seed:' || seed_id FROM seed WHERE seed_id IN ({SEEDS}))",
}
SHARED = ("seed", "embedding")  # may be there already, from another run
BUSY = ("queued", "running")
# Files and numbers that do not come along.
ELSEWHERE = ("checkpoint", "checkpoint_sha256", "journal_offset", "last_decision")


def write(cursor: Cursor, run_id: str, out: BinaryIO) -> int:
    """Write the run's recording; returns the number of its rows. Raises RecordingError while it is going on."""
    run = runs.get(cursor, run_id)
    if run is None or run["status"] in BUSY:
        raise RecordingError(f"Run {run_id} is going on, or is not there.", "Wait for its end, or pause it.")
    tables = {name: cursor.sql(query, params={"run": run_id}).to_arrow_table() for name, query in TABLES.items()}
    parts = {f"{name}.parquet": _parquet(table) for name, table in tables.items()}
    header = {
        "format": FORMAT,
        "run_id": run_id,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "parts": {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()},
    }
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(HEADER, json.dumps(header))
        for name, content in parts.items():
            archive.writestr(name, content)
    return sum(len(table) for table in tables.values())


def read(cursor: Cursor, source: BinaryIO | Path, name: str, by: str) -> str:
    """Put a recording into the store; the id of its run. Raises RecordingError, and nothing has changed then."""
    tables, run_id = _checked(source)
    if runs.get(cursor, run_id) is not None:
        raise RecordingError(f"Run {run_id} is in this store already.", "Choose it in the list of runs.")
    try:
        tables["run_seed"] = _renumbered(cursor, tables.pop("decision"), tables["run_seed"])
        for table, rows in tables.items():
            _insert(cursor, table, rows)
    except (duckdb.Error, pa.ArrowException) as error:
        first = str(error).splitlines()[0][:200]
        raise RecordingError(f"The recording does not fit this store: {first}", "Record the run again.") from None
    cursor.execute(
        "INSERT INTO recording VALUES (?, ?, ?, ?)", [run_id, name[:200], by, datetime.now(UTC).replace(tzinfo=None)]
    )
    return run_id


@kept_of_run
def is_recording(cursor: Cursor, run_id: str) -> bool:
    """Whether a run came from a recording: it can be looked at and not gone on with."""
    return fetch_one(cursor, "SELECT 1 FROM recording WHERE run_id = ?", [run_id]) is not None


def _parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def _checked(source: BinaryIO | Path) -> tuple[dict[str, pa.Table], str]:
    """The tables of a recording whose header and hashes are right, and the id that its rows all carry."""
    try:
        with zipfile.ZipFile(source) as archive:
            size = sum(part.file_size for part in archive.infolist())
            if size > MOST_BYTES:
                raise RecordingError(
                    f"The recording holds {size / 1e6:,.0f} MB; at most {MOST_BYTES / 1e6:,.0f} are read.",
                    "Record a shorter run.",
                )
            header = json.loads(archive.read(HEADER))
            _check_version(header)
            contents = {name: archive.read(f"{name}.parquet") for name in TABLES}
        for name, content in contents.items():
            if hashlib.sha256(content).hexdigest() != header["parts"][f"{name}.parquet"]:
                raise RecordingError(f"The part {name} of the recording is damaged.", "Copy the file again.")
        tables = _unpacked(contents)
        return tables, _one_run(tables, header)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError, pa.ArrowException, AttributeError):
        raise RecordingError(
            "The file is no recording, or it is cut.", "Copy it again, or record the run again."
        ) from None


def _unpacked(contents: dict[str, bytes]) -> dict[str, pa.Table]:
    """The tables of packed parts, within bounds: by what they say of themselves first, then by what comes out."""
    parts = {name: pq.ParquetFile(io.BytesIO(content)) for name, content in contents.items()}
    told = [part.metadata for part in parts.values()]
    _check_size(
        sum(meta.num_rows for meta in told),
        sum(meta.row_group(group).total_byte_size for meta in told for group in range(meta.num_row_groups)),
    )
    tables, size = {}, 0
    for name, part in parts.items():
        batches = []
        for batch in part.iter_batches(_rows_at_once(part.metadata)):
            size += batch.nbytes
            _check_size(0, size)
            batches.append(batch)
        tables[name] = pa.Table.from_batches(batches, part.schema_arrow)
    return tables


def _rows_at_once(meta: pq.FileMetaData) -> int:
    """So few rows that they stay within bounds though each held all of the largest column: values may be shared."""
    columns = (
        meta.row_group(group).column(column)
        for group in range(meta.num_row_groups)
        for column in range(meta.num_columns)
    )
    largest = max((column.total_uncompressed_size for column in columns), default=0)
    return max(1, min(BATCH_ROWS, MOST_BYTES // max(1, largest)))


def _check_size(rows: int, size: int) -> None:
    if rows > MOST_ROWS or size > MOST_BYTES:
        what = f"{rows:,} rows" if rows > MOST_ROWS else f"{size / 1e6:,.0f} MB"
        raise RecordingError(
            f"The recording unpacks to {what}; at most {MOST_ROWS:,} rows and {MOST_BYTES / 1e6:,.0f} MB are read.",
            "Record a shorter run.",
        )


def _check_version(header: dict[str, Any]) -> None:
    if int(header["format"]) > FORMAT:
        raise RecordingError(
            f"The recording has format {int(header['format'])}; this program reads up to {FORMAT}.",
            "Update the program.",
        )


def _one_run(tables: dict[str, pa.Table], header: dict[str, Any]) -> str:
    run_id = str(header["run_id"])
    known = all(part.isalnum() for part in run_id.split("-")) and len(run_id) <= 60
    if not known or tables["run"]["run_id"].to_pylist() != [run_id]:
        raise RecordingError("The recording does not say which run it is.", "Record the run again.")
    for name, table in tables.items():
        if "run_id" in table.column_names and set(table["run_id"].to_pylist()) - {run_id}:
            raise RecordingError(f"The part {name} of the recording has rows of another run.", "Record the run again.")
    return run_id


def _renumbered(cursor: Cursor, decisions: pa.Table, run_seed: pa.Table) -> pa.Table:
    """Enter the decisions under numbers of this store; the seeds' rows with these numbers in place of theirs."""
    fresh: dict[int | None, int | None] = {None: None}
    for row in sorted(decisions.to_pylist(), key=lambda one: one["decision_id"]):
        made = fetch_one(
            cursor,
            'INSERT INTO decision (subject, kind, reason, "by", "at", supersedes, undoes, group_id, queue, result) '
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING decision_id",
            [*(row[name] for name in ("subject", "kind", "reason", "by", "at")),
             *(fresh.get(row.get(name)) for name in ("supersedes", "undoes")),
             *(row.get(name) for name in ("group_id", "queue", "result"))],
        )  # fmt: skip
        assert made is not None
        fresh[row["decision_id"]] = made["decision_id"]
    numbers = pa.array([fresh.get(number) for number in run_seed["decision_id"].to_pylist()], pa.int64())
    return run_seed.set_column(run_seed.column_names.index("decision_id"), "decision_id", numbers)


def _insert(cursor: Cursor, table: str, rows: pa.Table) -> None:
    """Rows into a table, by the names of its own columns; what points into the other store is left out."""
    columns = [column[0] for column in cursor.execute(f"SELECT * FROM {table} LIMIT 0").description or ()]  # noqa: S608
    taken = [column for column in columns if column in rows.column_names and column not in ELSEWHERE]
    names = ", ".join(f'"{column}"' for column in taken)
    values = names.replace('"in_library"', "false").replace('"listed"', "false") if table == "seed" else names
    conflict = "ON CONFLICT DO NOTHING" if table in SHARED else ""
    cursor.register("recorded_rows", rows.select(taken))
    try:
        cursor.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM recorded_rows {conflict}")  # noqa: S608
    finally:
        cursor.unregister("recorded_rows")

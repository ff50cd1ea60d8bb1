"""Vectors and the map: what has no vector or no place yet, and where the newest version has everything.

The map is the store's, not a run's: seeds and reference tasks keep their place from run to run. A run's own part of it
are the seeds, the reference tasks, and that run's candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from store.connection import fetch, fetch_one
from store.kept import kept

Cursor = duckdb.DuckDBPyConnection
Vectors = NDArray[np.float32]
MOST_HELD = 50_000
OF_RUN = "(t.run_id IS NULL OR t.run_id = $run)"
# Seeds and reference tasks first; of the rest a sample that is the same whenever it is drawn.
IN_ORDER = "ORDER BY starts_with(subject, 'candidate:'), md5(subject)"


@kept
def current(cursor: Cursor) -> dict[str, Any] | None:
    """The newest version with `now` (tasks on it) and `distance` (median of the placed to their anchors, or null)."""
    return fetch_one(
        cursor,
        "SELECT v.*, (SELECT count(*) FROM map_point p WHERE p.version = v.version) AS now, "
        "(SELECT median(distance) FROM map_point p WHERE p.version = v.version AND NOT is_anchor) AS distance "
        "FROM map_version v ORDER BY version DESC LIMIT 1",
    )


def held(cursor: Cursor, run_id: str) -> int:
    """Tasks of a run's part of the map, placed or not; at most MOST_HELD of them are mapped."""
    row = fetch_one(cursor, f"SELECT count(*) AS n FROM task t WHERE {OF_RUN}", {"run": run_id})  # noqa: S608
    return int(row["n"]) if row else 0


def without_vector(cursor: Cursor, run_id: str) -> list[dict[str, Any]]:
    """Tasks (subject, instruction, input) of a run's part of the map that have no vector yet."""
    return fetch(
        cursor,
        f"WITH mapped AS (SELECT subject, instruction, input FROM task t WHERE {OF_RUN} {IN_ORDER} LIMIT {MOST_HELD}) "  # noqa: S608
        "SELECT mapped.* FROM mapped ANTI JOIN embedding USING (subject)",
        {"run": run_id},
    )


def waiting(cursor: Cursor, run_id: str) -> int:
    """Tasks of a run's part of the map that it does not show yet."""
    row = fetch_one(
        cursor,
        f"WITH mapped AS (SELECT subject FROM task t WHERE {OF_RUN} {IN_ORDER} LIMIT {MOST_HELD}), "  # noqa: S608
        "placed AS (SELECT subject FROM map_point WHERE version = (SELECT max(version) FROM map_version)) "
        "SELECT count(*) AS n FROM mapped ANTI JOIN placed USING (subject)",
        {"run": run_id},
    )
    return int(row["n"]) if row else 0


@kept
def embedded(cursor: Cursor) -> int:
    """Tasks that have a vector."""
    row = fetch_one(cursor, "SELECT count(*) AS n FROM embedding")
    return int(row["n"]) if row else 0


def add_vectors(cursor: Cursor, subjects: Sequence[str], vectors: Vectors, model: str) -> None:
    """Keep the vectors (N, d) of N tasks; one that is there stays."""
    flat = pa.array(vectors.reshape(-1), pa.float32())
    starts = pa.array(np.arange(len(subjects) + 1, dtype=np.int32) * vectors.shape[1])
    columns = {"subject": list(subjects), "vector": pa.ListArray.from_arrays(starts, flat)}
    cursor.register("fresh_vectors", pa.table(columns))
    cursor.execute("INSERT INTO embedding SELECT subject, ?, vector FROM fresh_vectors ON CONFLICT DO NOTHING", [model])
    cursor.unregister("fresh_vectors")


def anchors(cursor: Cursor, at_most: int) -> tuple[list[str], Vectors]:
    """What the map is fitted on: all seeds and reference tasks with a vector, and a sample of the candidates."""
    return _vectors(cursor, f"SELECT subject, vector FROM embedding {IN_ORDER} LIMIT $most", {"most": at_most})  # noqa: S608


def vectors(cursor: Cursor, subjects: Sequence[str]) -> tuple[list[str], Vectors]:
    """Vectors (N, d) of these tasks, as far as there are any, with their subjects, in the order asked for."""
    return _vectors(
        cursor,
        "SELECT subject, vector FROM embedding JOIN (SELECT unnest($subjects::VARCHAR[]) AS subject, "
        "generate_subscripts($subjects::VARCHAR[], 1) AS place) USING (subject) ORDER BY place",
        {"subjects": list(subjects)},
    )


def vectors_of_candidates(cursor: Cursor, run_id: str) -> Vectors:
    """Vectors (N, d) of a run's candidates, as far as there are any, in no order."""
    return _vectors(
        cursor,
        "SELECT subject, vector FROM embedding "
        "SEMI JOIN (SELECT 'candidate:' || candidate_id AS subject FROM candidate WHERE run_id = $run) USING (subject)",
        {"run": run_id},
    )[1]


def fitted_on(cursor: Cursor, version: int) -> tuple[list[str], Vectors, NDArray[np.float64]]:
    """The anchors of a version with their vectors and coordinates (A, 2)."""
    rows = cursor.sql(
        "SELECT subject, vector, x, y FROM map_point JOIN embedding USING (subject) WHERE version = ? AND is_anchor",
        params=[version],
    ).to_arrow_table()
    coordinates = np.column_stack([rows["x"].to_numpy(), rows["y"].to_numpy()])
    return rows["subject"].to_pylist(), _matrix(rows["vector"]), coordinates


def coordinates(cursor: Cursor, version: int) -> dict[str, tuple[float, float]]:
    """Where a version has each of its tasks."""
    rows = cursor.execute("SELECT subject, x, y FROM map_point WHERE version = ?", [version]).fetchall()
    return {subject: (x, y) for subject, x, y in rows}


def unplaced(cursor: Cursor, version: int) -> tuple[list[str], Vectors]:
    """Tasks with a vector and no place on a version."""
    return _vectors(
        cursor,
        "SELECT subject, vector FROM embedding ANTI JOIN (SELECT subject FROM map_point WHERE version = $version) "
        "USING (subject)",
        {"version": version},
    )


def begin_version(
    cursor: Cursor,
    subjects: Sequence[str],
    points: NDArray[np.float64],
    method: str,
    random_seed: int,
    spacing: float,
    moved: float | None,
) -> int:
    """A new version with its anchors at `points` (A, 2); the one before is let go. Returns its number."""
    row = fetch_one(cursor, "SELECT coalesce(max(version), 0) + 1 AS version FROM map_version")
    assert row is not None
    version = int(row["version"])
    cursor.execute("DELETE FROM map_point WHERE version < ?", [version])
    cursor.execute(
        "INSERT INTO map_version VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            version,
            datetime.now(UTC).replace(tzinfo=None),
            method,
            random_seed,
            len(subjects),
            len(subjects),
            spacing,
            moved,
        ],
    )
    _add_points(cursor, version, subjects, points, np.zeros(len(subjects)), is_anchor=True)
    return version


def place(
    cursor: Cursor, version: int, subjects: Sequence[str], points: NDArray[np.float64], distances: NDArray[np.float64]
) -> None:
    """Put tasks on a version at `points` (N, 2), each so far from its nearest anchor."""
    _add_points(cursor, version, subjects, points, distances, is_anchor=False)


def count_records(cursor: Cursor, version: int) -> None:
    """Remember how many tasks a version showed when it was new."""
    cursor.execute(
        "UPDATE map_version SET records = (SELECT count(*) FROM map_point WHERE version = $1) WHERE version = $1",
        [version],
    )


def _add_points(
    cursor: Cursor,
    version: int,
    subjects: Sequence[str],
    points: NDArray[np.float64],
    distances: NDArray[np.float64],
    *,
    is_anchor: bool,
) -> None:
    columns = {"subject": list(subjects), "x": points[:, 0], "y": points[:, 1], "distance": distances}
    cursor.register("fresh_points", pa.table(columns))
    cursor.execute(
        "INSERT INTO map_point SELECT ?, subject, x, y, ?, distance FROM fresh_points ON CONFLICT DO NOTHING",
        [version, is_anchor],
    )
    cursor.unregister("fresh_points")


def _vectors(cursor: Cursor, sql: str, values: dict[str, Any]) -> tuple[list[str], Vectors]:
    rows = cursor.sql(sql, params=values).to_arrow_table()
    return rows["subject"].to_pylist(), _matrix(rows["vector"])


def _matrix(column: pa.ChunkedArray) -> Vectors:
    """Lists of equal length as (N, d)."""
    if not len(column):
        return np.zeros((0, 0), dtype=np.float32)
    flat = np.concatenate([chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks if len(chunk)])
    return flat.reshape(len(column), -1)

"""What the map page draws of a run: every placed task with what it can be coloured, filtered and searched by."""

from __future__ import annotations

from typing import Any

import duckdb
import pandas as pd

from store.candidates import DECIDED
from store.connection import fetch_one
from store.kept import kept

Cursor = duckdb.DuckDBPyConnection
TEXT_LENGTH = 2000  # of an instruction, for search and hover

MEMBERS = """
    SELECT unnest(members) AS candidate_id, unnest(clusters) AS cluster, step, iteration FROM (
        SELECT * FROM batch WHERE run_id = $run AND phase = 'online'
        QUALIFY row_number() OVER (PARTITION BY step ORDER BY attempt DESC) = 1)
"""
SIGNALS = """
    SELECT e.candidate_id, e.loss FROM example_signal e
    JOIN current_step s ON s.run_id = e.run_id AND s.phase = e.phase AND s.step = e.step AND s.attempt = e.attempt
    WHERE e.run_id = $run AND e.phase = 'online'
"""
FRAME = f"""
WITH members AS ({MEMBERS}), signals AS ({SIGNALS}),
placed AS (SELECT subject, x, y FROM map_point WHERE version = (SELECT max(version) FROM map_version)),
drawn AS (
    SELECT p.*, 'candidate' AS kind, c.candidate_id AS ident, c.instruction,
           CASE WHEN d.kind = 'reject' THEN 'rejected' WHEN d.kind = 'rescue' THEN 'rescued' ELSE c.verdict END
               AS status,
           c.reason, m.iteration AS cluster_window, m.cluster, m.step, c.iteration, c.origin, c.max_rouge_l, s.loss,
           CAST(NULL AS DOUBLE) AS credit, array_to_string(c.flags, ', ') AS flags, d.kind AS decision
    FROM candidate c JOIN placed p ON p.subject = 'candidate:' || c.candidate_id {DECIDED}
    LEFT JOIN members m USING (candidate_id) LEFT JOIN signals s USING (candidate_id) WHERE c.run_id = $run
    UNION ALL
    SELECT p.*, 'seed', r.seed_id, t.instruction, if(r.status = 'active', 'seed', 'former seed'), NULL, NULL, NULL,
           NULL, r.added_iteration, t.origin, NULL, NULL, r.credit, '', NULL
    FROM run_seed r JOIN seed t USING (seed_id) JOIN placed p ON p.subject = 'seed:' || r.seed_id
    WHERE r.run_id = $run
    UNION ALL
    SELECT p.*, 'reference', substr(p.subject, 11), t.instruction, 'reference', NULL, NULL, NULL, NULL, 0, 'import',
           NULL, NULL, NULL, '', NULL
    FROM task t JOIN placed p USING (subject) WHERE starts_with(t.subject, 'reference:')
)
SELECT * REPLACE (substr(instruction, 1, {TEXT_LENGTH}) AS instruction) FROM drawn ORDER BY md5(subject)
"""  # noqa: S608


def frame(cursor: Cursor, run_id: str) -> pd.DataFrame:
    """One row a placed task of a run's part of the map; an order that is a stable shuffle, to draw the first of.

    Columns: subject, x, y, kind (candidate, seed, reference), ident, instruction, status (kept, dropped, rejected,
    rescued, seed, former seed, reference), reason, cluster_window, cluster, step (of its batch), iteration, origin,
    max_rouge_l, loss, credit, flags, decision.
    """
    return cursor.sql(FRAME, params={"run": run_id}).df()


@kept
def mark(cursor: Cursor, run_id: str) -> tuple[Any, ...]:
    """What changes whenever `frame`, or what it could show, may: events, map, decisions, seeds, reference tasks."""
    row = fetch_one(
        cursor,
        "SELECT (SELECT max(seq) FROM event WHERE run_id = ?) AS seq, "
        "(SELECT max(version) FROM map_version) AS version, "
        "(SELECT count(*) FROM map_point) AS points, (SELECT max(decision_id) FROM decision) AS decided, "
        "(SELECT count(*) FROM seed) AS seeds, (SELECT count(*) FROM imported_task) AS imported",
        [run_id],
    )
    assert row is not None
    return tuple(row.values())

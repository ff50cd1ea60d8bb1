"""What waits for a person: queues of candidates, proposals and seeds, in the order and within the limits asked for.

An item is open to a person who has not decided it, while fewer than `overlap` people have, or have it before them.
Values are only ever bound to a query; the names in it are this module's own.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal

import duckdb
import pyarrow as pa

from store.connection import fetch, fetch_one
from store.kept import unseen
from store.map_view import SIGNALS
from store.records import Record

Cursor = duckdb.DuckDBPyConnection
Queue = Literal["proposals", "new", "near", "flagged", "unsafe", "disputed", "all", "library", "blind"]
OF_CANDIDATES: tuple[Queue, ...] = ("new", "near", "flagged", "unsafe", "disputed", "all")
MOST = 1_000_000
Measure = Literal["judged", "max_rouge_l", "loss", "credit", "novelty"]


class Wanted(Record):
    """Which items, for whom; an empty condition leaves everything in. `low` and `high` bound the measure."""

    run_id: str
    queue: Queue
    me: str
    lapsed: datetime
    overlap: int = 1
    near: float = 0.05
    measure: Measure = "judged"
    descending: bool = False
    low: float | None = None
    high: float | None = None
    iterations: tuple[int, ...] = ()
    origins: tuple[str, ...] = ()
    decided_by: str = ""
    search: str = ""
    test_id: str = ""


# What people said of each subject, what I skipped, and who has it before them.
PEOPLE = """
LEFT JOIN (SELECT subject, count(*) AS people, bool_or("by" = $me) AS mine,
                  count(DISTINCT kind = 'reject') > 1 AS disagree FROM opinion GROUP BY subject) o
    ON o.subject = item.subject
LEFT JOIN (SELECT subject, max(decision_id) AS skipped FROM effective_decision WHERE kind = 'skip' AND "by" = $me
           GROUP BY subject) skip ON skip.subject = item.subject
LEFT JOIN (SELECT subject, count(*) AS holders FROM assignment WHERE annotator <> $me AND "at" > $lapsed
           GROUP BY subject) held ON held.subject = item.subject
"""
OPEN = "NOT coalesce(mine, false) AND coalesce(people, 0) + coalesce(holders, 0) < $overlap"
FREE = "coalesce(holders, 0) = 0 AND $overlap > 0"  # every queue is bound to the same values
SETTLED = """
SELECT subject FROM effective_decision WHERE of_fate GROUP BY subject HAVING max_by(queue, decision_id) = 'disputed'
"""
CONDITIONS: dict[str, str] = {
    "new": f"verdict = 'kept' AND origin <> 'edit' AND NOT flagged AND {OPEN}",
    "near": f"verdict = 'dropped' AND reason = 'similar' AND max_rouge_l <= $threshold + $near AND NOT flagged "
    f"AND {OPEN}",
    "flagged": f"flagged AND {FREE}",
    "unsafe": f"len(flags) > 0 AND NOT flagged AND {OPEN}",
    "disputed": f"coalesce(disagree, false) AND {FREE} AND item.subject NOT IN ({SETTLED})",
    "all": OPEN,
}
CANDIDATES = """
(SELECT 'candidate:' || c.candidate_id AS subject, c.*, coalesce(d.flagged, false) AS flagged, d.kind AS decision,
        d."by" AS decided_by, coalesce(d.decision_id, 0) AS seen
 FROM candidate c LEFT JOIN standing_decision d ON d.subject = 'candidate:' || c.candidate_id
 WHERE c.run_id = $run) item
"""
PROPOSALS = """
(SELECT 'proposal:' || p.proposal_id AS subject, p.*, coalesce(c.instruction, s.instruction) AS instruction,
        coalesce(c.input, s.input) AS input, coalesce(c.output, s.output) AS output, d.kind AS decision,
        d."by" AS decided_by, coalesce(d.decision_id, 0) AS seen, c.call_index, c.max_rouge_l, c.nearest_id,
        c.nearest_source
 FROM proposal p LEFT JOIN candidate c ON p.kind = 'promote' AND c.candidate_id = p.subject_id
 LEFT JOIN seed s ON p.kind = 'evict' AND s.seed_id = p.subject_id
 LEFT JOIN standing_decision d ON d.subject = 'proposal:' || p.proposal_id
 WHERE p.run_id = $run AND p.iteration = (SELECT iteration FROM run WHERE run_id = $run)) item
"""
LIBRARY = """
(SELECT 'seed:' || s.seed_id AS subject, s.*, d.kind AS decision, d."by" AS decided_by,
        coalesce(d.decision_id, 0) AS seen
 FROM seed s LEFT JOIN standing_decision d ON d.subject = 'seed:' || s.seed_id WHERE s.in_library) item
"""
LOSS = "loss"
# The mean credit of the seeds that its prompt showed.
CREDIT = """
LEFT JOIN (SELECT call_index, avg(r.credit) AS credit FROM (
        SELECT call_index, unnest(arg_max(demo_seed_ids, attempt)) AS seed_id FROM call
        WHERE run_id = $run AND stage <> 'output' GROUP BY call_index) shown
    JOIN run_seed r ON r.run_id = $run AND r.seed_id = shown.seed_id GROUP BY call_index) credited USING (call_index)
"""
SIGNAL = f"LEFT JOIN ({SIGNALS}) signals USING (candidate_id)"
NOVELTY = "LEFT JOIN novelty_of ON novelty_of.subject = item.subject"
SOURCES = {"judged": "", "max_rouge_l": "", "loss": SIGNAL, "credit": CREDIT, "novelty": NOVELTY}


def items(cursor: Cursor, wanted: Wanted, limit: int, novelty: pa.Table | None = None) -> list[dict[str, Any]]:
    """The first open items: what was skipped comes last. `novelty` has subject and novelty, for that measure."""
    if wanted.queue == "proposals":
        rows = _of(cursor, wanted, PROPOSALS, f"decision IS NULL AND {OPEN}", "kind DESC, rank", limit)
        return [{**row, "evidence": json.loads(row["evidence"])} for row in rows]
    if wanted.queue == "library":
        return _of(cursor, wanted, LIBRARY, OPEN, "added, seed_id", limit)
    return _candidates(cursor, wanted, limit, novelty)


def _of(cursor: Cursor, wanted: Wanted, source: str, condition: str, order: str, limit: int) -> list[dict[str, Any]]:
    text, values = _search(wanted)
    bound = {**_who(wanted), **values, "limit": limit}
    if "$run" in source:
        bound["run"] = wanted.run_id
    return fetch(
        cursor,
        f"SELECT item.* FROM {source} {PEOPLE} WHERE {condition}{text} "  # noqa: S608
        f"ORDER BY skipped NULLS FIRST, {order} LIMIT $limit",
        bound,
    )


def _candidates(
    cursor: Cursor, wanted: Wanted, limit: int, novelty: pa.Table | None, columns: str = "item.*"
) -> list[dict[str, Any]]:
    where, values = _narrowed(wanted)
    measured = wanted.measure != "judged"
    order = f"{wanted.measure} {'DESC' if wanted.descending else 'ASC'} NULLS LAST, " if measured else ""
    end = "DESC" if wanted.descending and not measured else "ASC"
    if novelty is not None:
        cursor.register("novelty_of", novelty)
    try:
        return fetch(
            cursor,
            f"SELECT {columns} FROM {CANDIDATES} {PEOPLE} {SOURCES[wanted.measure]} WHERE {where} "  # noqa: S608
            f"ORDER BY skipped NULLS FIRST, {order}call_index {end}, position {end} LIMIT $limit",
            {**values, "limit": limit},
        )
    finally:
        if novelty is not None:
            cursor.unregister("novelty_of")


def again(cursor: Cursor, wanted: Wanted, subjects: list[str]) -> list[dict[str, Any]]:
    """These items, whether they are open or not, in the order given: what was undone is shown again."""
    source = {"proposals": PROPOSALS, "library": LIBRARY.replace(" WHERE s.in_library", "")}.get(
        wanted.queue, CANDIDATES
    )
    bound: dict[str, Any] = {"subjects": subjects}
    if "$run" in source:
        bound["run"] = wanted.run_id
    rows = fetch(
        cursor,
        f"SELECT item.* FROM {source} WHERE list_contains($subjects::VARCHAR[], item.subject) "  # noqa: S608
        "ORDER BY list_position($subjects::VARCHAR[], item.subject)",
        bound,
    )
    return [{**row, "evidence": json.loads(row["evidence"])} if "evidence" in row else row for row in rows]


def matching(cursor: Cursor, wanted: Wanted, novelty: pa.Table | None = None) -> list[str]:
    """Subjects of all open items of a queue of candidates, for a decision on all of them."""
    return [row["subject"] for row in _candidates(cursor, wanted, MOST, novelty, "item.subject")]


def _narrowed(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """The conditions of a queue of candidates, and the values bound to them."""
    parts, values = [CONDITIONS[wanted.queue]], {**_who(wanted), "run": wanted.run_id}
    if wanted.queue == "near":
        parts[0] = parts[0].replace("$threshold", "(SELECT (config->'filter'->>'threshold')::DOUBLE FROM run "
                                    "WHERE run_id = $run)")  # fmt: skip
        values["near"] = wanted.near
    if wanted.iterations:
        parts.append("list_contains($iterations::INTEGER[], iteration)")
        values["iterations"] = list(wanted.iterations)
    if wanted.origins:
        parts.append("list_contains($origins::VARCHAR[], origin)")
        values["origins"] = list(wanted.origins)
    if wanted.decided_by:
        parts.append('item.subject IN (SELECT subject FROM opinion WHERE "by" = $decided_by)')
        values["decided_by"] = wanted.decided_by
    if wanted.measure != "judged":
        for name, sign in (("low", ">="), ("high", "<=")):
            if (bound := getattr(wanted, name)) is not None:
                parts.append(f"{wanted.measure} {sign} ${name}")
                values[name] = bound
    text, searched = _search(wanted)
    used = " AND ".join(parts) + text
    values |= searched
    return used, values


def _search(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    if not wanted.search:
        return "", {}
    return " AND contains(lower(instruction || ' ' || input || ' ' || output), lower($search))", {
        "search": wanted.search
    }


def _who(wanted: Wanted) -> dict[str, Any]:
    return {"me": wanted.me, "lapsed": wanted.lapsed, "overlap": wanted.overlap}


def mark(cursor: Cursor, run_id: str) -> tuple[Any, ...]:
    """What changes whenever `counts` may: decisions, the run's events, the library."""
    row = fetch_one(
        cursor,
        "SELECT (SELECT max(decision_id) FROM decision) AS decided, "
        "(SELECT max(seq) FROM event WHERE run_id = ?) AS seq, (SELECT count(*) FROM seed WHERE in_library) AS library",
        [run_id],
    )
    assert row is not None
    return tuple(row.values())


def counts(cursor: Cursor, wanted: Wanted) -> dict[str, int]:
    """Open items of every queue, in the order in which the screen offers them; those before others count too."""
    who = {**_who(wanted), "lapsed": datetime.max}
    proposed = fetch_one(
        cursor,
        f"SELECT count(*) AS n FROM {PROPOSALS} {PEOPLE} WHERE decision IS NULL AND {OPEN}",  # noqa: S608
        {**who, "run": wanted.run_id},
    )
    found = fetch_one(
        cursor,
        f"SELECT {', '.join(f'count(*) FILTER ({CONDITIONS[name]}) AS {name}_' for name in OF_CANDIDATES)} "  # noqa: S608
        f"FROM {CANDIDATES} {PEOPLE}".replace(
            "$threshold", "(SELECT (config->'filter'->>'threshold')::DOUBLE FROM run WHERE run_id = $run)"
        ),
        {**who, "run": wanted.run_id, "near": wanted.near},
    )
    seeds = fetch_one(cursor, f"SELECT count(*) AS n FROM {LIBRARY} {PEOPLE} WHERE {OPEN}", who)  # noqa: S608
    assert proposed
    assert found
    assert seeds
    return {"proposals": proposed["n"], **{name: found[f"{name}_"] for name in OF_CANDIDATES}, "library": seeds["n"]}


@unseen
def hold(cursor: Cursor, wanted: Wanted, subjects: list[str], now: datetime) -> list[str]:
    """Put items before a person and take back what was before him; those that he got, in their order.

    One that others have before them already, as many as may, is left out: two ask at once, and one is first.
    """
    cursor.execute(
        "DELETE FROM assignment WHERE annotator = $me AND NOT list_contains($subjects::VARCHAR[], subject) "
        'OR "at" <= $lapsed',
        {"me": wanted.me, "subjects": subjects, "lapsed": wanted.lapsed},
    )
    got = fetch(
        cursor,
        "INSERT INTO assignment SELECT asked.subject, $me, $now "
        "FROM (SELECT unnest($subjects::VARCHAR[]) AS subject) asked "
        "WHERE (SELECT count(*) FROM assignment a WHERE a.subject = asked.subject AND a.annotator <> $me) < $overlap "
        'ON CONFLICT DO UPDATE SET "at" = excluded."at" RETURNING subject',
        {"me": wanted.me, "subjects": subjects, "now": now, "overlap": wanted.overlap},
    )
    mine = {row["subject"] for row in got}
    return [subject for subject in subjects if subject in mine]


def people(cursor: Cursor) -> list[dict[str, Any]]:
    """Everybody who has decided anything, by name."""
    return fetch(cursor, 'SELECT DISTINCT "by" FROM decision WHERE "by" <> \'rule\' ORDER BY 1')

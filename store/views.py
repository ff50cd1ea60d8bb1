"""What screens read: named queries, each a function of a cursor that returns plain rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import duckdb

from store import decisions, neighbourhood, runs, seeds
from store.connection import fetch, fetch_one
from store.kept import kept, kept_of_run

Cursor = duckdb.DuckDBPyConnection
Result = TypeVar("Result")


def consistent(cursor: Cursor, query: Callable[..., Result], *args: Any) -> Result:
    """The result of several reads in one snapshot: counts that belong together add up while a run goes on."""
    cursor.execute("BEGIN")
    try:
        return query(cursor, *args)
    finally:
        cursor.execute("ROLLBACK")


@kept
def run_list(cursor: Cursor) -> list[dict[str, Any]]:
    """Every run with its preset, status and time, newest first."""
    return fetch(
        cursor,
        "SELECT run_id, status, created, config->>'preset' AS preset FROM run ORDER BY created DESC, run_id DESC",
    )


def pulse(cursor: Cursor, run_id: str) -> dict[str, Any] | None:
    """The little that tells whether anything of a run has changed, and how long it has worked. None: no such run."""
    row = fetch_one(
        cursor,
        "SELECT run_id, status, phase, iteration, elapsed_s, started, CASE WHEN status = 'running' "
        'THEN (SELECT arg_max("at", seq) FROM event WHERE run_id = $1) END AS last_at FROM run WHERE run_id = $1',
        [run_id],
    )
    if row is None:
        return None
    since = max(filter(None, (row["last_at"], row["started"])), default=None)
    if row["status"] == "running" and since:
        row["elapsed_s"] += max(0.0, (runs.now() - since).total_seconds())
    return row


@kept_of_run
def overview(cursor: Cursor, run_id: str) -> dict[str, Any] | None:
    """The summary of a run with its open proposals, the size of S₀ and the threshold."""
    return consistent(cursor, _overview, run_id)


def _overview(cursor: Cursor, run_id: str) -> dict[str, Any] | None:
    summary = runs.summary(cursor, run_id)
    if summary is None:
        return None
    row = fetch_one(
        cursor,
        "SELECT (SELECT count(*) FROM run_seed WHERE run_id = $1 AND added_iteration = 0) AS seeds_start, "
        "(config->'filter'->>'threshold')::DOUBLE AS threshold, config->'feedback'->>'mode' AS feedback_mode, "
        "(config->'compose'->>'batch_size')::INTEGER AS batch_size FROM run WHERE run_id = $1",
        [run_id],
    )
    assert row is not None
    proposed = decisions.of_run(cursor, run_id)
    open_now = [one for one in proposed if one["decision"] is None and one["iteration"] == summary["iteration"]]
    return {**summary, **row, "proposed": len(proposed), "proposals_open": len(open_now)}


def feed(cursor: Cursor, run_id: str, after_call: int, limit: int) -> list[dict[str, Any]]:
    """Candidates judged after a call, newest first, at most `limit`, each with the text it is nearest to."""
    rows = fetch(
        cursor,
        "SELECT candidate_id, iteration, call_index, position, verdict, reason, instruction, input, output, "
        "max_rouge_l, nearest_id, nearest_source, flags FROM candidate "
        "WHERE run_id = ? AND call_index > ? AND origin <> 'edit' ORDER BY call_index DESC, position DESC LIMIT ?",
        [run_id, after_call, limit],
    )
    texts = neighbourhood.texts(cursor, [row["nearest_id"] for row in rows if row["nearest_id"]])
    return [{**row, "nearest": texts.get(row["nearest_id"])} for row in rows]


@kept_of_run
def judged_calls(cursor: Cursor, run_id: str) -> int:
    """How many replies of a run have been judged."""
    row = fetch_one(cursor, "SELECT count(*) AS n FROM judgement WHERE run_id = ?", [run_id])
    return int(row["n"]) if row else 0


@kept_of_run
def warnings(cursor: Cursor, run_id: str, limit: int = 3) -> list[str]:
    """What a run wanted known, newest first."""
    rows = fetch(
        cursor,
        "SELECT payload->>'text' AS text FROM event WHERE run_id = ? AND kind = 'warned' ORDER BY seq DESC LIMIT ?",
        [run_id, limit],
    )
    return [row["text"] for row in rows]


@kept_of_run
def no_proposal_reasons(cursor: Cursor, run_id: str) -> list[dict[str, Any]]:
    """Windows that proposed nothing, and why, newest first."""
    return fetch(
        cursor,
        "SELECT (payload->>'iteration')::INTEGER AS iteration, payload->>'reason' AS reason FROM event "
        "WHERE run_id = ? AND kind = 'window_finished' AND payload->>'reason' IS NOT NULL ORDER BY seq DESC",
        [run_id],
    )


@kept_of_run
def proposals(cursor: Cursor, run_id: str) -> list[dict[str, Any]]:
    """The proposals of a run with the texts of what they are about, newest window first."""
    rows = decisions.of_run(cursor, run_id)
    tasks = _tasks(cursor, [row["subject_id"] for row in rows])
    blank = {"instruction": "", "input": "", "output": ""}
    return [{**row, **tasks.get(row["subject_id"], blank)} for row in rows]


def _tasks(cursor: Cursor, idents: list[str]) -> dict[str, dict[str, str]]:
    rows = fetch(
        cursor,
        "WITH wanted AS (SELECT DISTINCT unnest(?::VARCHAR[]) AS ident) "
        "SELECT ident, instruction, input, output FROM wanted JOIN candidate ON candidate_id = ident "
        "UNION ALL SELECT ident, instruction, input, output FROM wanted JOIN seed ON seed_id = ident",
        [idents],
    )
    return {row.pop("ident"): row for row in rows}


@kept_of_run
def seeds_after(cursor: Cursor, run_id: str, rule: bool = False) -> list[str]:
    """Active S once the decisions that stand are applied, as `decisions.apply` will do it on resuming.

    With `rule`, what is undecided counts as accepted: what the rule would have done.
    """
    members = {row["seed_id"]: row for row in seeds.of_run(cursor, run_id)}
    run = fetch_one(cursor, "SELECT config->'generator'->>'kind' AS kind FROM run WHERE run_id = ?", [run_id])
    active = {ident: None for ident, row in members.items() if row["status"] == "active"}
    for one in decisions.of_run(cursor, run_id):
        accepted = one["decision"] == "accept" or (rule and one["decision"] is None)
        ident = one["subject_id"] if one["kind"] == "evict" else decisions.promoted_id(one["subject_id"])
        member = members.get(ident)
        if one["kind"] == "promote" and run and run["kind"] != "stream":
            evicted = member is not None and member["status"] == "left" and member["evicted_by"] is not None
            if accepted and not evicted:
                active[ident] = None
            else:
                active.pop(ident, None)
        elif one["kind"] == "evict" and accepted:
            active.pop(ident, None)
        elif one["kind"] == "evict" and member and member["evicted_by"] == one["proposal_id"]:
            active[ident] = None
    return list(active)


@kept
def library(cursor: Cursor, search: str, limit: int, member: bool = True) -> list[dict[str, Any]]:
    """Seeds of the library whose texts hold `search` (any case), oldest first, at most `limit`.

    Those that are not `member` are the ones that people took out of it.
    """
    out = "list_contains((SELECT list(subject) FROM decision WHERE starts_with(subject, 'seed:')), 'seed:' || seed_id)"
    return fetch(
        cursor,
        "SELECT seed_id, instruction, input, output, is_classification, origin, added FROM seed "  # noqa: S608
        f"WHERE {'in_library' if member else f'NOT in_library AND {out}'} "
        "AND contains(lower(instruction || ' ' || input || ' ' || output), lower(?)) ORDER BY added, seed_id LIMIT ?",
        [search, limit],
    )


@kept
def library_size(cursor: Cursor) -> int:
    """Accepted seeds of the library."""
    row = fetch_one(cursor, "SELECT count(*) AS n FROM seed WHERE in_library")
    return int(row["n"]) if row else 0


@kept_of_run
def settings(cursor: Cursor, run_id: str) -> dict[str, Any] | None:
    """The configuration of a run."""
    row = fetch_one(cursor, "SELECT config FROM run WHERE run_id = ?", [run_id])
    return json.loads(row["config"]) if row else None

"""Runs: their life, and their counts as every screen and command shows them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import duckdb

from store import calls, candidates
from store.connection import fetch, fetch_one, insert
from store.events import StudentLoaded, WindowFinished, WorkerStarted
from store.records import RunStatus

Cursor = duckdb.DuckDBPyConnection
ALIVE = ("queued", "running")


def now() -> datetime:
    """The present in UTC, as the store keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)


def create(cursor: Cursor, run_id: str, config: dict[str, Any], fingerprint: str, random_seed: int) -> None:
    """A new run, queued."""
    row = {
        "run_id": run_id,
        "config": json.dumps(config),
        "fingerprint": fingerprint,
        "random_seed": random_seed,
        "status": "queued",
        "created": now(),
    }
    insert(cursor, "run", [row])


def get(cursor: Cursor, run_id: str) -> dict[str, Any] | None:
    """A run's row with its configuration as a mapping; None if it is not there."""
    row = fetch_one(cursor, "SELECT * FROM run WHERE run_id = ?", [run_id])
    return row and {**row, "config": json.loads(row["config"])}


def run_ids(cursor: Cursor) -> list[str]:
    """Every run, newest first."""
    return [row["run_id"] for row in fetch(cursor, "SELECT run_id FROM run ORDER BY created DESC, run_id DESC")]


def set_config(cursor: Cursor, run_id: str, config: dict[str, Any]) -> None:
    """Change the settings of a run that is about to go on."""
    cursor.execute("UPDATE run SET config = ? WHERE run_id = ?", [json.dumps(config), run_id])


def set_status(
    cursor: Cursor, run_id: str, status: RunStatus, error: str | None = None, next_step: str | None = None
) -> None:
    """Move a run to a status; an end also closes its phase."""
    started = ", started = coalesce(started, ?)" if status == "running" else ", ended = ?, phase = NULL"
    cursor.execute(
        f"UPDATE run SET status = ?, error = ?, next_step = ?{started} WHERE run_id = ?",  # noqa: S608
        [status, error, next_step, now(), run_id],
    )


def reopen(cursor: Cursor, run_id: str) -> None:
    """Queue a run again. An end that it had come to is behind it; an interruption is gone on from."""
    cursor.execute(
        "UPDATE run SET outcome = CASE WHEN status IN ('interrupted', 'paused', 'failed') THEN outcome END, "
        "status = 'queued', error = NULL, next_step = NULL WHERE run_id = ?",
        [run_id],
    )


def with_status(cursor: Cursor, status: RunStatus) -> list[str]:
    """Ids of the runs with this status."""
    return [row["run_id"] for row in fetch(cursor, "SELECT run_id FROM run WHERE status = ?", [status])]


def interrupt_alive(cursor: Cursor) -> list[str]:
    """At start: whatever claims to be queued or running is not; returns those runs."""
    rows = fetch(
        cursor,
        "UPDATE run SET status = 'interrupted', phase = NULL, ended = ?, "
        "next_step = 'Resume it: it goes on from its journal and its last checkpoint.' "
        "WHERE status IN ('queued', 'running') RETURNING run_id",
        [now()],
    )
    return [row["run_id"] for row in rows]


def worker_started(cursor: Cursor, event: WorkerStarted) -> None:
    """Provenance of a run: versions and hardware of the worker."""
    cursor.execute(
        "UPDATE run SET versions = ?, hardware = ? WHERE run_id = ?",
        [json.dumps(event.versions), json.dumps(event.hardware), event.run_id],
    )


def student_loaded(cursor: Cursor, event: StudentLoaded) -> None:
    """Device, precision and trained weights join what is known of the run's hardware."""
    cursor.execute(
        "UPDATE run SET hardware = json_merge_patch(coalesce(hardware, '{}'), ?::JSON) WHERE run_id = ?",
        [json.dumps(event.model_dump(include={"device", "precision", "trained_parameters"})), event.run_id],
    )


def window_finished(cursor: Cursor, event: WindowFinished) -> None:
    """A window is over; one that held nothing (capped before the first batch was full) does not count as one."""
    cursor.execute(
        "UPDATE run SET iteration = CASE WHEN ? THEN ? ELSE iteration END, filled = filled + ?, outcome = ?, cap = ?, "
        "checkpoint = coalesce(?, checkpoint), checkpoint_sha256 = coalesce(?, checkpoint_sha256) WHERE run_id = ?",
        [
            bool(event.members),
            event.iteration,
            int(event.outcome in ("filled", "target")),
            event.outcome,
            event.cap,
            event.checkpoint,
            event.checkpoint_sha256,
            event.run_id,
        ],
    )


def kept_count(cursor: Cursor, run_id: str) -> int:
    """Verdicts kept in a run."""
    row = fetch_one(
        cursor,
        "SELECT count(*) AS n FROM candidate WHERE run_id = ? AND verdict = 'kept' AND origin <> 'edit'",
        [run_id],
    )
    return int(row["n"]) if row else 0


def summary(cursor: Cursor, run_id: str) -> dict[str, Any] | None:
    """A run's status and counts: the object that `run --json` ends with. None if it is not there."""
    run = get(cursor, run_id)
    if run is None:
        return None
    counts = fetch_one(
        cursor,
        "SELECT coalesce(sum(asked), 0)::BIGINT AS asked, coalesce(sum(parsed), 0)::BIGINT AS parsed, "
        "coalesce(sum(surplus), 0)::BIGINT AS surplus, coalesce(sum(missing), 0)::BIGINT AS missing, "
        "coalesce(sum(unparseable), 0)::BIGINT AS unparseable, coalesce(sum(refused), 0)::BIGINT AS refused "
        "FROM judgement WHERE run_id = ?",
        [run_id],
    )
    dropped = fetch(
        cursor,
        "SELECT reason, count(*) AS n FROM candidate WHERE run_id = ? AND verdict = 'dropped' AND origin <> 'edit' "
        "GROUP BY reason ORDER BY n DESC, reason",
        [run_id],
    )
    flagged = fetch(
        cursor,
        "SELECT flag, count(*) AS n, count(*) FILTER (verdict = 'kept') AS kept FROM "
        "(SELECT unnest(flags) AS flag, verdict FROM candidate WHERE run_id = ? AND origin <> 'edit') "
        "GROUP BY flag ORDER BY flag",
        [run_id],
    )
    made = fetch_one(
        cursor,
        "SELECT (SELECT count(*) FROM batch WHERE run_id = $1 AND phase = 'online') AS batches, "
        "(SELECT count(*) FROM current_step WHERE run_id = $1 AND phase = 'online') AS steps, "
        "(SELECT count(*) FROM run_seed WHERE run_id = $1 AND status = 'active') AS seeds_active, "
        "(SELECT count(*) FROM run_seed WHERE run_id = $1 AND evicted_by IS NOT NULL AND status = 'left') AS evicted",
        [run_id],
    )
    assert counts is not None
    assert made is not None
    ledger = calls.spend(cursor, run_id)
    hardware = json.loads(run["hardware"] or "{}")
    causes = {cause: int(counts[cause]) for cause in ("missing", "unparseable", "refused")}
    return {
        "run_id": run_id,
        "status": run["status"],
        "preset": run["config"]["preset"],
        "iteration": run["iteration"],
        "iterations": run["config"]["iterations"],
        "window": run["config"]["compose"]["batch_size"] * run["config"]["compose"]["batches_per_window"],
        "queued": candidates.queued_count(cursor, run_id),
        "phase": run["phase"],
        "outcome": run["outcome"],
        "cap": run["cap"],
        "error": run["error"],
        "next_step": run["next_step"],
        "asked": int(counts["asked"]),
        "parsed": int(counts["parsed"]),
        "failed": int(counts["asked"] - counts["parsed"]),
        "failed_by_cause": causes,
        "surplus": int(counts["surplus"]),
        "kept": kept_count(cursor, run_id),
        "dropped": {row["reason"]: int(row["n"]) for row in dropped},
        "flags": {row["flag"]: int(row["n"]) for row in flagged},
        "flags_kept": {row["flag"]: int(row["kept"]) for row in flagged},
        "calls": int(ledger["calls"]),
        "calls_failed": int(ledger["calls_failed"]),
        "prompt_tokens": int(ledger["prompt_tokens"]),
        "completion_tokens": int(ledger["completion_tokens"]),
        "cost_usd": ledger["cost_usd"],
        "batches": int(made["batches"]),
        "steps": int(made["steps"]),
        "promoted": promoted_count(cursor, run_id),
        "evicted": int(made["evicted"]),
        "seeds_active": int(made["seeds_active"]),
        "elapsed_s": run["elapsed_s"],
        "device": hardware.get("device"),
        "precision": hardware.get("precision"),
        "random_seed": run["random_seed"],
        "fingerprint": run["fingerprint"],
        "created": _iso(run["created"]),
        "started": _iso(run["started"]),
        "ended": _iso(run["ended"]) if run["status"] not in ALIVE else None,
    }


def promoted_count(cursor: Cursor, run_id: str) -> int:
    """Promotions of a run that were applied: into its S, or, for a stream, into the library."""
    row = fetch_one(
        cursor,
        "SELECT count(*) AS n FROM proposal p JOIN seed s ON s.seed_id = 'm-' || p.subject_id "
        "LEFT JOIN run_seed r ON r.run_id = p.run_id AND r.seed_id = s.seed_id "
        "WHERE p.run_id = ? AND p.kind = 'promote' "
        "AND (r.promoted_by = p.proposal_id AND (r.status = 'active' OR r.evicted_by IS NOT NULL) "
        "OR r.seed_id IS NULL AND s.in_library)",
        [run_id],
    )
    return int(row["n"]) if row else 0


def _iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") + "Z" if at else None

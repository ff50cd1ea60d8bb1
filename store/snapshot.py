"""What a worker starts an iteration from: a frozen copy of everything it needs, written to a file by the owner.

The worker neither reads nor writes the store. An iteration is a function of its snapshot, its journal and the
generator's replies, so a resumed one and an uninterrupted one are the same code on the same values.
"""

from __future__ import annotations

import json
from typing import Any

import duckdb

from store import aims, batches, calls, candidates, decisions, imports, runs, seeds, steps
from store.connection import fetch, fetch_one
from store.events import Outcome
from store.records import Batch, NearestSource, Record, Seed

BUILT_IN = "built_in"
MOST_HELDOUT = 256  # of an imported held-out set: each window measures the student on all of them


class PoolEntry(Record):
    """A text that the similarity filter compares with; `output` is null where it was dropped or is not of a task."""

    ident: str
    source: NearestSource
    instruction: str
    input: str = ""
    output: str | None = None


class Queued(Record):
    """A kept example that waits for its window."""

    candidate_id: str
    call_index: int
    origin: str
    instruction: str
    input: str
    output: str
    demo_seed_ids: tuple[str, ...] = ()


class SeedState(Record):
    """An active seed with its credit so far."""

    seed: Seed
    added_iteration: int
    credit_sum: float
    calls: int
    trained_children: int = 0


class Snapshot(Record):
    """All that decides an iteration; `iteration` is the one to work on."""

    run_id: str
    iteration: int
    config: dict[str, Any]
    next_seq: int
    next_call_index: int
    next_step: int
    attempt: int
    barren_calls: int
    kept: int
    calls_sent: int
    tokens_spent: int
    cost_usd: float | None
    elapsed_s: float
    last_decision: int
    active: tuple[SeedState, ...]
    pool: tuple[PoolEntry, ...]
    queue: tuple[Queued, ...]
    batches: tuple[Batch, ...]
    window_outcome: Outcome | None = None
    window_cap: str | None = None
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None
    heldout: tuple[Seed, ...] = ()
    aim: tuple[str, ...] = ()


def take(cursor: duckdb.DuckDBPyConnection, run_id: str) -> Snapshot:
    """The state of a run before its next iteration, or in the middle of an interrupted one.

    Steps of an unfinished window are superseded here: it is trained again from the previous checkpoint.
    """
    run = runs.get(cursor, run_id)
    assert run is not None, run_id
    iteration = run["iteration"] + 1
    stored = batches.of_window(cursor, run_id, iteration)
    ledger = calls.spend(cursor, run_id)
    state = fetch_one(
        cursor,
        "SELECT (SELECT coalesce(max(seq), 0) + 1 FROM event WHERE run_id = $1) AS next_seq, "
        "(SELECT coalesce(max(call_index), -1) + 1 FROM judgement WHERE run_id = $1) AS next_call_index",
        [run_id],
    )
    composed = fetch_one(
        cursor,
        "SELECT payload FROM event WHERE run_id = ? AND kind = 'window_composed' "
        "AND (payload->>'iteration')::INTEGER = ? ORDER BY seq DESC LIMIT 1",
        [run_id, iteration],
    )
    closing = json.loads(composed["payload"]) if composed else {}
    assert state is not None
    return Snapshot(
        run_id=run_id,
        iteration=iteration,
        config=run["config"],
        next_seq=state["next_seq"],
        next_call_index=state["next_call_index"],
        next_step=stored[0].step if stored else steps.last_step(cursor, run_id) + 1,
        attempt=steps.supersede(cursor, run_id, iteration),
        barren_calls=_barren_calls(cursor, run_id),
        kept=runs.kept_count(cursor, run_id),
        calls_sent=ledger["calls"],
        tokens_spent=ledger["prompt_tokens"] + ledger["completion_tokens"],
        cost_usd=ledger["cost_usd"],
        elapsed_s=run["elapsed_s"],
        last_decision=decisions.last_number(cursor),
        active=_active(cursor, run_id),
        pool=pool(cursor, run_id),
        queue=_queue(cursor, run_id, [member for batch in stored for member in batch.members]),
        batches=tuple(stored),
        window_outcome=closing.get("outcome"),
        window_cap=closing.get("cap"),
        checkpoint=run["checkpoint"],
        checkpoint_sha256=run["checkpoint_sha256"],
        aim=aims.of_iteration(cursor, run_id, iteration),
        heldout=imports.tasks(cursor, run["config"]["train"].get("heldout", BUILT_IN), MOST_HELDOUT),
    )


def _active(cursor: duckdb.DuckDBPyConnection, run_id: str) -> tuple[SeedState, ...]:
    return tuple(
        SeedState(
            seed=seeds.as_seed(row),
            added_iteration=row["added_iteration"],
            credit_sum=row["credit_sum"],
            calls=row["calls"],
            trained_children=row["trained_children"],
        )
        for row in seeds.of_run(cursor, run_id)
        if row["status"] == "active"
    )


def pool(cursor: duckdb.DuckDBPyConnection, run_id: str) -> tuple[PoolEntry, ...]:
    """S, what left S, then what passed. A promoted seed of this run is there already, as the candidate it was."""
    first = [
        PoolEntry(
            ident=row["seed_id"],
            source="seed" if row["status"] == "active" else "former_seed",
            instruction=row["instruction"],
            input=row["input"],
            output=row["output"],
        )
        for row in seeds.of_run(cursor, run_id)
        if row["promoted_by"] is None
    ]
    passed = [
        PoolEntry(
            ident=row["candidate_id"],
            source="kept",
            instruction=row["instruction"],
            input=row["input"],
            output=row["output"] if row["verdict"] == "kept" else None,
        )
        for row in candidates.pool(cursor, run_id)
    ]
    return (*first, *passed)


def _queue(cursor: duckdb.DuckDBPyConnection, run_id: str, composed: list[str]) -> tuple[Queued, ...]:
    demos = {
        row["call_index"]: tuple(row["demo_seed_ids"])
        for row in fetch(
            cursor,
            "SELECT call_index, any_value(demo_seed_ids) AS demo_seed_ids FROM call "
            "WHERE run_id = ? AND stage <> 'output' GROUP BY call_index",
            [run_id],
        )
    }
    return tuple(
        Queued(
            **{name: row[name] for name in ("candidate_id", "call_index", "origin", "instruction", "input", "output")},
            demo_seed_ids=demos.get(row["call_index"], ()),
        )
        for row in candidates.queue(cursor, run_id, composed)
    )


def _barren_calls(cursor: duckdb.DuckDBPyConnection, run_id: str) -> int:
    """Instruction calls in a row, up to the last judged, that kept nothing."""
    row = fetch_one(
        cursor,
        "WITH fruitful AS (SELECT max(call_index) AS last FROM candidate WHERE run_id = $1 AND verdict = 'kept') "
        "SELECT count(*) AS n FROM judgement WHERE run_id = $1 "
        "AND call_index > coalesce((SELECT last FROM fruitful), -1)",
        [run_id],
    )
    return int(row["n"]) if row else 0

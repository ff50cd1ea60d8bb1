"""Every run of a store in one table, and what two of them share: read together, so that many runs cost one question."""

from __future__ import annotations

import json
from typing import Any

import duckdb

from store.candidates import DECIDED, IN_K
from store.connection import fetch, fetch_one
from store.export_rows import QUERIES
from store.kept import kept, kept_of_run

Cursor = duckdb.DuckDBPyConnection
TEXTS_KEY = "md5(concat_ws(chr(31), c.instruction, c.input, c.output))"


@kept
def history(cursor: Cursor) -> list[dict[str, Any]]:
    """A row for each run, newest first: what it was asked, what it made, what it cost and what training gave.

    `cost_usd` is null where the price of an attempt is unknown; `heldout_loss` is that of the last window.
    """
    return fetch(
        cursor,
        f"""
        SELECT run.run_id, run.status, run.config->>'preset' AS preset,
               CASE WHEN (run.config->'generator'->>'kind') = 'stream' THEN 'recorded stream'
                   ELSE run.config->'generator'->>'model' END AS model,
               run.iteration, (run.config->>'iterations')::INTEGER AS iterations,
               coalesce(judged.asked, 0)::BIGINT AS asked, coalesce(judged.parsed, 0)::BIGINT AS parsed,
               coalesce(made.kept, 0)::BIGINT AS kept, coalesce(made.exportable, 0)::BIGINT AS exportable,
               coalesce(spent.tokens, 0)::BIGINT AS tokens, spent.cost_usd, coalesce(trained.steps, 0)::BIGINT AS steps,
               trained.heldout_loss, run.hardware->>'device' AS device, run.elapsed_s, run.created
        FROM run
        LEFT JOIN (SELECT run_id, sum(asked) AS asked, sum(parsed) AS parsed FROM judgement GROUP BY run_id) judged
            USING (run_id)
        LEFT JOIN (
            SELECT c.run_id, count(*) FILTER (c.verdict = 'kept' AND c.origin <> 'edit') AS kept,
                   count(*) FILTER ({IN_K}) AS exportable
            FROM candidate c {DECIDED} GROUP BY c.run_id
        ) made USING (run_id)
        LEFT JOIN (
            SELECT run_id, sum(prompt_tokens + completion_tokens) AS tokens,
                   CASE WHEN count(*) = count(cost_usd) THEN sum(cost_usd) END AS cost_usd FROM call GROUP BY run_id
        ) spent USING (run_id)
        LEFT JOIN (
            SELECT run_id, count(*) AS steps, arg_max(heldout_loss, step) AS heldout_loss
            FROM current_step WHERE phase = 'online' GROUP BY run_id
        ) trained USING (run_id)
        ORDER BY run.created DESC, run.run_id DESC
        """,  # noqa: S608
    )


@kept_of_run
def provenance(cursor: Cursor, run_id: str) -> dict[str, Any]:
    """What a run's data came from: versions, hardware, models, endpoints, prompts, and hashes of settings and adapter.

    Values are texts, numbers or lists of texts, by names that say what they are; empty where nothing is known yet.
    """
    row = fetch_one(cursor, "SELECT * FROM run WHERE run_id = ?", [run_id])
    if row is None:
        return {}
    asked = fetch_one(
        cursor,
        "SELECT list_sort(list(DISTINCT model)) AS models, list_sort(list(DISTINCT endpoint)) AS endpoints, "
        "list_sort(list(DISTINCT prompt_version)) AS prompts, count(DISTINCT last_decision) AS decisions "
        "FROM call WHERE run_id = ?",
        [run_id],
    )
    assert asked is not None
    return {
        "settings (hash)": row["fingerprint"],
        "random seed": row["random_seed"],
        "models": asked["models"] or [],
        "endpoints": asked["endpoints"] or [],
        "prompt versions": asked["prompts"] or [],
        "checkpoint (sha256)": row["checkpoint_sha256"],
        **{f"hardware: {name}": value for name, value in json.loads(row["hardware"] or "{}").items()},
        **{f"version: {name}": value for name, value in json.loads(row["versions"] or "{}").items()},
    }


def shared(cursor: Cursor, first: str, second: str) -> dict[str, int]:
    """What two runs' exportable sets have in common, in rows, and the seeds that both have active."""
    sets = " , ".join(
        f"{name} AS (SELECT DISTINCT {TEXTS_KEY} AS task, md5(c.instruction) AS asked "
        f"{QUERIES['kept'].source.replace('$run_id', f'${name}')})"
        for name in ("one", "other")
    )
    found = fetch_one(
        cursor,
        f"WITH {sets} SELECT (SELECT count(*) FROM one) AS first, (SELECT count(*) FROM other) AS second, "  # noqa: S608
        "(SELECT count(*) FROM one SEMI JOIN other USING (task)) AS same_task, "
        "(SELECT count(DISTINCT asked) FROM one SEMI JOIN other USING (asked)) AS same_instruction, "
        "(SELECT count(*) FROM run_seed a JOIN run_seed b ON b.seed_id = a.seed_id AND b.run_id = $other "
        "AND b.status = 'active' WHERE a.run_id = $one AND a.status = 'active') AS same_seeds",
        {"one": first, "other": second},
    )
    assert found is not None
    return {name: int(value) for name, value in found.items()}


def only_in(cursor: Cursor, first: str, second: str, limit: int) -> list[dict[str, Any]]:
    """The first exportable rows of one run whose task the other does not have."""
    kept = QUERIES["kept"]
    other = kept.source.replace("$run_id", "$other")
    return fetch(
        cursor,
        f"SELECT c.candidate_id, c.instruction, c.input, c.output, c.iteration {kept.source} "
        f"AND {TEXTS_KEY} NOT IN (SELECT {TEXTS_KEY} {other}) {kept.order} LIMIT {int(limit)}",
        {"run_id": first, "other": second},
    )

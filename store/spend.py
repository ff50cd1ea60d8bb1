"""What was spent, by run, by day, by model: sums over the ledger, probes included. Unknown money stays unknown."""

from __future__ import annotations

from typing import Any, Literal

import duckdb

from store.connection import fetch

Cursor = duckdb.DuckDBPyConnection
By = Literal["run", "day", "model"]
GROUPS: dict[str, str] = {
    "run": "coalesce(run_id, 'outside runs')",
    "day": "strftime(\"at\", '%Y-%m-%d')",
    "model": "model || ' at ' || endpoint",
}


def spend(cursor: Cursor, by: By) -> list[dict[str, Any]]:
    """A row for each run, day or model, latest first: attempts, tokens and USD.

    `cost_usd` sums what is known; `cost_unknown` counts attempts whose price is not known, `usage_unknown` those of
    which nobody said how much they used, `usage_estimated` those whose tokens were estimated from the text.
    """
    return fetch(
        cursor,
        f"""
        SELECT {GROUPS[by]} AS "of", count(*) AS attempts, sum(prompt_tokens)::BIGINT AS prompt_tokens,
               sum(completion_tokens)::BIGINT AS completion_tokens, coalesce(sum(cost_usd), 0.0) AS cost_usd,
               count(*) FILTER (cost_usd IS NULL) AS cost_unknown,
               count(*) FILTER (usage_source = 'unknown') AS usage_unknown,
               count(*) FILTER (usage_source = 'estimated') AS usage_estimated,
               strftime(max("at"), '%Y-%m-%dT%H:%M:%SZ') AS last_at
        FROM ledger GROUP BY 1 ORDER BY last_at DESC, 1
        """,  # noqa: S608
    )

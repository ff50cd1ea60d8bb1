"""What people's decisions say of the similarity filter: which candidates are near-copies, and which are not."""

from __future__ import annotations

from typing import Any

import duckdb

from store.candidates import DECIDED
from store.connection import fetch

Cursor = duckdb.DuckDBPyConnection
NEAR_COPY = "near_copy"  # the reason code of a kept candidate that the filter should have dropped


def of_run(cursor: Cursor, run_id: str) -> list[dict[str, Any]]:
    """Candidates of a run that a person's standing decision labels: candidate_id, verdict, is_copy, max_rouge_l.

    A drop for `similar` that was rescued is no copy, one that was rejected is; a kept one that was rejected as
    `near_copy` is, one that was accepted is not. `max_rouge_l` is null below 0.5.
    """
    return fetch(
        cursor,
        "SELECT c.candidate_id, c.verdict, d.kind = 'reject' AS is_copy, c.max_rouge_l "  # noqa: S608
        f"FROM candidate c {DECIDED} WHERE c.run_id = $run AND c.origin <> 'edit' AND d.\"by\" <> 'rule' "
        "AND (c.reason = 'similar' AND d.kind IN ('rescue', 'reject') "
        "OR c.verdict = 'kept' AND (d.kind = 'accept' OR d.kind = 'reject' AND d.reason = $code)) "
        "ORDER BY c.call_index, c.position",
        {"run": run_id, "code": NEAR_COPY},
    )

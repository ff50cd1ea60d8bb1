"""What earlier runs of the same generator took: the figures that an estimate for the next one rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

from store.connection import fetch
from store.kept import kept
from store.records import Record

Cursor = duckdb.DuckDBPyConnection


class RunFigures(Record):
    """Sums over one run; tokens are completion tokens, `asked` and `kept` are tasks.

    `generate_s` is working time in the generate stage, `train_s` in optimiser steps, in which `trained` examples
    were gone through.
    """

    run_id: str
    train_model: str
    asked: int
    kept: int
    list_tokens: int
    output_calls: int
    output_tokens: int
    generate_s: float
    train_s: float
    trained: int

    @property
    def tokens(self) -> int:
        """Completion tokens of every call."""
        return self.list_tokens + self.output_tokens


class History(Record):
    """Earlier runs of one generator that kept something, newest first."""

    runs: tuple[RunFigures, ...]


@kept
def history(cursor: Cursor, generator: Mapping[str, Any], limit: int = 10) -> History | None:
    """The last runs whose generator was of this kind, model, prompt form and address (or file); None if there is none.

    `generator` is that section of a run's configuration.
    """
    rows = fetch(
        cursor,
        """
        WITH same AS (
            SELECT run_id, created, config->>'$.train.model' AS train_model FROM run
            WHERE config->>'$.generator.kind' = $1 AND config->>'$.generator.model' = $2
              AND config->>'$.generator.prompt_form' = $3
              AND config->>'$.generator.base_url' IS NOT DISTINCT FROM $4
              AND config->>'$.generator.stream_path' IS NOT DISTINCT FROM $5
        ), judged AS (
            SELECT run_id, sum(asked)::BIGINT AS asked FROM judgement GROUP BY run_id
        ), made AS (
            SELECT run_id, count(*) AS kept FROM candidate WHERE verdict = 'kept' AND origin <> 'edit' GROUP BY run_id
        ), sent AS (
            SELECT run_id, coalesce(sum(completion_tokens) FILTER (stage <> 'output'), 0)::BIGINT AS list_tokens,
                   count(*) FILTER (stage = 'output') AS output_calls,
                   coalesce(sum(completion_tokens) FILTER (stage = 'output'), 0)::BIGINT AS output_tokens
            FROM call GROUP BY run_id
        ), staged AS (
            SELECT run_id, payload->>'phase' AS phase, e.elapsed_s,
                   lead(e.elapsed_s, 1, run.elapsed_s) OVER (PARTITION BY run_id ORDER BY seq) AS until_s
            FROM event e JOIN run USING (run_id) WHERE e.kind = 'phase_started'
        ), timed AS (
            SELECT run_id, sum(until_s - elapsed_s) AS generate_s FROM staged WHERE phase = 'generate' GROUP BY run_id
        ), learned AS (
            SELECT s.run_id, sum(s.seconds) AS train_s, sum(len(b.members))::BIGINT AS trained
            FROM current_step s JOIN batch b USING (run_id, phase, step) GROUP BY s.run_id
        )
        SELECT run_id, train_model, asked, kept, list_tokens, output_calls, output_tokens,
               coalesce(generate_s, 0) AS generate_s,
               coalesce(train_s, 0) AS train_s, coalesce(trained, 0) AS trained
        FROM same JOIN judged USING (run_id) JOIN made USING (run_id) JOIN sent USING (run_id)
        LEFT JOIN timed USING (run_id) LEFT JOIN learned USING (run_id)
        WHERE asked > 0 ORDER BY created DESC, run_id DESC LIMIT $6
        """,
        [*(generator[name] for name in ("kind", "model", "prompt_form", "base_url", "stream_path")), limit],
    )
    return History(runs=tuple(RunFigures(**row) for row in rows)) if rows else None

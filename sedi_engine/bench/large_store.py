"""A store as it is after a long run: one completed run of five windows with everything that the pages read of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from sedi_engine.config import RunConfig
from sedi_engine.seeds import library_seeds
from store import maps, runs, seeds, training
from store.database import Cursor, Store

RUN = "bench"
WINDOWS, BATCH_SIZE, BATCHES_PER_WINDOW, TASKS_PER_CALL = 5, 32, 60, 10
DIMENSIONS = 64
SEEDS_IN_S = 24
HOVER_LENGTH = 80

FILL = """
INSERT INTO candidate BY NAME
    SELECT 'bench-' || n // $asked || '-' || n % $asked AS candidate_id, 'bench' AS run_id,
           least($windows, 1 + n * $windows // $records)::INTEGER AS iteration, (n // $asked)::INTEGER AS call_index,
           (n % $asked)::INTEGER AS position, 'machine' AS origin, text || ' (' || n || ')' AS instruction,
           '' AS input, 'Done.' AS output, if(n % 10 < 6, 'kept', 'dropped') AS verdict,
           if(n % 10 < 6, NULL, 'similarity') AS stage, if(n % 10 < 6, NULL, 'similar') AS reason,
           0.5 + (n % 50) / 100 AS max_rouge_l, []::VARCHAR[] AS flags
    FROM range($records) r(n) JOIN bench_texts ON place = n % (SELECT count(*) FROM bench_texts);
INSERT INTO call BY NAME
    SELECT 'bench' AS run_id, call_index, 'whole_task' AS stage, -1 AS position, 0 AS attempt,
           min(iteration) AS iteration, 'bench' AS model, 'bench' AS endpoint, 'bench' AS prompt_version,
           $demos AS demo_seed_ids, []::VARCHAR[] AS demo_pool_ids, $asked AS asked, 200 AS prompt_tokens,
           400 AS completion_tokens, 'server' AS usage_source, 0.001 AS cost_usd, 1.0 AS latency_s
    FROM candidate GROUP BY call_index;
INSERT INTO judgement
    SELECT 'bench', call_index, min(iteration), $asked, count(*), 0, 0, 0, 0 FROM candidate GROUP BY call_index;
CREATE TEMP TABLE bench_member AS
    SELECT candidate_id, iteration, (rank - 1) // $size AS batch, (rank - 1) % $size AS place FROM (
        SELECT candidate_id, iteration,
               row_number() OVER (PARTITION BY iteration ORDER BY call_index, position) AS rank
        FROM candidate WHERE verdict = 'kept') WHERE rank <= $size * $batches;
INSERT INTO batch
    SELECT 'bench', iteration, 'online', 1 + batch + (iteration - 1) * $batches, 0,
           list(candidate_id ORDER BY place), list(place ORDER BY place), count(*), 1 / count(*), 0.9 * count(*), 0.7, 0
    FROM bench_member GROUP BY iteration, batch;
INSERT INTO step BY NAME
    SELECT run_id, iteration, phase, step, attempt, 3 - ln(step) / 4 + hash(step) % 100 / 400 AS loss,
           if(step % $batches = 0, 3 - ln(step) / 5, NULL) AS heldout_loss, 1 + hash(step) % 1000 / 500 AS grad_norm,
           hash(step) % 1000 / 500 - 1 AS grad_norm_detrended, false AS clipped, 2e-4 AS lr,
           40 * len(members) AS response_tokens, 2.0 AS seconds, 20.0 * len(members) AS tokens_per_s,
           900.0 AS memory_mb, len(members) AS micro_batch, step % $batches = 7 AS attractive, 0.9 AS device_busy
    FROM batch;
INSERT INTO example_signal BY NAME
    SELECT run_id, phase, step, attempt, unnest(members) AS candidate_id, loss, 0.8 AS el2n, 1.5 AS grand,
           40 AS response_tokens FROM batch JOIN step USING (run_id, phase, step, attempt, iteration);
INSERT INTO proposal
    SELECT 'bench-' || kind || '-' || iteration || '-' || place, 'bench', iteration, kind,
           if(kind = 'promote', candidate_id, $demos[1 + place]), place + 1, '{}'
    FROM bench_member, (VALUES ('promote'), ('evict')) k(kind) WHERE batch = 7 AND place < 8;
INSERT INTO event
    SELECT 'bench', row_number() OVER (ORDER BY iteration, place, kind), kind, TIMESTAMP '2026-01-01',
           60 * iteration, '{"iteration": ' || iteration || '}'
    FROM (SELECT iteration, call_index AS place, unnest(['call_recorded', 'call_judged']) AS kind FROM call
          UNION ALL SELECT iteration, step, 'step_done' FROM step
          UNION ALL SELECT DISTINCT iteration, 1 << 30, 'window_finished' FROM step);
UPDATE candidate SET window_iteration = iteration WHERE candidate_id IN (SELECT candidate_id FROM bench_member);
DROP TABLE bench_member
"""


def fill(folder: Path, records: int, mapped: int) -> None:
    """Put a completed run of so many candidates into a new store, the first `mapped` of its tasks on the map.

    Batches, steps, signals, calls and events are there in the numbers that such a run has; the vectors are made up.
    """
    store = Store(folder)
    try:
        settings = {"iterations": WINDOWS, "compose.batch_size": BATCH_SIZE}
        config = RunConfig.load("quick", {**settings, "compose.batches_per_window": BATCHES_PER_WINDOW})
        tasks = library_seeds()
        store.write(seeds.add, tasks, True)
        store.write(runs.create, RUN, config.model_dump(), "bench", 0)
        store.write(seeds.start_run, RUN, [task.seed_id for task in tasks[:SEEDS_IN_S]])
        store.write(_fill, records, [task.instruction for task in tasks], [task.seed_id for task in tasks[:8]])
        store.write(runs.set_status, RUN, "completed")
        _map(store, mapped)
    finally:
        store.close()


def texts(count: int) -> list[str]:
    """The beginnings of so many of its instructions, as long as the map's hover texts are."""
    tasks = library_seeds()
    return [f"{tasks[n % len(tasks)].instruction} ({n})"[:HOVER_LENGTH] for n in range(count)]


def _fill(cursor: Cursor, records: int, texts: list[str], demos: list[str]) -> None:
    cursor.register("bench_texts", pa.table({"place": pa.array(range(len(texts))), "text": texts}))
    values = {
        "records": records,
        "windows": WINDOWS,
        "asked": TASKS_PER_CALL,
        "size": BATCH_SIZE,
        "batches": BATCHES_PER_WINDOW,
        "demos": demos,
    }
    for statement in FILL.split(";"):
        cursor.execute(statement, {name: value for name, value in values.items() if f"${name}" in statement})
    cursor.unregister("bench_texts")
    cursor.execute("UPDATE run SET iteration = ?, filled = ? WHERE run_id = ?", [WINDOWS, WINDOWS, RUN])


def _map(store: Store, mapped: int) -> None:
    """Vectors at random, and places spread evenly over a square from -1 to 1."""
    subjects = [row["subject"] for row in store.read(maps.without_vector, RUN)][:mapped]
    members = [f"candidate:{ident}" for batch in store.read(training.batches, RUN) for ident in batch["members"]]
    embedded = list(dict.fromkeys(subjects + members))
    random = np.random.default_rng(0)
    vectors = random.normal(size=(len(embedded), DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    points = random.uniform(-1, 1, size=(len(subjects), 2))
    store.write(maps.add_vectors, embedded, vectors, "bench")
    store.write(maps.begin_version, subjects, points, "umap", 0, 0.5, None)

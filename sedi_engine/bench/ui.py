"""What a rerun of each page costs over a large store, beside an empty page and the bare figure, idle and beside a job.

The server's part of a rerun is measured, through Streamlit's own test harness, in a process of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sedi_engine.config import RunConfig
from sedi_engine.errors import StudioError
from sedi_engine.seeds import library_seeds
from store import maps, runs, seeds
from store.database import Cursor, Store

RECORDS, MAPPED, DRAWN, LASSOED = 100_000, 50_000, 10_000, 2_000
RUN, DIMENSIONS = "bench", 64
BUSY = "import os\nos.nice(10)\nwhile True: pass"


def run(records: int = RECORDS) -> dict[str, Any]:
    """Seconds a rerun and their ratios: to an empty page, to the bare figure, and beside a busy process."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        region = _fill(folder, records)
        idle = _measure(folder, region)
        with _busy():
            busy = _measure(folder, region)
    ratios = {f"{name}_to_empty": idle[name] / idle["empty"] for name in idle if name not in ("empty", "figure")}
    return {
        "records": records,
        "seconds": idle,
        **ratios,
        "map_to_figure": idle["map"] / idle["figure"],
        "busy_to_idle": {name: busy[name] / idle[name] for name in idle},
    }


def _measure(folder: Path, region: str) -> dict[str, float]:
    command = [sys.executable, "-m", "pages.ui.measure", str(DRAWN), region]
    done = subprocess.run(
        command, env={**os.environ, "SEDI_DATA": str(folder)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StudioError(
            f"The pages were not measured: {done.stderr.strip().splitlines()[-1]}",
            "Run it in the project's folder, where pages/ is.",
        )
    return json.loads(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    """A process that keeps one processor busy, as low in priority as a worker."""
    with subprocess.Popen([sys.executable, "-c", BUSY]) as process:
        try:
            yield
        finally:
            process.kill()


def _fill(folder: Path, records: int) -> str:
    """A completed run with so many candidates, some of them on a map; a region that holds about LASSOED of them."""
    store = Store(folder)
    try:
        config = RunConfig.load("quick", {"train.model": "none", "feedback.mode": "off"})
        tasks = library_seeds()
        store.write(seeds.add, tasks, True)
        store.write(runs.create, RUN, config.model_dump(), "bench", 0)
        store.write(seeds.start_run, RUN, [task.seed_id for task in tasks[:24]])
        store.write(_candidates, records, [task.instruction for task in tasks])
        store.write(runs.set_status, RUN, "completed")
        mapped = [row["subject"] for row in store.read(maps.without_vector, RUN)][:MAPPED]
        random = np.random.default_rng(0)
        vectors = random.normal(size=(len(mapped), DIMENSIONS)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        points = random.uniform(-1, 1, size=(len(mapped), 2))
        store.write(maps.add_vectors, mapped, vectors, "bench")
        store.write(maps.begin_version, mapped, points, "umap", 0, 0.5, None)
    finally:
        store.close()
    half = float(np.sqrt(LASSOED / max(1, len(mapped))))
    corners = ((-half, -half), (half, -half), (half, half), (-half, half))
    return ";".join(f"{x:.3f},{y:.3f}" for x, y in corners)


def _candidates(cursor: Cursor, count: int, texts: list[str]) -> None:
    """Candidates, ten a call, four of ten dropped as similar, with the calls and judgements that they came of."""
    table = pa.table({"place": pa.array(range(len(texts))), "text": texts})
    cursor.register("bench_texts", table)
    cursor.execute(
        "INSERT INTO candidate BY NAME SELECT 'bench-' || n // 10 || '-' || n % 10 AS candidate_id, 'bench' AS run_id, "
        "(1 + n // 20000)::INTEGER AS iteration, (n // 10)::INTEGER AS call_index, (n % 10)::INTEGER AS position, "
        "'machine' AS origin, text || ' (' || n || ')' AS instruction, '' AS input, 'Done.' AS output, "
        "if(n % 10 < 6, 'kept', 'dropped') AS verdict, if(n % 10 < 6, NULL, 'similarity') AS stage, "
        "if(n % 10 < 6, NULL, 'similar') AS reason, 0.5 + (n % 50) / 100 AS max_rouge_l, []::VARCHAR[] AS flags "
        "FROM range(?) r(n) JOIN bench_texts ON place = n % (SELECT count(*) FROM bench_texts)",
        [count],
    )
    cursor.unregister("bench_texts")
    cursor.execute(
        "INSERT INTO call BY NAME SELECT DISTINCT 'bench' AS run_id, call_index, 'whole_task' AS stage, "
        "-1 AS position, 0 AS attempt, iteration, 'bench' AS model, 'bench' AS endpoint, 'bench' AS prompt_version, "
        "[]::VARCHAR[] AS demo_seed_ids, []::VARCHAR[] AS demo_pool_ids, 10 AS asked, 200 AS prompt_tokens, "
        "400 AS completion_tokens, 'server' AS usage_source, 0.001 AS cost_usd, 1.0 AS latency_s FROM candidate"
    )
    cursor.execute(
        "INSERT INTO judgement SELECT DISTINCT 'bench', call_index, iteration, 10, 10, 0, 0, 0, 0 FROM candidate"
    )

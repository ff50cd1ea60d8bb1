"""What is left of an endpoint's throughput with our client, its journal and its pace, beside a bare client in one run.

The bare client knows the endpoint's capacity and keeps exactly that many calls in flight; ours has to find it. The
first half of the calls is ramp-up: rates are of the second half.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sedi_engine.config import RunConfig
from sedi_engine.costs import Budget
from sedi_engine.generator.caller import Ask, Caller
from sedi_engine.generator.client import Client
from sedi_engine.generator.journal import Journal
from sedi_engine.generator.request import Request
from store.records import Call

SLOTS, LATENCY_S = 16, 0.25
CALLS = 1500
PROMPT = (("user", "Come up with a series of tasks. " * 20),)


def run(calls: int = CALLS, slots: int = SLOTS, latency_s: float = LATENCY_S) -> dict[str, Any]:
    """Replies a second of both, their ratio, and the share of our attempts that were answered with 429."""
    with _server(slots, latency_s) as base_url:
        bare = asyncio.run(_bare(base_url, calls, slots))
        ours, attempts, turned_away = asyncio.run(_ours(base_url, calls))
    return {
        "calls": calls,
        "capacity_per_s": slots / latency_s,
        "bare_per_s": bare,
        "ours_per_s": ours,
        "ratio_to_bare": ours / bare,
        "wasted_share": turned_away / attempts,
    }


@contextmanager
def _server(slots: int, latency_s: float) -> Iterator[str]:
    command = [sys.executable, "-m", "sedi_engine.bench.limited_server", str(slots), str(latency_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.stdin.close()
            process.wait()


async def _bare(base_url: str, calls: int, slots: int) -> float:
    import httpx2

    body = {"model": "bench", "messages": [{"role": role, "content": text} for role, text in PROMPT]}
    places, ends = asyncio.Semaphore(slots), list[float]()
    limits = httpx2.Limits(max_connections=slots)
    async with httpx2.AsyncClient(limits=limits, trust_env=False, timeout=60) as client:

        async def one() -> None:
            async with places:
                (await client.post(f"{base_url}/chat/completions", json=body)).raise_for_status()
                ends.append(time.perf_counter())

        await asyncio.gather(*(one() for _ in range(calls)))
    return _rate(ends)


async def _ours(base_url: str, calls: int) -> tuple[float, int, int]:
    settings = {
        "generator.kind": "endpoint",
        "generator.base_url": base_url,
        "generator.model": "bench",
        "generator.max_concurrency": 64,
    }
    config = RunConfig.load("custom", settings)
    attempts, ends = list[Call](), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "replies.jsonl")
        client = Client(base_url, "bench", api_key=None, timeout_s=60, max_concurrency=64)
        async with client:
            caller = Caller(config, client, journal, Budget(config.budget), attempts.append)

            async def one(index: int) -> None:
                task = caller.start(Ask(_call(index), Request("chat", PROMPT, max_tokens=200, temperature=1.0)))
                assert task is not None
                if (await task).error is None:
                    ends.append(time.perf_counter())

            await asyncio.gather(*(one(index) for index in range(calls)))
        journal.close()
    return _rate(ends), len(attempts), sum("too many calls" in (call.error or "") for call in attempts)


def _call(index: int) -> Call:
    return Call(
        run_id="bench",
        call_index=index,
        stage="instruction",
        iteration=1,
        model="bench",
        endpoint="bench",
        prompt_version="bench",
        demo_seed_ids=(),
        asked=8,
    )


def _rate(ends: list[float]) -> float:
    """Replies a second in the second half."""
    later = sorted(ends)[len(ends) // 2 :]
    return (len(later) - 1) / (later[-1] - later[0])

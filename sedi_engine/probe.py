"""Requests outside any run: the test of a connection, and the trial of one prompt before a thousand are paid for.

Each is sent from a process of its own, `python -m sedi_engine.probe`, which speaks in JSON lines as the worker does:
no model is loaded here, and the key goes to it through its standard input alone. It costs, so it is entered in the
store as it is sent, and again with its reply before anything is made of it.

    prober.examine(config, key, by) -> Future[Examination]      what the endpoint can do
    prober.trial(config, key, ask, by) -> Future[Trial]         the tasks that one prompt brings

`ask` comes from `sedi_engine.rendering`. Both raise InputError at once for settings that nothing can be sent with;
the future raises StudioError in words.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from sedi_engine import paths
from sedi_engine.config import RunConfig
from sedi_engine.costs import cost_usd, priced
from sedi_engine.errors import GeneratorError, InputError, StudioError
from sedi_engine.examine import Examination, Finding, examine
from sedi_engine.generator.caller import Ask
from sedi_engine.generator.parse import Item, ParsedReply
from sedi_engine.generator.reading import read_output, read_tasks
from sedi_engine.generator.request import Reply, Request
from sedi_engine.generator.templates import Templates
from sedi_engine.preflight import check_ready
from sedi_engine.process import spawn
from sedi_engine.rendering import said
from store import probes
from store.database import Store
from store.records import CallStage, Probe

AT_ONCE = 2
LONGEST_TEST_S = 60.0
UNANSWERED = "It was sent, and no reply has been entered."
# what a run would need and a single request does not
SINGLE = {
    "generator.mode": "live",
    "generator.max_concurrency": 1,
    "prompts.instructions": None,
    "prompts.output": None,
    "prompts.whole_task": None,
    "train.model": "none",
    "budget.max_usd": None,
}


@dataclass(frozen=True)
class Trial:
    """One prompt's reply as it was entered, and the tasks in it, counted as a run would count them.

    An output's single item has its input and output. Without a reply there is neither an item nor a failure.
    """

    probe: Probe
    items: tuple[Item, ...] = ()
    failed: dict[str, int] = field(default_factory=dict)
    surplus: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON-ready values."""
        return {**asdict(self), "probe": self.probe.model_dump(mode="json")}


class Prober:
    """Sends single requests and enters them in a store; at most two at once, the others wait."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # PR_SET_PDEATHSIG ends a process with the thread that started it: these live until `close`
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="probe")
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def examine(self, config: RunConfig, key: str | None, by: str) -> Future[Examination]:
        """Find out what the endpoint of these settings can do, in a few short calls."""
        config = self._single(config, key)
        timeout_s = min(config.generator.timeout_s, LONGEST_TEST_S)
        config = config.with_settings({"generator.timeout_s": timeout_s})
        return self._threads.submit(self._examine, config, key, by)

    def trial(self, config: RunConfig, key: str | None, ask: Ask, by: str) -> Future[Trial]:
        """Send one prompt and read the tasks in its reply."""
        return self._threads.submit(self._trial, self._single(config, key), key, ask, by)

    def close(self) -> None:
        """End what is under way and let go."""
        with self._lock:
            self._closed = True
            for process in self._processes:
                process.kill()
        self._threads.shutdown(cancel_futures=True)

    def _single(self, config: RunConfig, key: str | None) -> RunConfig:
        """The settings of a single request; raises InputError or WeightsError where it could not be sent."""
        if config.generator.kind == "stream":
            raise InputError(
                "generator.kind is stream: recorded candidates are read from a file, and nothing is asked.",
                "Set generator.kind to endpoint or embedded.",
            )
        config = priced(config, self._store.folder).with_settings(SINGLE)
        check_ready(config, key, self._store.folder)
        return config

    def _examine(self, config: RunConfig, key: str | None, by: str) -> Examination:
        entered: dict[str, Probe] = {}
        found: Examination | None = None
        task = {"do": "examine", "config": config.model_dump(), "key": key}
        for line in self._lines(task):
            self._enter(line, entered, config, "connection", by)
            if examined := line.get("examined"):
                findings = tuple(Finding(**one) for one in examined["findings"])
                found = Examination(findings, examined["usable"], len(entered), _sum(entered))
        assert found is not None  # `_lines` raises where a process ends before it is done
        return found

    def _trial(self, config: RunConfig, key: str | None, ask: Ask, by: str) -> Trial:
        entered: dict[str, Probe] = {}
        task = {"do": "trial", "config": config.model_dump(), "key": key}
        for line in self._lines({**task, "stage": ask.call.stage, "request": ask.request.as_dict()}):
            self._enter(line, entered, config, "trial", by)
        probe = list(entered.values())[-1]
        read = _read(ask, probe, self._store.folder)
        return Trial(probe, read.items, dict(read.failed), read.surplus)

    def _enter(self, line: dict[str, Any], entered: dict[str, Probe], config: RunConfig, purpose: str, by: str) -> None:
        """Take a line about a request into the store: sent, or answered."""
        if sent := line.get("sent"):
            probe = Probe.model_validate({**sent, "purpose": purpose, "by": by, "error": UNANSWERED})
        elif answered := line.get("answered"):
            reply = Reply(**answered["reply"])
            prices = config.prices(answered["stage"])
            probe = entered[answered["probe_id"]].model_copy(
                update={
                    "prompt_tokens": reply.prompt_tokens,
                    "completion_tokens": reply.completion_tokens,
                    "usage_source": reply.usage_source,
                    "cost_usd": cost_usd(reply.prompt_tokens, reply.completion_tokens, prices),
                    "latency_s": reply.latency_s,
                    "finish_reason": reply.finish_reason,
                    "raw_reply": None if reply.error else reply.text,
                    "error": reply.error,
                }
            )
        else:
            return
        self._store.write(probes.record, probe)
        entered[probe.probe_id] = probe

    def _lines(self, task: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """What a process says that does this task; raises StudioError where it fails or ends too early."""
        with self._lock:
            if self._closed:
                raise StudioError("The program is closing.", "Start it again.")
            process = spawn("sedi_engine.probe", str(self._store.folder), log=paths.probe_log(self._store.folder))
            self._processes.add(process)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with contextlib.suppress(OSError):  # a process that is gone already is seen below
                process.stdin.write(json.dumps(task).encode() + b"\n")
                process.stdin.flush()
            for text in process.stdout:
                line = json.loads(text)
                if "failed" in line:
                    raise GeneratorError(line["failed"], line["next_step"])
                yield line
                if "done" in line:
                    return
            raise StudioError(
                f"The process that sent it ended unexpectedly (exit code {process.wait()}).",
                f"What happened is in {paths.probe_log(self._store.folder)}; try again.",
            )
        finally:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()
            process.wait()
            with self._lock:
                self._processes.discard(process)


def _read(ask: Ask, probe: Probe, folder: Path) -> ParsedReply:
    """The tasks in a trial's reply, read as a run would read them; a draft's template is what its prompt says."""
    if probe.raw_reply is None:
        return ParsedReply((), {}, 0)
    call = ask.call.model_copy(update={"raw_reply": probe.raw_reply, "finish_reason": probe.finish_reason})
    templates = Templates(folder)
    if call.prompt_version not in templates.names():
        templates = templates.draft(call.prompt_version, said(ask.request))
    if call.stage != "output":
        return read_tasks(call, templates)
    output = read_output(call, templates)
    return ParsedReply((Item("", output.input, output.output, output.truncated),), {}, 0)


def _sum(entered: dict[str, Probe]) -> float | None:
    """What these took together; None where a price or a count is unknown."""
    costs = [None if probe.usage_source == "unknown" else probe.cost_usd for probe in entered.values()]
    return None if None in costs else sum(cost for cost in costs if cost)


async def work(folder: Path, task: dict[str, Any], out: IO[str]) -> None:
    """Do one task in this process, and say on `out` what is sent, what comes back and what was found."""
    from sedi_engine.tools import Tools

    def say(line: dict[str, Any]) -> None:
        out.write(json.dumps(line) + "\n")
        out.flush()

    config = RunConfig.model_validate(task["config"])
    async with Tools(folder) as tools:
        tools.key = task["key"]
        client: Any = await tools.client("", config)

        async def send(request: Request, stage: CallStage) -> Reply:
            ident = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
            probe = {
                "probe_id": ident,
                "at": datetime.now(UTC).replace(tzinfo=None).isoformat(),
                "model": request.model or config.generator.model,
                "endpoint": client.endpoint,
                "prompt_version": request.prompt_version,
                "request": json.dumps(request.as_dict()),
                "usage_source": "unknown",
            }
            say({"sent": probe})
            reply = await client.send(request, ident)
            say({"answered": {"probe_id": ident, "stage": stage, "reply": asdict(reply)}})
            return reply

        if task["do"] == "examine":
            say({"examined": asdict(await examine(client, send, config))})
        else:
            request = Request.from_dict(task["request"])
            reply = await send(request, task["stage"])
            if reply.error_kind == "schema":  # the client leaves it out from now on, as it does in a run
                await send(request, task["stage"])
        say({"done": True})


def main(arguments: list[str]) -> int:
    """Take one task from stdin and do it; when stdin ends, the owner is gone and so is this process."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_owner, daemon=True).start()
    try:
        asyncio.run(work(Path(arguments[0]), task, out))
    except StudioError as error:
        out.write(json.dumps({"failed": error.message, "next_step": error.next_step}) + "\n")
        out.flush()
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def _end_with_owner() -> None:
    sys.stdin.read()
    os._exit(3)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # native threads of the model server must not hold up the end

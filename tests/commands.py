"""The command line as a person runs it: real processes on a real store, watched through the owner's door."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from sedi_engine.owner import Remote
from sedi_engine.seeds import library_seeds

ROOT = Path(__file__).parents[1]
DEADLINE_S = 600.0


def sedi(*arguments: object, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its exit code must be the one expected, unless that is None."""
    done = subprocess.run(
        [sys.executable, "-m", "sedi_engine", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert expect is None or done.returncode == expect, done.stderr + done.stdout
    assert "Traceback" not in done.stderr, done.stderr
    return done


def last_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The last line of stdout; every line there is one JSON value."""
    return [json.loads(line) for line in done.stdout.splitlines()][-1]


class Running:
    """A command that is still at work."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sedi_engine", *map(str, arguments), "--store", str(folder)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def watch(self, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
        """Wait until the newest run looks like that; its summary, or None when the command ended before."""
        remote = None

        def look() -> dict[str, Any] | None:
            nonlocal remote
            remote = remote or Remote.find(self.folder)
            try:
                found = remote("runs") if remote else []
            except OSError:
                return None
            return found[0] if found and enough(found[0]) else None

        return wait_until(look, give_up=lambda: self.process.poll() is not None)

    def worker(self) -> psutil.Process | None:
        """The worker process, if there is one; one that is ending just now is none."""
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(self.process.pid).children()
            return next((child for child in children if "sedi_engine.worker" in child.cmdline()), None)
        return None

    def kill_all(self) -> None:
        """Kill the owner with no word; wait until its worker is gone too."""
        worker = self.worker()
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()
        if worker:
            worker.wait(DEADLINE_S)

    def kill_worker(self) -> int:
        """Kill the worker alone; the command's exit code."""
        if worker := self.worker():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
        self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode


def wait_until(look: Callable[[], Any], give_up: Callable[[], bool] = lambda: False) -> Any:
    """What `look` finds, as soon as it finds something; None when `give_up` says so; fails at the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if found := look():
            return found
        if give_up():
            return None
        time.sleep(0.05)
    raise AssertionError(f"nothing after {DEADLINE_S} s")


def record_stream(path: Path, count: int, seed: int = 0) -> Path:
    """A stream of recombined tasks with near-copies, empties and echoes among them."""
    rng = random.Random(seed)
    words = [task.instruction.split() for task in library_seeds()]
    lines: list[dict[str, str]] = []
    while len(lines) < count:
        first, second = rng.sample(words, 2)
        text = " ".join(first[: len(first) // 2 + 1] + second[len(second) // 2 :])
        task = {"instruction": text, "input": "", "output": " ".join(rng.choice(words))}
        if lines and rng.random() < 0.2:
            task["instruction"] = f"{lines[-1]['instruction']} now"
        if rng.random() < 0.05:
            task["output"] = rng.choice(["", task["instruction"]])
        lines.append(task)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path

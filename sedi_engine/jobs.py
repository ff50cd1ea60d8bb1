"""The manager: starts, resumes, pauses and cancels runs, one at a time, in worker processes.

It lives in the process that owns the store, be it the dashboard's server or a command. One long-lived thread starts the
workers, hands each iteration its snapshot and takes its events into the store.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sedi_engine import keys, paths
from sedi_engine.config import RunConfig
from sedi_engine.costs import priced
from sedi_engine.errors import ConfigError, JobError, NotFoundError, StudioError
from sedi_engine.generator import journal
from sedi_engine.preflight import check_ready, keep_stream
from sedi_engine.process import WorkerProcess
from sedi_engine.seeds import draw_start, library_seeds
from store import aims, calls, decisions, imports, recordings, runs, seeds, snapshot, views, writer
from store.database import Cursor, Store
from store.events import Event, Failed, Stopped, WindowFinished
from store.records import RunStatus

CANCEL_GRACE_S = 60.0
IDLE_S = 2.0
AT_A_WINDOWS_END = ("completed", "waiting_for_review")


class Manager:
    """Owns the runs of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._queue: deque[str] = deque()
        self._wake = threading.Condition()
        self._worker: WorkerProcess | None = None
        self._current: str | None = None
        self._stop_asked: dict[str, RunStatus] = {}
        self._keys: dict[str, str | None] = {}
        self._unstored: dict[str, tuple[str, str]] = {}
        self._closing = False
        for run_id in store.write(runs.interrupt_alive):
            self._take_journal(run_id)
        store.write(seeds.add, library_seeds(), True)
        self._thread = threading.Thread(target=self._work, name="runs", daemon=True)
        self._thread.start()

    def start(self, config: RunConfig, key: str | None = None) -> str:
        """Queue a new run and return its id; raises InputError before anything is stored.

        `key` is the endpoint's: it is held here while this process lives, and goes nowhere but to the worker.
        """
        config = priced(config, self.store.folder)
        check_ready(config, key, self.store.folder)
        self._check_heldout(config.train.heldout)
        seed_ids = draw_start(self.store.read(seeds.library), config)
        run_id = paths.new_run_id()
        keep_stream(config, paths.stream(self.store.folder, run_id))
        self.store.write(_create, run_id, config, seed_ids)
        self._enqueue(run_id, key)
        return run_id

    def _check_heldout(self, heldout: str) -> None:
        if heldout != snapshot.BUILT_IN and not self.store.read(imports.tasks, heldout, 1):
            raise ConfigError(
                f"train.heldout is {heldout!r}, which is no import of held-out tasks here.",
                "Import a file as heldout and name its id, or set train.heldout to built_in.",
            )

    def resume(
        self,
        run_id: str,
        more_iterations: int = 0,
        settings: dict[str, Any] | None = None,
        key: str | None = None,
    ) -> None:
        """Go on with a run that has stopped; a completed one needs more iterations, else nothing changes."""
        run = self.get(run_id)
        if run["status"] in runs.ALIVE:
            raise JobError(f"Run {run_id} is {run['status']} already.", "Wait for it, or pause it first.")
        if self.store.read(recordings.is_recording, run_id):
            raise JobError(f"Run {run_id} is a recording.", "Start a run with the same settings instead.")
        config = RunConfig.model_validate(run["config"])
        if more_iterations or settings:
            iterations = config.iterations + more_iterations
            config = config.with_settings({**(settings or {}), "iterations": iterations})
        elif run["status"] == "completed":
            return
        key = key or self._held_key(run_id, config)
        check_ready(config, key, self.store.folder)
        self.store.write(_requeue, run_id, config)
        self._enqueue(run_id, key)

    def generate_here(self, run_id: str, demo_ids: Sequence[str], by: str) -> None:
        """One iteration more whose prompts show these tasks alone; raises JobError unless a window has just ended."""
        run = self.get(run_id)
        if run["status"] not in AT_A_WINDOWS_END:
            raise JobError(
                f"Run {run_id} is {run['status']}; it can be aimed when it has completed, or waits for review.",
                "Let the window that is open come to its end first.",
            )
        if not demo_ids:
            raise JobError("There is nothing to show the generator.", "Choose a region that holds an active seed.")
        self.store.write(aims.take, run_id, run["iteration"] + 1, demo_ids, by)
        try:
            self.resume(run_id, more_iterations=1 if run["status"] == "completed" else 0)
        except BaseException:
            self.store.write(aims.drop, run_id, run["iteration"] + 1)
            raise

    def pause(self, run_id: str) -> None:
        """Stop a run so that it can go on: calls in flight come back first."""
        self._stop(run_id, "pause", "paused")

    def cancel(self, run_id: str) -> None:
        """Stop a run for good, keeping what it has; it can still be resumed."""
        self._stop(run_id, "cancel", "cancelled")

    def wait(self, run_id: str, timeout_s: float | None = None) -> bool:
        """Wait until a run is neither queued nor running; False when the time is over before."""
        with self._wake:
            return self._wake.wait_for(lambda: run_id not in self._queue and run_id != self._current, timeout_s)

    def close(self) -> None:
        """End the worker and let go; a running run becomes interrupted and can be resumed."""
        with self._wake:
            self._closing = True
            if self._worker:
                self._worker.kill()
            self._wake.notify_all()
        self._thread.join()
        with contextlib.suppress(StudioError):  # a full disk: the next start does it
            self.store.write(runs.interrupt_alive)

    def summary(self, run_id: str) -> dict[str, Any]:
        """A run's status and counts; a failure that the store could not take is told all the same."""
        self.get(run_id)
        found = self.store.read(views.consistent, runs.summary, run_id) or {}
        if run_id in self._unstored:
            message, next_step = self._unstored[run_id]
            found.update(status="failed", error=message, next_step=next_step)
        return found

    def get(self, run_id: str) -> dict[str, Any]:
        """A run's row; raises NotFoundError."""
        run = self.store.read(runs.get, run_id)
        if run is None:
            newest = self.store.read(runs.run_ids)[:1]
            raise NotFoundError(
                f"There is no run {run_id!r} in {self.store.folder}.",
                f"The newest is {newest[0]}." if newest else "There is no run yet; start one with `run`.",
            )
        return run

    def _held_key(self, run_id: str, config: RunConfig) -> str | None:
        """The key that a run was given in this process's life, or that the server may use for it of itself."""
        if held := self._keys.get(run_id):
            return held
        with contextlib.suppress(ConfigError):  # the list does not hold it: who resumes brings it, or is told
            return keys.servers(config.generator)
        return None

    def _enqueue(self, run_id: str, key: str | None) -> None:
        with self._wake:
            self._keys[run_id] = key
            self._stop_asked.pop(run_id, None)
            self._queue.append(run_id)
            self._wake.notify_all()

    def _stop(self, run_id: str, how: str, status: RunStatus) -> None:
        run = self.get(run_id)
        with self._wake:
            if run_id in self._queue:
                self._queue.remove(run_id)
                self.store.write(runs.set_status, run_id, status)
                self._wake.notify_all()
                return
            if run_id == self._current:
                self._stop_asked[run_id] = status
                if self._worker:
                    self._worker.stop(how)
                if how == "cancel":
                    self._kill_later(self._worker)
                return
        if how == "cancel" and run["status"] in ("paused", "interrupted", "waiting_for_review"):
            self.store.write(runs.set_status, run_id, status)
            return
        raise JobError(f"Run {run_id} is {run['status']}, not running.", "There is nothing to stop.")

    def _kill_later(self, worker: WorkerProcess | None) -> None:
        if worker:
            timer = threading.Timer(CANCEL_GRACE_S, worker.kill)
            timer.daemon = True
            timer.start()

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._queue or self._closing, IDLE_S)
                if self._closing:
                    return
                self._current = self._queue.popleft() if self._queue else None
            if self._current is None:
                self._tidy()
                continue
            try:
                self._run(self._current)
            except Exception as error:
                self._fail(self._current, error)
            with self._wake:
                self._current = None
                self._wake.notify_all()

    def _run(self, run_id: str) -> None:
        """One run from where it is to its next end."""
        self.store.write(runs.set_status, run_id, "running")
        self._take_journal(run_id)
        try:
            while (status := self._next_status(run_id)) is None:
                self._prepare(run_id)
                with self._wake:  # who asks to stop finds either no worker, and is heard above, or this one
                    if run_id in self._stop_asked:
                        continue
                    self._worker = self._worker or WorkerProcess(self.store.folder, run_id)
                self._worker.iterate(paths.snapshot(self.store.folder, run_id), self._keys.get(run_id))
                if not isinstance(last := self._follow(self._worker), WindowFinished):
                    self._gone(run_id, last)
                    return
            self.store.write(runs.set_status, run_id, status)
        finally:
            worker, self._worker = self._worker, None
            if worker:
                worker.kill()
                worker.wait()

    def _next_status(self, run_id: str) -> RunStatus | None:
        """The end that a run has come to, or None when there is another iteration to do."""
        if self._stop_asked.get(run_id):
            return self._stop_asked.pop(run_id)
        return self.store.write(_settle, run_id)

    def _prepare(self, run_id: str) -> None:
        """Write the snapshot that the next iteration starts from."""
        taken = self.store.write(snapshot.take, run_id)
        path = paths.snapshot(self.store.folder, run_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(taken.model_dump_json(), encoding="utf-8")
        fresh.replace(path)

    def _take_journal(self, run_id: str) -> None:
        """Whatever the journal has and the ledger has not: an owner that was killed may have missed it."""
        path = paths.journal(self.store.folder, run_id)
        if path.exists():
            self.store.write(calls.record, list(journal.calls(path)))

    def _follow(self, worker: WorkerProcess) -> Event | None:
        """Take in events until the iteration is over; the last one, or None if the worker just went."""
        for events in worker.events():
            self.store.write(writer.take_in, events, events_of=events[0].run_id)
            if isinstance(events[-1], WindowFinished | Stopped | Failed):
                return events[-1]
        return None

    def _gone(self, run_id: str, last: Event | None) -> None:
        """The worker stopped before its iteration was over; stopped and failed have set the status themselves."""
        asked = self._stop_asked.pop(run_id, None)
        if last is not None:
            return
        assert self._worker is not None
        self._take_journal(run_id)
        if asked:
            self.store.write(runs.set_status, run_id, asked)
            return
        code = self._worker.wait()
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        self.store.write(
            runs.set_status,
            run_id,
            "interrupted",
            f"The worker ended unexpectedly ({why}).",
            "Resume it: it goes on from its journal and its last checkpoint.",
        )

    def _fail(self, run_id: str, error: Exception) -> None:
        message, next_step = f"{type(error).__name__}: {error}", "Resume the run; what was stored is kept."
        if isinstance(error, StudioError):
            message, next_step = error.message, error.next_step or next_step
        elif isinstance(error, OSError):
            message = f"{error.filename or self.store.folder} cannot be read or written: {error.strerror or error}."
            next_step = "Free some disk space or mend the folder, then resume: what was stored is kept."
        self._store_failure(run_id, message, next_step)

    def _store_failure(self, run_id: str, message: str, next_step: str) -> None:
        """Enter a failure; a store that cannot be written, on a full disk, gets it once it can be."""
        try:
            self.store.write(runs.set_status, run_id, "failed", message, next_step)
            self._unstored.pop(run_id, None)
        except StudioError:
            self._unstored[run_id] = (message, next_step)

    def _tidy(self) -> None:
        """While nothing runs: enter what could not be stored, and let the rule decide overdue reviews."""
        for run_id, (message, next_step) in list(self._unstored.items()):
            self._store_failure(run_id, message, next_step)
        for run_id in self.store.read(_overdue):
            try:
                self.resume(run_id)
            except StudioError as error:
                self._fail(run_id, error)


def fingerprint(config: RunConfig) -> str:
    """Short hash of the settings that decide results; equal settings, equal fingerprint."""
    settings = json.dumps(config.model_dump(exclude={"preset"}), sort_keys=True)
    return hashlib.sha256(settings.encode()).hexdigest()[:16]


def _create(cursor: Cursor, run_id: str, config: RunConfig, seed_ids: list[str]) -> None:
    runs.create(cursor, run_id, config.model_dump(), fingerprint(config), config.random_seed)
    seeds.start_run(cursor, run_id, seed_ids)


def _requeue(cursor: Cursor, run_id: str, config: RunConfig) -> None:
    if run_id in _overdue(cursor):
        decisions.decide_open(cursor, run_id)
    runs.set_config(cursor, run_id, config.model_dump())
    runs.reopen(cursor, run_id)


def _settle(cursor: Cursor, run_id: str) -> RunStatus | None:
    """Apply what was decided; then the end that the run has come to, or None when another iteration is due."""
    run = runs.get(cursor, run_id)
    assert run is not None
    config = RunConfig.model_validate(run["config"])
    decisions.apply(cursor, run_id, run["iteration"] + 1, lineage=config.generator.kind != "stream")
    if run["outcome"] in ("capped", "exhausted", "stalled"):
        return run["outcome"]
    in_review = run["outcome"] and config.feedback.mode == "review"
    if in_review and decisions.open_count(cursor, run_id, run["iteration"]):
        return "waiting_for_review"
    enough = config.target_kept is not None and runs.kept_count(cursor, run_id) >= config.target_kept
    if enough or run["filled"] >= config.iterations:
        return "completed"
    return None


def _overdue(cursor: Cursor) -> list[str]:
    """Runs whose review has waited longer than feedback.review_timeout_minutes."""
    waiting = [run for run_id in runs.with_status(cursor, "waiting_for_review") if (run := runs.get(cursor, run_id))]
    limits = [(run, run["config"]["feedback"]["review_timeout_minutes"]) for run in waiting]
    return [run["run_id"] for run, limit in limits if limit and runs.now() - run["ended"] > timedelta(minutes=limit)]

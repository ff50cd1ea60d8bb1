"""The file: one owner, told in words who it is; what is acknowledged outlives any end; a failure changes nothing."""

import hashlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from store import database, runs
from store.connection import DATABASE_NAME
from store.database import Cursor, Store
from store.errors import StoreError, StoreLockedError, StoreNewerError
from store.migrations import MIGRATIONS

HOLD = """
import sys
from pathlib import Path
from store.database import Store
store = Store(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""
WRITE = """
import sys
from pathlib import Path
from store import runs, seeds
from store.database import Store
from tests.story import Story, seed
store = Store(Path(sys.argv[1]))
number = store.read(lambda cursor: cursor.execute("SELECT count(*) FROM run").fetchone()[0])
while True:
    def both(cursor):
        runs.create(cursor, f"r{number}", {}, "x", 0)
        seeds.start_run(cursor, f"r{number}", ["a", "b"])
    store.write(both)
    print(number, flush=True)
    number += 1
"""
ROOT = Path(database.__file__).parents[1]


@contextmanager
def process(code: str, folder: Path) -> Iterator[subprocess.Popen]:
    """A Python process of its own that works on a folder; killed at the end."""
    started = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with started:
        try:
            yield started
        finally:
            started.kill()


def count_runs(cursor: Cursor) -> int:
    return cursor.execute("SELECT count(*) FROM run").fetchone()[0]


def create(cursor: Cursor, run_id: str) -> str:
    runs.create(cursor, run_id, {}, "x", 0)
    return run_id


def test_a_second_process_is_told_who_holds_the_store(folder: Path):
    with process(HOLD, folder) as holder:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreLockedError, match=f"process {holder.pid}") as caught:
            Store(folder)
        assert caught.value.pid == holder.pid
        assert str(holder.pid) in caught.value.next_step
        assert "Traceback" not in str(caught.value)
    Store(folder).close()


def test_a_killed_writer_loses_nothing_that_it_acknowledged(folder: Path):
    acknowledged: list[str] = []
    for wanted in (1, 7, 40):
        with process(WRITE, folder) as writer:
            acknowledged += [writer.stdout.readline().strip() for _ in range(wanted)]
            writer.send_signal(signal.SIGKILL)
            acknowledged += writer.stdout.read().split()
        store = Store(folder)
        try:
            with store.cursor() as cursor:
                halves = "SELECT r.run_id, count(s.seed_id) FROM run r LEFT JOIN run_seed s USING (run_id) GROUP BY ALL"
                held = dict(cursor.execute(halves).fetchall())
                orphans = cursor.execute("SELECT count(*) FROM run_seed WHERE run_id NOT IN (FROM run SELECT run_id)")
                assert orphans.fetchone() == (0,)
        finally:
            store.close()
        assert {f"r{number}" for number in acknowledged} <= set(held)
        assert set(held.values()) == {2}, "no transaction is there by half"
    assert len(set(acknowledged)) == len(acknowledged) >= 48


def test_a_newer_store_is_refused_and_unchanged(folder: Path):
    store = Store(folder)
    store.write(lambda cursor: cursor.execute("INSERT INTO schema_version VALUES (99, 'm099_later', now()::TIMESTAMP)"))
    store.close()
    before = contents(folder)
    with pytest.raises(StoreNewerError, match=f"schema 99.*up to {len(MIGRATIONS)}") as caught:
        Store(folder)
    assert "nothing was changed" in caught.value.next_step
    assert contents(folder) == before


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_what_was_written_is_there_when_it_is_opened_again(folder: Path):
    for number in range(3):
        store = Store(folder)
        assert store.read(count_runs) == number
        assert store.write(create, f"r{number}") == f"r{number}"
        store.close()


def test_a_folder_that_cannot_be_one_is_told_in_words(tmp_path: Path):
    (tmp_path / "file").write_text("here")
    (tmp_path / "taken" / DATABASE_NAME).mkdir(parents=True)
    (tmp_path / "garbage").mkdir()
    (tmp_path / "garbage" / DATABASE_NAME).write_bytes(b"no database" * 1000)
    for name in ("file", "file/below", "taken", "garbage"):
        with pytest.raises(StoreError, match=name) as caught:
            Store(tmp_path / name)
        assert caught.value.next_step
        assert "\n" not in str(caught.value)
    assert (tmp_path / "garbage" / DATABASE_NAME).read_bytes() == b"no database" * 1000


def test_a_folder_that_cannot_be_made_is_told_in_words(folder: Path):
    (folder / "file").write_text("")
    with pytest.raises(StoreError, match=str(folder)) as caught:
        Store(folder / "file" / "data")
    assert "writable" in caught.value.next_step


def test_a_write_that_fails_is_undone_and_the_next_goes_through(store: Store):
    def fail(cursor: Cursor) -> None:
        create(cursor, "half")
        raise ValueError("in the middle")

    futures = [store.submit(create, "before"), store.submit(fail), store.submit(create, "after")]
    assert isinstance(futures[1].exception(), ValueError)
    assert [futures[0].result(), futures[2].result()] == ["before", "after"]
    assert set(store.read(runs.run_ids)) == {"before", "after"}


def test_a_full_disk_is_told_in_words_and_what_was_stored_is_kept(folder: Path):
    store = Store(folder)
    store.write(create, "kept")
    largest = max(path.stat().st_size for path in folder.iterdir())
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 4096, limits[1]))
    try:
        for _ in range(2):
            with pytest.raises(StoreError, match="cannot be written") as caught:
                store.write(runs.create, "large", {"text": "x" * 4_000_000}, "x", 0)
            assert "disk space" in caught.value.next_step
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    store.write(create, "later")
    store.close()
    again = Store(folder)
    assert set(again.read(runs.run_ids)) == {"kept", "later"}
    again.close()


def test_a_closed_store_takes_no_more(folder: Path):
    store = Store(folder)
    pending = [store.submit(create, f"r{number}") for number in range(20)]
    store.close()
    store.close()
    assert [future.result(timeout=0) for future in pending] == [f"r{number}" for number in range(20)]
    with pytest.raises(StoreError, match="closed"):
        store.submit(create, "late")


def test_no_query_reaches_another_file(store: Store, tmp_path: Path):
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b")
    with store.cursor() as cursor, pytest.raises(Exception, match="(?i)disabled|permission"):
        cursor.execute(f"SELECT * FROM read_csv('{secret}')")

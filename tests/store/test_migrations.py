"""Migrations only go forward, and what an older program stored is still there after them."""

from __future__ import annotations

from pathlib import Path

import pytest

from store import connection, migrations
from store.connection import fetch
from store.database import Store

RUN = (
    "INSERT INTO run (run_id, config, fingerprint, random_seed, status, created, started) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
CALL = (
    "INSERT INTO call VALUES ('r1', 0, 'instruction', -1, 0, 1, 'm', 'e', 'v1', ['s1'], [], 8, 30, 10, 'server', 0.25, "
    "1.5, 'stop', 'a reply', NULL)"
)


@pytest.fixture
def first_store(folder: Path) -> Path:
    """A store as the first schema left it, with a run and a paid call in it."""
    opened = connection.connect(folder)
    opened.execute("CREATE TABLE schema_version (version INTEGER PRIMARY KEY, name VARCHAR, applied TIMESTAMP)")
    migrations.m001_initial(opened)
    opened.execute("INSERT INTO schema_version VALUES (1, 'm001_initial', TIMESTAMP '2026-01-01')")
    times = ["2026-01-02 03:04:05", "2026-01-02 03:05:00"]
    opened.execute(RUN, ["r1", "{}", "print", 0, "completed", *times])
    opened.execute(CALL)
    opened.close()
    return folder


def test_a_paid_call_of_the_first_schema_is_in_the_ledger_of_the_newest(first_store: Path) -> None:
    store = Store(first_store)
    with store.cursor() as cursor:
        (call,) = fetch(cursor, "SELECT * FROM call")
        (paid,) = fetch(cursor, 'SELECT *, CAST("at" AS VARCHAR) AS said FROM ledger')
        versions = fetch(cursor, "SELECT version FROM schema_version ORDER BY version")
    store.close()
    assert (call["raw_reply"], call["demo_seed_ids"], call["sent_at"]) == ("a reply", ["s1"], None)
    assert (paid["run_id"], paid["purpose"], paid["cost_usd"]) == ("r1", "instruction", 0.25)
    assert paid["said"] == "2026-01-02 03:05:00"
    assert [row["version"] for row in versions] == list(range(1, len(migrations.MIGRATIONS) + 1))


def test_a_migration_that_fails_leaves_the_store_as_it_was(first_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(cursor) -> None:
        cursor.execute("CREATE TABLE half_made (x INTEGER)")
        raise RuntimeError("killed here")

    with monkeypatch.context() as broken:
        broken.setattr(migrations, "MIGRATIONS", (migrations.m001_initial, half))
        with pytest.raises(RuntimeError, match="killed here"):
            Store(first_store)
    store = Store(first_store)
    with store.cursor() as cursor:
        tables = {row["table_name"] for row in fetch(cursor, "SELECT table_name FROM duckdb_tables()")}
    store.close()
    assert "probe" in tables
    assert "half_made" not in tables

"""The store as the program holds it: readers take a cursor each, and one thread writes.

Every write is a function of a cursor, run in a transaction of its own by the writer thread; its future is done only
after the commit, so what is acknowledged is on disk.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from store.connection import connect
from store.errors import StoreError
from store.kept import Answers
from store.migrations import migrate

Result = TypeVar("Result")
Cursor = duckdb.DuckDBPyConnection


class Reader:
    """An open store that can be read, and nothing else."""

    def __init__(self, folder: Path, connection: Cursor, answers: Answers) -> None:
        self.folder = folder
        self._connection, self._answers = connection, answers

    @contextlib.contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """A cursor for reading: one a query, since a connection refuses two at once."""
        cursor = self._connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    def read(self, query: Callable[..., Result], *args: Any) -> Result:
        """The result of a reading function of a cursor; one marked in `store.kept` is asked only if need be."""

        def ask() -> Result:
            with self.cursor() as cursor:
                return query(cursor, *args)

        return self._answers.ask(query, args, ask)


class Store(Reader):
    """An open store; raises StoreLockedError, StoreNewerError or StoreError in words when it cannot be one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, connect(folder), Answers())
        try:
            migrate(self._connection)
        except BaseException:
            self._connection.close()
            raise
        self._work: queue.Queue[tuple[Callable[..., Any], tuple[Any, ...], str | None, Future[Any]] | None]
        self._work = queue.Queue()
        self._thread = threading.Thread(target=self._write_all, name="store-writer", daemon=True)
        self._closed = False
        self._thread.start()

    def reader(self) -> Reader:
        """The same store for those who only read it."""
        return Reader(self.folder, self._connection, self._answers)

    def submit(self, change: Callable[..., Result], *args: Any, events_of: str | None = None) -> Future[Result]:
        """Queue a writing function of a cursor; the future is done after the commit.

        `events_of` names the run whose events are written, and nothing else is.
        """
        if self._closed:
            raise StoreError("The store is closed.", "Start the program again.")
        future: Future[Result] = Future()
        self._work.put((change, args, events_of, future))
        return future

    def write(self, change: Callable[..., Result], *args: Any, events_of: str | None = None) -> Result:
        """Run a writing function of a cursor and wait for its commit; `events_of` as in `submit`."""
        return self.submit(change, *args, events_of=events_of).result()

    def close(self) -> None:
        """Finish what is queued and let go of the file."""
        if self._closed:
            return
        self._closed = True
        self._work.put(None)
        self._thread.join()
        self._connection.close()

    def _write_all(self) -> None:
        cursor = self._connection.cursor()
        while (item := self._work.get()) is not None:
            change, args, events_of, future = item
            try:
                cursor.execute("BEGIN")
                result = change(cursor, *args)
                cursor.execute("COMMIT")
                self._answers.written(change, events_of)
            except BaseException as error:
                _roll_back(cursor)
                future.set_exception(_in_words(error))
            else:
                future.set_result(result)
        cursor.close()


def _roll_back(cursor: Cursor) -> None:
    with contextlib.suppress(duckdb.Error):  # the failure itself may have ended the transaction
        cursor.execute("ROLLBACK")


def _in_words(error: BaseException) -> BaseException:
    unwritten = isinstance(error, duckdb.TransactionException) and "Could not write" in str(error)
    if unwritten or isinstance(error, duckdb.IOException):
        return StoreError(
            f"The store cannot be written: {str(error).splitlines()[0]}",
            "Free some disk space or make the folder writable, then resume: what was stored is kept.",
        )
    return error

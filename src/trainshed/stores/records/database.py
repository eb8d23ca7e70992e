"""One SQLite file: one writer, many requests per disk flush, readers that never wait.

Writes are grouped: work that arrives while a flush runs shares the next one, and each caller is
answered only after its own change is on disk. Reads see every change that was answered.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from importlib import resources
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

from trainshed.domain.errors import StoreError

T = TypeVar("T")
Row = tuple[Any, ...]

_BATCH: Final = 512
"""Most requests that share one transaction; bounds how long the first of them waits."""
_BUSY_SECONDS: Final = 30.0
"""How long to wait for another process's write lock before it is an error."""


class Database:
    """The records file. Made and used on one event loop's thread; ``write`` hands over."""

    def __init__(self, path: Path) -> None:
        """Open ``path``, creating or migrating it as needed.

        Raises:
            StoreError: the file was written by a newer version, or is no database.
        """
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            try:
                self._writer = undo.enter_context(closing(self._open()))
                _configure(self._writer)
                self._migrate()
                self._reader = undo.enter_context(closing(self._open()))
                _configure(self._reader)
                self._reader.execute("PRAGMA query_only = ON")
            except sqlite3.Error as error:
                raise StoreError(f"{path}: cannot be used as the records file: {error}") from error
            undo.pop_all()
        self._closed = False
        self._queue: SimpleQueue[_Write[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_loop, name="records-writer", daemon=True)
        self._thread.start()

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of one query.

        Raises:
            StoreError: the file could not be read.
        """
        try:
            return self._reader.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: cannot be read: {error}") from error

    async def write(
        self,
        work: Callable[[sqlite3.Connection], T],
        after: Callable[[T], None] | None = None,
    ) -> T:
        """Run ``work`` in a transaction and return its result once that is on disk.

        ``work`` runs on the writer's thread: it may only use the connection and what it closes
        over, must be quick, and must not commit. If it raises, its changes alone are undone.
        ``after`` gets the result on the event loop once it is on disk, also when the caller was
        cancelled meanwhile; it must not raise.

        Raises:
            StoreError: nothing was written; or the database is closed.
        """
        if self._closed:
            raise StoreError(f"{self._path}: nothing was written: the records file was closed")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Write(work, loop, done, after))
        return await done

    def close(self) -> None:
        """Finish the writes already asked for, then close. Closing twice is no error."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join()
            self._reader.close()
            self._writer.close()

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )

    def _migrate(self) -> None:
        steps = sorted(
            entry.name
            for entry in (resources.files(__package__) / "migrations").iterdir()
            if entry.name.endswith(".sql")
        )
        self._writer.execute("BEGIN IMMEDIATE")
        (version,) = self._writer.execute("PRAGMA user_version").fetchone()
        if version > len(steps):
            self._writer.execute("ROLLBACK")
            raise StoreError(
                f"{self._path}: its schema is version {version}, this program knows {len(steps)}; "
                "use the newer trainshed that wrote it, or another data directory"
            )
        for step in steps[version:]:
            text = (resources.files(__package__) / "migrations" / step).read_text("utf-8")
            for statement in _statements(text):
                self._writer.execute(statement)
        self._writer.execute(f"PRAGMA user_version = {len(steps)}")
        self._writer.execute("COMMIT")

    def _write_loop(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            last = False
            while len(batch) < _BATCH and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    last = True
                    break
                batch.append(following)
            self._commit(batch)
            if last:
                return

    def _commit(self, batch: "list[_Write[Any]]") -> None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for write in batch:
                write.run(self._writer)
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            for write in batch:
                write.fail(error)
        loops = {write.loop for write in batch}
        for loop in loops:
            # A loop that closed meanwhile has nobody left who waits; the writes stand.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_answer, [w for w in batch if w.loop is loop])


class _Write(Generic[T]):
    """One caller's work, and its answer."""

    __slots__ = ("after", "done", "error", "loop", "result", "work")

    def __init__(
        self,
        work: Callable[[sqlite3.Connection], T],
        loop: asyncio.AbstractEventLoop,
        done: "asyncio.Future[T]",
        after: Callable[[T], None] | None,
    ) -> None:
        self.work = work
        self.after = after
        self.loop = loop
        self.done = done
        self.result: T
        self.error: BaseException | None = None

    def run(self, connection: sqlite3.Connection) -> None:
        connection.execute("SAVEPOINT work")
        try:
            self.result = self.work(connection)
        except Exception as error:
            self.fail(error)
            if isinstance(error, sqlite3.Error) and not connection.in_transaction:
                raise  # on a full disk SQLite undoes everybody's work, and they must be told why
            connection.execute("ROLLBACK TO work")
        connection.execute("RELEASE work")

    def fail(self, error: Exception) -> None:
        self.error = error
        if isinstance(error, sqlite3.Error):
            self.error = StoreError(f"nothing was written to the records file: {error}")
            self.error.__cause__ = error

    def answer(self) -> None:
        if self.error is None and self.after is not None:
            self.after(self.result)
        if self.done.done():  # cancelled
            return
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(self.result)


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL: a commit is on disk when it returns, also when the power fails.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _answer(batch: list[_Write[Any]]) -> None:
    for write in batch:
        write.answer()


def _statements(script: str) -> list[str]:
    """Return a migration's statements; ``executescript`` would commit between them."""
    found, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    if pending.strip():
        found.append(pending)  # a comment, or a statement without its semicolon: SQLite decides
    return found

"""One SQLite file: one writer, many requests per disk flush, readers that never wait.

Writes are grouped: work that arrives while a flush runs shares the next one, and each caller is
answered only after its own change is on disk. Reads see every change that was answered.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, TypeVar

from trainshed.domain.errors import StoreError
from trainshed.stores.records.base import Connection, DatabaseFull, Row
from trainshed.stores.records.migrations import Step, shipped, steps
from trainshed.stores.records.writer import Write, Writer

T = TypeVar("T")

_BUSY_SECONDS: Final = 30.0
"""How long to wait for another process's write lock before it is an error."""


class SqliteDatabase:
    """``Database`` in the records file. Made and used on one event loop's thread."""

    clock = "((julianday('now') - 2440587.5) * 86400.0)"

    def __init__(self, path: Path, migrations: Traversable | None = None) -> None:
        """Open ``path``, creating or migrating it as needed.

        Args:
            path: the file.
            migrations: a folder of steps in place of the program's own.

        Raises:
            StoreError: the file was written by a newer version, or is no database.
        """
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        known = steps(migrations or shipped("sqlite"))
        self.schema = known[-1].number
        with ExitStack() as undo:
            try:
                self._connection = undo.enter_context(closing(self._open()))
                _configure(self._connection)
                self._migrate(known)
                self._reader = undo.enter_context(closing(self._open()))
                _configure(self._reader)
                self._reader.execute("PRAGMA query_only = ON")
            except sqlite3.Error as error:
                raise StoreError(f"{path}: cannot be used as the records file: {error}") from error
            undo.pop_all()
        self._writer = Writer(f"the records file {path}", self._commit)
        self.writes = self._writer.tally

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of one query.

        Raises:
            StoreError: the file could not be read.
        """
        try:
            return self._reader.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: cannot be read: {error}") from error

    async def write(
        self, work: Callable[[Connection], T], after: Callable[[T], None] | None = None
    ) -> T:
        """Run ``work`` in a transaction and return its result once that is on disk.

        See ``Database.write``; what is raised here always means that nothing was written.
        """
        return await self._writer.write(work, after)

    async def upgrade(self) -> None:
        """Do nothing: a file has one server, so opening it did all."""

    def check_schema(self, connection: Connection) -> None:
        """Do nothing: whoever opened the file knows its schema."""

    def close(self) -> None:
        """Finish the writes already asked for, then close. Closing twice is no error."""
        if self._writer.close():
            self._reader.close()
            self._connection.close()

    def _open(self) -> "_Transaction":
        return sqlite3.connect(
            self._path,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            factory=_Transaction,
        )

    def _migrate(self, known: Sequence[Step]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > self.schema:
            self._connection.execute("ROLLBACK")
            raise StoreError(
                f"{self._path}: its schema is version {version}, this program knows {self.schema}; "
                "use the newer trainshed that wrote it, or another data directory"
            )
        for step in known:
            if step.number > version:
                for statement in _statements(step.script):
                    self._connection.execute(statement)
        self._connection.execute(f"PRAGMA user_version = {self.schema}")
        self._connection.execute("COMMIT")

    def _commit(self, batch: Sequence[Write[Any]]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for write in batch:
                self._run(write)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for write in batch:
                write.error = _unwritten(error)

    def _run(self, write: Write[Any]) -> None:
        self._connection.execute("SAVEPOINT work")
        try:
            write.run(self._connection, sqlite3.Error)
        except sqlite3.Error as error:
            if not self._connection.in_transaction:
                raise  # on a full disk SQLite undoes everybody's work, and they must be told why
            write.error = _unwritten(error)
        if write.error is not None:
            self._connection.execute("ROLLBACK TO work")
        self._connection.execute("RELEASE work")


class _Transaction(sqlite3.Connection):
    """A connection that has nobody else to tell of changes."""

    def tell(self, arn: str) -> None:
        """Do nothing: the file has one server."""


def _unwritten(error: sqlite3.Error) -> StoreError:
    full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    found = (DatabaseFull if full else StoreError)(
        f"nothing was written to the records file: {error}"
    )
    found.__cause__ = error
    return found


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL: a commit is on disk when it returns, also when the power fails.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


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

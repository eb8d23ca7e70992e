"""One PostgreSQL database that several servers share: writers that take turns, readers that do not.

Each process has one writer, which shares a commit among all changes that wait, as on SQLite. A
lock of the database makes the writers of all processes take turns, so every change sees what those
before it wrote, and none is ever undone because of another. Decision 0036 says what that costs.
"""

import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.resources.abc import Traversable
from typing import Any, Final, TypeVar

import psycopg
from psycopg import errors

from trainshed.domain.errors import StoreError
from trainshed.stores.records.base import Connection, DatabaseFull, MaybeWritten, Row
from trainshed.stores.records.migrations import Step, shipped, steps
from trainshed.stores.records.sessions import Place, Readers, Transaction
from trainshed.stores.records.writer import Write, Writer

T = TypeVar("T")

_PAUSES: Final = (0.0, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 4.0)
"""Seconds before each question whether a lost commit stands: a database that starts again after a
crash mostly answers within ten."""
_ONCE_MORE: Final = (errors.SerializationFailure, errors.DeadlockDetected)
_STEPS: Final = """
    CREATE TABLE IF NOT EXISTS schema_steps (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        -- 1: servers that do not know it can't go on
        removes INTEGER NOT NULL
    )
"""
_FORGET_WRITERS: Final = """
    DELETE FROM writers WHERE at < extract(epoch FROM clock_timestamp()) - 86400
"""
"""Those that were killed; whoever still asks after what it wrote does so within seconds."""
_NOTE_STEP: Final = "INSERT INTO schema_steps (number, name, removes) VALUES (%s, %s, %s)"


class PostgresDatabase:
    """``Database`` on a PostgreSQL server. Used on one event loop, but for the work it is given."""

    clock = "extract(epoch FROM clock_timestamp())::double precision"

    def __init__(self, url: str, migrations: Traversable | None = None) -> None:
        """Connect, and bring the schema to where this program needs it.

        Args:
            url: ``postgresql://user:password@host:port/database``, or any other connection string
                of libpq. Tables are made in the first schema of its search path.
            migrations: a folder of steps in place of the program's own.

        Raises:
            StoreError: it can't be reached or used; the message says which, why and what to do.
        """
        self._steps = steps(migrations or shipped("postgres"))
        self.schema = self._steps[-1].number
        self._place = Place(url)
        self._id = secrets.token_hex(8)
        self._batch = 0
        self._closing = threading.Event()
        self._connection = self._place.connect()
        try:
            self._pending = self._migrate()
        except psycopg.Error as error:
            self._connection.close()
            raise StoreError(
                f"{self._place}: its tables cannot be made: {_said(error)}; give the user of the "
                "url a database of its own (CREATE DATABASE trainshed OWNER …)"
            ) from error
        except StoreError:
            self._connection.close()
            raise
        self._pid = self._connection.info.backend_pid
        self._readers = Readers(self._place)
        self._writer = Writer(f"the database {self._place}", self._commit)
        self.writes = self._writer.tally

    @property
    def place(self) -> Place:
        """Where it is."""
        return self._place

    @property
    def pid(self) -> int:
        """The database's number of the session that writes for this process."""
        return self._pid

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of one query; asked once more where the connection was lost.

        Raises:
            StoreError: the database could not be read.
        """
        return await self._readers.read(sql, parameters)

    async def write(
        self, work: Callable[[Connection], T], after: Callable[[T], None] | None = None
    ) -> T:
        """Run ``work`` in a transaction and return its result once that is on disk.

        See ``Database.write``. What happens when the database is lost: before the commit was sent,
        all is done once more on a new connection. After it, the new connection is asked whether it
        stands, and it is answered, or done once more, as if nothing had happened. Only where
        nobody answers for ten seconds is it left open.

        Raises:
            MaybeWritten: the database went away during the commit and did not come back.
            StoreError: nothing was written.
        """
        return await self._writer.write(work, after)

    def check_schema(self, connection: Connection) -> None:
        """See that the schema is not too new for this program.

        Raises:
            StoreError: what this program needs was removed.
        """
        row = connection.execute(
            "SELECT max(number) FROM schema_steps WHERE removes = 1 AND number > ?", (self.schema,)
        ).fetchone()
        if row is not None and row[0] is not None:
            raise self._too_new(row[0])

    async def upgrade(self) -> None:
        """Remove what only servers of an older schema needed, once none of them lives."""
        if self._pending:
            self._pending = await self._writer.write(lambda c: _remove(c, self._pending))

    def close(self) -> None:
        """Finish the writes already asked for, then close. Closing twice is no error."""
        self._closing.set()
        if self._writer.close():
            with suppress(psycopg.Error):
                self._connection.execute("DELETE FROM writers WHERE id = %s", (self._id,))
            self._connection.close()
            self._readers.close()

    def _too_new(self, number: int) -> StoreError:
        return StoreError(
            f"{self._place}: its schema is version {number}, this program knows {self.schema}; "
            "use the newer trainshed that made it so, or another database"
        )

    def _migrate(self) -> Sequence[Step]:
        """Take every step that adds; return those that wait for older servers to end."""
        (encoding,) = self._connection.execute("SHOW server_encoding").fetchone() or ("",)
        if encoding != "UTF8":
            raise StoreError(
                f"{self._place}: its encoding is {encoding}; make one with ENCODING 'UTF8'"
            )
        with self._connection.transaction():
            self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (self._place.lock,))
            self._connection.execute(_STEPS)
            self._connection.execute("SET LOCAL statement_timeout = 0")
            found = self._connection.execute("SELECT number, removes FROM schema_steps").fetchall()
            removed = [number for number, removes in found if removes and number > self.schema]
            if removed:
                raise self._too_new(max(removed))
            applied = {number for number, _ in found}
            waiting = [step for step in self._steps if step.number not in applied]
            # A new database has no older servers; one in use is asked for them in ``upgrade``.
            taken = [step for step in waiting if not (step.removes and found)]
            for step in taken:
                self._connection.execute(step.script.encode())
                values = (step.number, step.name, int(step.removes))
                self._connection.execute(_NOTE_STEP, values)
            self._connection.execute(_FORGET_WRITERS)
        return [step for step in waiting if step not in taken]

    def _commit(self, batch: Sequence[Write[Any]]) -> None:
        error: Exception = StoreError("nothing was tried")
        for _ in range(2):
            try:
                self._transact(batch)
            except _CommitLost as lost:
                stands = self._stands()
                if stands:
                    return
                if stands is None:
                    _fail(batch, self._lost(lost))
                    return
                error = self._unwritten(lost)
            except psycopg.Error as trouble:
                error = self._unwritten(trouble)
                self._reset()
                if not (self._connection.closed or isinstance(trouble, _ONCE_MORE)):
                    break
            except StoreError as unreachable:
                error = unreachable
                break
            else:
                return
        _fail(batch, error)

    def _transact(self, batch: Sequence[Write[Any]]) -> None:
        """Do a batch.

        Raises:
            _CommitLost: nobody knows whether it stands.
            psycopg.Error: nothing of it stands.
            StoreError: the database can't be reached.
        """
        self._connect()
        self._batch += 1
        self._connection.execute(self._opening(), prepare=False)
        transaction = Transaction(self._connection)
        for write in batch:
            if write is not batch[0]:
                self._connection.execute(b"RELEASE work; SAVEPOINT work", prepare=False)
            self._run(write, transaction)
        transaction.tell_others(self._place.channel)
        try:
            done = self._connection.execute(b"COMMIT", prepare=False)
        except psycopg.Error as error:
            if self._connection.closed:
                raise _CommitLost(_said(error)) from error
            raise
        if done.statusmessage != "COMMIT":
            raise errors.InternalError_(f"the database answered {done.statusmessage} to COMMIT")

    def _opening(self) -> bytes:
        """Return what begins a batch: its turn, its number for ``_stands``, and its first work."""
        question = (
            f"BEGIN; SELECT pg_advisory_xact_lock({self._place.lock}); "  # noqa: S608 - all ours
            f"INSERT INTO writers (id, batch, at) VALUES ('{self._id}', {self._batch}, "
            f"{self.clock}) "
            "ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, at = excluded.at; "
            "SAVEPOINT work"
        )
        return question.encode()

    def _run(self, write: Write[Any], transaction: Transaction) -> None:
        told = len(transaction.told)
        try:
            write.run(transaction, psycopg.Error)
        except psycopg.Error as error:
            if self._connection.closed or isinstance(error, _ONCE_MORE):
                raise
            write.error = self._unwritten(error)
        if write.error is not None:
            del transaction.told[told:]
            self._connection.execute(b"ROLLBACK TO work", prepare=False)

    def _connect(self) -> None:
        if self._connection.closed:
            self._connection = self._place.connect()
            self._pid = self._connection.info.backend_pid

    def _reset(self) -> None:
        """End the transaction, if there is one; a connection that can't is closed."""
        if not self._connection.closed:
            try:
                self._connection.execute(b"ROLLBACK", prepare=False)
            except psycopg.Error:
                self._connection.close()

    def _stands(self) -> bool | None:
        """Tell whether the batch that was committed last stands; None when nobody answers.

        Its turn is waited for first: until then its session may still be at it.
        """
        for pause in _PAUSES:
            if self._closing.wait(pause) and pause:
                return None
            try:
                self._connect()
                with self._connection.transaction():
                    self._connection.execute(
                        "SELECT pg_advisory_xact_lock(%s)", (self._place.lock,)
                    )
                    row = self._connection.execute(
                        "SELECT batch FROM writers WHERE id = %s", (self._id,)
                    ).fetchone()
            except (psycopg.Error, StoreError):
                continue
            return row is not None and row[0] == self._batch
        return None

    def _unwritten(self, error: Exception) -> StoreError:
        kind = DatabaseFull if isinstance(error, errors.DiskFull) else StoreError
        found = kind(f"nothing was written to {self._place}: {_said(error)}")
        found.__cause__ = error
        return found

    def _lost(self, error: Exception) -> StoreError:
        return MaybeWritten(
            f"{self._place} went away during a commit and does not come back, so what was asked "
            f"for may have been written or not: {error}"
        )


class _CommitLost(Exception):
    """The connection broke between COMMIT and its answer."""


def _remove(connection: Connection, pending: Sequence[Step]) -> Sequence[Step]:
    """Take the steps that no living server minds, in order; return those that are left."""
    for done, step in enumerate(pending):
        if connection.execute(
            "SELECT 1 FROM schema_steps WHERE number = ?", (step.number,)
        ).fetchone():
            continue  # another server took it
        older = "SELECT 1 FROM servers WHERE schema < ? LIMIT 1"
        if connection.execute(older, (step.number,)).fetchone():
            return pending[done:]
        connection.execute(step.script)
        connection.execute(
            "INSERT INTO schema_steps (number, name, removes) VALUES (?, ?, 1)",
            (step.number, step.name),
        )
    return ()


def _fail(batch: Sequence[Write[Any]], error: Exception) -> None:
    for write in batch:
        write.error = error


def _said(error: Exception) -> str:
    """Return what the database said, in one line."""
    return " ".join(str(error).split()) or type(error).__name__

"""Sessions at a PostgreSQL server: how they are opened, and how our SQL is said there."""

import asyncio
import zlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import lru_cache
from typing import Any, Final

import psycopg
from psycopg import conninfo

from trainshed.domain.errors import StoreError
from trainshed.stores.records.base import EVERYTHING, Cursor, Row

_CONNECT: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    # A machine that vanished without a word is noticed within some ten seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    # Of several hosts, the one that takes writes; reads must see every write that was answered.
    "target_session_attrs": "read-write",
    "application_name": "trainshed",
    "client_encoding": "UTF8",
}
_WRITES: Final = b"""
    SET synchronous_commit = on;
    SET default_transaction_isolation = 'read committed';
    -- A server that hangs in its turn loses it, so that the others have theirs in time to beat.
    SET idle_in_transaction_session_timeout = '2s';
    SET lock_timeout = '20s';
    SET statement_timeout = '60s'
"""
_READS: Final = b"SET default_transaction_read_only = on; SET statement_timeout = '60s'"
_READERS: Final = 4
"""Reads at once, of one server; further ones wait for a moment."""
_LONGEST: Final = 7000
"""Bytes that a notification can bear are 7999."""


class Place:
    """A database, and the schema in it where our tables are."""

    def __init__(self, url: str) -> None:
        """Understand a connection string of libpq.

        Raises:
            StoreError: it is none.
        """
        try:
            named = conninfo.conninfo_to_dict(url)
            ours = {name: value for name, value in _CONNECT.items() if name not in named}
            self._conninfo = conninfo.make_conninfo(url, **ours)
        except psycopg.ProgrammingError as error:
            raise StoreError(
                f"the url of the records database can't be understood: {_line(error)}; write "
                "postgresql://user:password@host:5432/database"
            ) from error
        host, port = named.get("host") or "this machine", named.get("port") or 5432
        self._name = f"the PostgreSQL database {named.get('dbname') or ''!r} at {host}:{port}"
        self._schema = ""

    def __str__(self) -> str:
        """Return where it is, without its password."""
        return self._name

    @property
    def lock(self) -> int:
        """The number of the lock by which those who write take turns."""
        return zlib.crc32(f"trainshed {self._schema}".encode())

    @property
    def channel(self) -> str:
        """Where changes are told."""
        return f"trainshed_{self._schema}"[:60]

    def connect(self) -> psycopg.Connection[Row]:
        """Open a session for writing.

        Raises:
            StoreError: nobody answers, or it lets us not in; the message says which and why.
        """
        try:
            connection = psycopg.connect(self._conninfo, autocommit=True)
        except psycopg.Error as error:
            raise self._unreachable(error) from error
        try:
            connection.execute(_WRITES, prepare=False)
            row = connection.execute("SELECT current_schema()").fetchone()
        except psycopg.Error as error:
            connection.close()
            raise self._unreachable(error) from error
        self._schema = str(row[0]) if row else ""
        return connection

    async def reader(self) -> psycopg.AsyncConnection[Row]:
        """Open a session for reading.

        Raises:
            StoreError: nobody answers, or it lets us not in.
        """
        try:
            connection = await psycopg.AsyncConnection.connect(
                self._conninfo, autocommit=True, cursor_factory=psycopg.AsyncRawCursor
            )
        except psycopg.Error as error:
            raise self._unreachable(error) from error
        with ExitStack() as undo:
            undo.callback(connection.pgconn.finish)  # also when whoever asked has gone
            try:
                await connection.execute(_READS, prepare=False)
            except psycopg.Error as error:
                raise self._unreachable(error) from error
            undo.pop_all()
        return connection

    def unreadable(self, error: psycopg.Error) -> StoreError:
        """Return what to say when a read fails."""
        return StoreError(f"{self}: cannot be read: {_line(error)}")

    def _unreachable(self, error: psycopg.Error) -> StoreError:
        return StoreError(
            f"{self} cannot be reached: {_line(error)}; see that it runs, and that records.url in "
            "the settings names it with a user that may use it"
        )


class Readers:
    """A few sessions for reading, opened when they are first needed."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turns = asyncio.Semaphore(_READERS)
        self._idle: list[psycopg.AsyncConnection[Row]] = []

    async def read(self, question: str, parameters: Sequence[Any]) -> list[Row]:
        """Return all rows; once more on a new session where the old one broke.

        Raises:
            StoreError: it could not be read.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # sessions belong to the loop on which they were opened
            self.close()
            self._loop, self._turns = loop, asyncio.Semaphore(_READERS)
        values = texts(parameters)
        async with self._turns:
            while True:
                used = bool(self._idle)
                session = self._idle.pop() if used else await self._place.reader()
                with ExitStack() as undo:
                    undo.callback(session.pgconn.finish)  # unless it is known to be idle again
                    try:
                        cursor = await session.execute(numbered(question), values)
                        rows = await cursor.fetchall()
                    except psycopg.Error as error:
                        if used and session.closed:
                            continue
                        raise self._place.unreadable(error) from error
                    undo.pop_all()
                    self._idle.append(session)
                    return rows

    def close(self) -> None:
        """Close the sessions."""
        for session in self._idle:
            session.pgconn.finish()
        self._idle.clear()


class Transaction:
    """``Connection`` in a transaction of a session for writing."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection
        self.told: list[str] = []
        """The ARNs of jobs that change."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        """Run one statement; or several, where there are no parameters."""
        cursor = psycopg.RawCursor(self._connection)
        if not parameters:
            return cursor.execute(sql.encode(), prepare=False)
        return cursor.execute(numbered(sql), texts(parameters))

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]], /) -> Cursor:
        """Run one statement with each of these parameters."""
        cursor = psycopg.RawCursor(self._connection)
        if rows:
            cursor.executemany(numbered(sql), [texts(row) for row in rows])
        return cursor

    def tell(self, arn: str) -> None:
        """Have other servers told that a job changes, once this is on disk."""
        self.told.append(arn)

    def tell_others(self, channel: str) -> None:
        """Send what is to be told, as part of the transaction."""
        arns = {arn if len(arn.encode()) <= _LONGEST else EVERYTHING for arn in self.told}
        if arns:
            question = "SELECT pg_notify(?, arn) FROM unnest(?::text[]) AS arn"
            self.execute(question, (channel, sorted(arns)))


@lru_cache(maxsize=512)
def numbered(question: str) -> bytes:
    """Return a statement with ``$1``, ``$2``, … in place of its marks."""
    first, *rest = question.split("?")
    return (first + "".join(f"${n}{part}" for n, part in enumerate(rest, 1))).encode()


def texts(parameters: Iterable[Any]) -> list[Any]:
    """Return parameters as PostgreSQL can hold them: its text has every character but NUL."""
    return [
        value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in parameters
    ]


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__

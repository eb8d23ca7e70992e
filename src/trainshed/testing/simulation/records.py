"""Records in memory, written on the caller's own thread: on virtual time nothing may wait outside.

The SQL, its migrations and the stores above are those of the real SQLite file; what is missing is
the disk, and the thread that groups writes.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

from trainshed.domain.errors import StoreError
from trainshed.stores.figures import WriteTally
from trainshed.stores.records.base import Connection, Row
from trainshed.stores.records.migrations import shipped, steps

T = TypeVar("T")


class MemoryDatabase:
    """``Database`` without a file."""

    clock = "((julianday('now') - 2440587.5) * 86400.0)"

    def __init__(self) -> None:
        """Begin with empty tables."""
        self.writes = WriteTally()
        known = steps(shipped("sqlite"))
        self.schema = known[-1].number
        self._connection = sqlite3.connect(":memory:", isolation_level=None, factory=_Transaction)
        for step in known:
            self._connection.executescript(step.script)

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of one query."""
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"cannot be read: {error}") from error

    async def write(
        self, work: Callable[[Connection], T], after: Callable[[T], None] | None = None
    ) -> T:
        """Run ``work`` in a transaction; others have their turn before its caller goes on."""
        try:
            with ExitStack() as undo:
                self._connection.execute("BEGIN")
                undo.callback(self._connection.execute, "ROLLBACK")
                result = work(self._connection)
                undo.pop_all()
        except sqlite3.Error as error:
            raise StoreError(f"nothing was written: {error}") from error
        self._connection.execute("COMMIT")
        if after is not None:
            after(result)
        await asyncio.sleep(0)
        return result

    async def upgrade(self) -> None:
        """Do nothing: there is nothing older."""

    def check_schema(self, connection: Connection) -> None:
        """Do nothing: the schema is this program's."""

    def close(self) -> None:
        """Forget everything."""
        self._connection.close()


class _Transaction(sqlite3.Connection):
    """A connection that has nobody else to tell of changes."""

    def tell(self, arn: str) -> None:
        """Do nothing: there is one server."""

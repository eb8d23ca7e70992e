"""Where simulated nodes are kept: a small SQLite file, which several servers may share.

It outlives ``kill -9`` of any of them, because the operating system has every write; a power cut of
the machine it need not outlive, so nothing waits for the disk.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from trainshed.domain.errors import DriverError
from trainshed.testing.simulation.life import Life, story

_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS nodes (
        node_id TEXT PRIMARY KEY, version INTEGER NOT NULL, stock TEXT NOT NULL,
        held INTEGER NOT NULL, taken REAL NOT NULL, checkpoints TEXT NOT NULL, pool TEXT NOT NULL,
        body BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS held_nodes ON nodes (stock, taken) WHERE held = 1;
    CREATE INDEX IF NOT EXISTS keeping_nodes ON nodes (checkpoints) WHERE held = 1;
    CREATE TABLE IF NOT EXISTS kept (
        place TEXT PRIMARY KEY, work REAL NOT NULL, at REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS pooled_nodes ON nodes (pool) WHERE held = 1;
    CREATE TABLE IF NOT EXISTS warm (kind TEXT NOT NULL, pool TEXT NOT NULL, until REAL NOT NULL);
"""
_PUT: Final = (
    "INSERT INTO nodes (node_id, version, stock, held, taken, checkpoints, pool, body) "
    "VALUES (?, 1, ?, 1, ?, ?, ?, ?)"
)
_CHANGE: Final = (
    "UPDATE nodes SET version = version + 1, held = ?, taken = ?, body = ? "
    "WHERE node_id = ? AND version = ?"
)
_SETTLE: Final = (
    "UPDATE nodes SET version = version + 1, body = ? WHERE node_id = ? AND version = ?"
)
_KEEP: Final = (
    "INSERT INTO kept (place, work, at) VALUES (?, ?, ?) ON CONFLICT (place) "
    "DO UPDATE SET work = excluded.work, at = excluded.at WHERE excluded.at > kept.at"
)
_LIFE: Final = msgspec.json.Decoder(Life)


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A node as it stands in the file."""

    life: Life
    version: int


class Shelf:
    """The nodes of one backend."""

    def __init__(self, file: Path | None) -> None:
        """Open or make the file; None keeps all in memory."""
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(file or ":memory:", isolation_level=None, timeout=1)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Write in one go, while no other server does.

        Raises:
            DriverError: nothing was written.
        """
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield
            self._database.execute("COMMIT")
        except BaseException as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise DriverError(f"the simulated place can't be reached: {error}") from error
            raise

    def find(self, node_id: str) -> Kept | None:
        """Return a node, also one that was removed; None for one that was never launched.

        Raises:
            DriverError: nobody can tell.
        """
        try:
            row = self._database.execute(
                "SELECT body, version FROM nodes WHERE node_id = ?", (node_id,)
            ).fetchone()
        except sqlite3.Error as error:
            raise DriverError(f"the simulated place can't be seen: {error}") from error
        return None if row is None else Kept(_LIFE.decode(row[0]), row[1])

    def add(self, life: Life, stock: str) -> Kept:
        """Keep a new node, which takes one of ``stock``."""
        row = (story(life).taken, life.checkpoints, life.pool, msgspec.json.encode(life))
        self._database.execute(_PUT, (life.node_id, stock, *row))
        return Kept(life, 1)

    def change(self, node_id: str, change: Callable[[Life], Life]) -> Kept | None:
        """Keep a node as ``change`` has it; None when there is none. Use it ``alone``."""
        kept = self.find(node_id)
        return None if kept is None else self._put(kept, change(kept.life))

    def settle(self, nodes: Iterable[Kept], now: float) -> Mapping[str, Kept]:
        """Note that others may know what these did until now; return them as they stand.

        One that another server has changed meanwhile comes back as that has left it, settled too.
        """
        found = {}
        for each in nodes:
            settled = self._settled(each, now)
            if settled is None and (fresh := self.find(each.life.node_id)) is not None:
                settled = self._settled(fresh, now)
            if settled is not None:
                found[each.life.node_id] = settled
        return found

    def settle_keepers(self, checkpoints: str, now: float) -> None:
        """Settle every node that keeps its work at a place."""
        rows = self._database.execute(
            "SELECT node_id FROM nodes WHERE checkpoints = ? AND held = 1", (checkpoints,)
        ).fetchall()
        known = [kept for (node_id,) in rows if (kept := self.find(node_id)) is not None]
        self.settle(known, now)

    def work(self, checkpoints: str) -> tuple[float, float]:
        """Return (seconds of work, moment) of what is kept at a place; zeros for nothing."""
        row = self._database.execute(
            "SELECT work, at FROM kept WHERE place = ?", (checkpoints,)
        ).fetchone()
        return (0.0, 0.0) if row is None else (row[0], row[1])

    def in_use(self, stock: str, now: float) -> int:
        """Return how many nodes have one of a stock."""
        row = self._database.execute(
            "SELECT count(*) FROM nodes WHERE stock = ? AND held = 1 AND taken > ?", (stock, now)
        ).fetchone()
        return int(row[0])

    def cool(self, kind: str, until: float, pool: str = "") -> None:
        """Keep an instance that nobody uses any more warm for a while."""
        self._database.execute(
            "INSERT INTO warm (kind, pool, until) VALUES (?, ?, ?)", (kind, pool, until)
        )

    def take_warm(self, kind: str, now: float) -> bool:
        """Take a warm instance; tell whether there was one."""
        self._database.execute("DELETE FROM warm WHERE until <= ?", (now,))
        took = self._database.execute(
            "DELETE FROM warm WHERE rowid = (SELECT rowid FROM warm WHERE kind = ? LIMIT 1)",
            (kind,),
        )
        return bool(took.rowcount)

    def release(self, pool: str) -> None:
        """Let the warm instances of a pool go, unless one of its nodes is there."""
        row = self._database.execute(
            "SELECT 1 FROM nodes WHERE pool = ? AND held = 1 LIMIT 1", (pool,)
        ).fetchone()
        if row is None:
            self._database.execute("DELETE FROM warm WHERE pool = ?", (pool,))

    def _settled(self, kept: Kept, now: float) -> Kept | None:
        if now <= kept.life.told or kept.life.removed is not None:
            return kept
        settled = msgspec.structs.replace(kept.life, told=now)
        if settled.checkpoints:
            return self._put(kept, settled)
        put = self._database.execute(_SETTLE, _row(settled, kept.version))
        return Kept(settled, kept.version + 1) if put.rowcount else None

    def _put(self, kept: Kept, life: Life) -> Kept | None:
        """Keep a node as it now is; None when another server was first."""
        told = story(life)
        held = life.removed is None
        put = self._database.execute(_CHANGE, (held, told.taken, *_row(life, kept.version)))
        if not put.rowcount:
            return None
        if life.checkpoints and (work := told.work(life.told)) is not None:
            self._database.execute(_KEEP, (life.checkpoints, work[1], work[0]))
        return Kept(life, kept.version + 1)


def _row(life: Life, version: int) -> tuple[bytes, str, int]:
    return msgspec.json.encode(life), life.node_id, version

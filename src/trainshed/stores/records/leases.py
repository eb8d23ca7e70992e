"""Which server does which work, told by rows of the records database.

All changes of all servers stand in one line (``Database.write``), so two that claim at once never
get the same job. What keeps a server that was paused from acting on what it no longer owns is not
here but in each of its writes: ``TrainingRecords.swap`` names the owner.
"""

import json
from collections.abc import Callable, Iterator
from typing import Final

from trainshed.domain.errors import StoreError
from trainshed.stores.records.base import SERVER_TTL, Connection, Database, Row, Server

_STEADY: Final = 0.75
"""The part of the TTL that may pass between beats of a server that judges others: those whose beats
came just before such a gap are not dead when it ends."""
_ADD: Final = (
    "INSERT INTO servers (id, url, machine, version, schema, reaches, seen, since) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_SETTLE: Final = (
    "INSERT INTO places (backend, machine) VALUES (?, ?) "
    "ON CONFLICT (backend) DO UPDATE SET machine = excluded.machine"
)
_HOLD: Final = (
    "INSERT INTO leases (name, server, until) VALUES (?, ?, ?) "
    "ON CONFLICT (name) DO UPDATE SET server = excluded.server, until = excluded.until"
)
_CLAIMABLE: Final = (
    "SELECT created, name, arn FROM training_jobs WHERE open = 1 AND owner = ? "
    "{} ORDER BY created, name LIMIT ?"
)
_NEXT_OWNER: Final = "SELECT min(owner) FROM training_jobs WHERE open = 1 AND owner"
_OWNED: Final = "SELECT arn FROM training_jobs WHERE open = 1 AND owner = ? ORDER BY created, name"


class SqlLeases:
    """``Leases`` in a database."""

    def __init__(
        self,
        database: Database,
        *,
        alone: bool = False,
        clock: Callable[[], float] | None = None,
        ttl: float = SERVER_TTL,
    ) -> None:
        """Keep leases in ``database``.

        Args:
            database: beside the jobs.
            alone: whether the database can have one server only: it need not beat, and all others
                whose rows are there must be dead, however lately they beat.
            clock: seconds since the epoch in place of the database's own time; it is asked on
                another thread.
            ttl: seconds without a beat after which a server is dead.
        """
        self._database = database
        self._alone = alone
        self._clock = clock
        self._ttl = ttl

    async def register(self, server: Server) -> frozenset[str]:
        """Let a server live; return which of ``server.reaches`` it does reach."""

        def work(connection: Connection) -> frozenset[str]:
            self._database.check_schema(connection)
            now = self._now(connection)
            if self._alone:
                connection.execute("DELETE FROM servers")
            if _find(connection, server.id) is not None:
                raise StoreError(f"a server {server.id!r} lives already; every one needs its own")
            taken = {name for name in server.bound if _is_elsewhere(connection, name, server)}
            bound = set(server.bound) - taken
            connection.executemany(_SETTLE, [(name, server.machine) for name in sorted(bound)])
            reached = frozenset(server.reaches) - taken
            connection.execute(
                _ADD,
                (
                    *(server.id, server.url, server.machine, server.version),
                    *(self._database.schema, _listed(reached), now, now),
                ),
            )
            return reached

        return await self._database.write(work)

    async def beat(self, id: str) -> bool:
        """Say that a server lives. False: it was declared dead meanwhile, and owns nothing."""

        def work(connection: Connection) -> bool:
            now = self._now(connection)
            # After a gap that is nearly death, or when the clock was set, it begins anew.
            beat = connection.execute(
                "UPDATE servers SET seen = ?, since = CASE WHEN seen BETWEEN ? AND ? "
                "THEN since ELSE ? END WHERE id = ?",
                (now, now - _STEADY * self._ttl, now, now, id),
            )
            return bool(beat.rowcount)

        return await self._database.write(work)

    async def claim(self, id: str, limit: int) -> list[str]:
        """Give a server up to ``limit`` open jobs that no living server owns; return their ARNs."""

        def work(connection: Connection) -> list[Row]:
            self._bury(connection, id)
            row = _find(connection, id)
            if row is None:
                return []
            living = {name for (name,) in connection.execute("SELECT id FROM servers")}
            found: list[Row] = []
            for owner in _owners(connection):
                if owner not in living:
                    reached = None if self._alone else json.loads(row[0])
                    found += _claimable(connection, owner, reached, limit)
            found = sorted(found, key=lambda job: job[:2])[:limit]
            connection.executemany(
                "UPDATE training_jobs SET owner = ? WHERE arn = ?", [(id, job[2]) for job in found]
            )
            return found

        await self._database.upgrade()
        return [arn for _, _, arn in await self._database.write(work)]

    async def release(self, id: str) -> None:
        """Let a server end: what it owns and holds is anybody's at once."""

        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM leases WHERE server = ?", (id,))
            connection.execute("DELETE FROM servers WHERE id = ?", (id,))

        await self._database.write(work)

    async def hold(self, name: str, id: str) -> bool:
        """Take or renew a named lease; tell whether the server has it."""

        def work(connection: Connection) -> bool:
            now = self._now(connection)
            if _find(connection, id) is None:
                return False
            row = connection.execute(
                "SELECT server, until FROM leases WHERE name = ?", (name,)
            ).fetchone()
            if row is not None and row[0] != id:
                # One that ends later than any can was taken before the clock was set back.
                lasts = now < row[1] <= now + self._ttl
                if lasts and _find(connection, row[0]) is not None:
                    return False
            connection.execute(_HOLD, (name, id, now + self._ttl))
            return True

        return await self._database.write(work)

    async def owned(self, id: str) -> list[str]:
        """Return the ARNs of the open jobs that a server owns, oldest first."""
        return [arn for (arn,) in await self._database.read(_OWNED, (id,))]

    async def owner(self, arn: str) -> str:
        """Return the id of the server that owns a job; "" for nobody, or no such job."""
        rows = await self._database.read(
            "SELECT servers.id FROM training_jobs JOIN servers ON servers.id = owner WHERE arn = ?",
            (arn,),
        )
        return str(rows[0][0]) if rows else ""

    async def servers(self) -> list[Server]:
        """Return the servers that live, in order of their ids."""
        rows = await self._database.read(
            "SELECT id, url, machine, version, reaches FROM servers ORDER BY id"
        )
        return [
            Server(id=id, url=url, machine=machine, version=version, reaches=tuple(json.loads(r)))
            for id, url, machine, version, r in rows
        ]

    def _now(self, connection: Connection) -> float:
        if self._clock is not None:
            return self._clock()
        row = connection.execute(f"SELECT {self._database.clock}").fetchone()
        return float(row[0]) if row else 0.0

    def _bury(self, connection: Connection, id: str) -> None:
        """Have a server forget those that were silent for too long while it was heard itself.

        Else all but the first to come back would be dead when the database was away for a while,
        or its clock was set. One seen in the future was seen before the clock was set back. A
        server that is alone need not beat.
        """
        if self._alone:
            return
        now = self._now(connection)
        row = connection.execute("SELECT seen, since FROM servers WHERE id = ?", (id,)).fetchone()
        if row is not None and now - _STEADY * self._ttl <= row[0] and row[1] <= now - self._ttl:
            connection.execute(
                "DELETE FROM servers WHERE seen <= ? OR seen > ?",
                (now - self._ttl, now + self._ttl),
            )


def _find(connection: Connection, id: str) -> Row | None:
    """Return the backends of a server, as they are stored, in a row; None when it is dead."""
    return connection.execute("SELECT reaches FROM servers WHERE id = ?", (id,)).fetchone()


def _is_elsewhere(connection: Connection, backend: str, server: Server) -> bool:
    """Tell whether a backend belongs to another machine, where somebody or something is."""
    row = connection.execute("SELECT machine FROM places WHERE backend = ?", (backend,)).fetchone()
    if row is None or row[0] == server.machine:
        return False
    questions = (
        ("SELECT 1 FROM servers WHERE machine = ?", row[0]),
        ("SELECT 1 FROM training_jobs WHERE open = 1 AND backend = ? LIMIT 1", backend),
    )
    return any(connection.execute(sql, (asked,)).fetchone() for sql, asked in questions)


def _owners(connection: Connection) -> Iterator[str]:
    """Yield who owns open jobs, each once: one look at the index for each, not one for each job."""
    row = connection.execute(f"{_NEXT_OWNER} >= ''").fetchone()
    while row is not None and row[0] is not None:
        yield row[0]
        row = connection.execute(f"{_NEXT_OWNER} > ?", (row[0],)).fetchone()


def _claimable(
    connection: Connection, owner: str, backends: list[str] | None, limit: int
) -> list[Row]:
    """Return (created, name, arn) of the first open jobs of an owner on any of ``backends``.

    On any at all when that is None: where there is one server, it has to end those as well whose
    backend nobody configures any more.
    """
    parameters: list[str | int] = [owner]
    within = ""
    if backends is not None:
        within = f"AND backend IN ({', '.join('?' for _ in ('', *backends))})"
        parameters += ["", *backends]
    return connection.execute(_CLAIMABLE.format(within), (*parameters, limit)).fetchall()


def _listed(names: frozenset[str]) -> bytes:
    return json.dumps(sorted(names)).encode()

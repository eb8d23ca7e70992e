"""``GET /healthz`` and ``GET /readyz``: whether this server lives, and whether to send it work.

    /healthz   200 as long as the process answers. Who gets none restarts it
    /readyz    200 when it can do its work, else 503; a JSON object says what of it, and why

A load balancer or a Kubernetes readiness probe asks ``/readyz``: a server that is not ready keeps
running, and gets requests again once it is. What only some jobs need is told there, but decides
nothing: a server whose container engine is down still answers for all other jobs.
"""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Protocol

from trainshed.domain.errors import StoreError, TrainshedError
from trainshed.domain.sizes import in_binary
from trainshed.stores.records.base import Connection

_PATIENCE_SECONDS: Final = 3.0
"""How long a check may take: probes mostly wait for no longer themselves."""
_FRESH_SECONDS: Final = 1.0
"""For how long an answer is good: many probes cost no more than one."""


class NotReady(TrainshedError):
    """Why a part can't do its work, for people."""


Check = Callable[[], Awaitable[None]]
"""Returns when a part can do its work; raises ``NotReady`` or ``StoreError`` with the reason."""


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is looked at."""

    check: Check
    needed: bool = True
    """Whether the server counts as ready only with it."""


class Readiness:
    """Looks at all parts, at most once a second."""

    def __init__(self, parts: Mapping[str, Part]) -> None:
        """Look at ``parts``, by the names that they are told by."""
        self._parts = parts
        self._lock = asyncio.Lock()
        self._told: tuple[bool, dict[str, Any]] = False, {}
        self._until = 0.0

    async def look(self) -> tuple[bool, dict[str, Any]]:
        """Return whether the server is ready, and what was found, in JSON values."""
        loop = asyncio.get_running_loop()
        async with self._lock:
            if loop.time() >= self._until:
                self._told = await self._looked()
                self._until = loop.time() + _FRESH_SECONDS
        return self._told

    async def _looked(self) -> tuple[bool, dict[str, Any]]:
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(_look(part)) for name, part in self._parts.items()}
        found = {name: task.result() for name, task in tasks.items()}
        ready = all(each["ok"] for each in found.values() if each["needed"])
        return ready, {"ready": ready, "checks": found}


async def _look(part: Part) -> dict[str, Any]:
    reason = ""
    began = perf_counter()
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await part.check()
    except TimeoutError:
        reason = f"no answer within {_PATIENCE_SECONDS:g} s"
    except (NotReady, StoreError, OSError) as error:
        reason = str(error) or type(error).__name__
    return {
        "ok": not reason,
        "needed": part.needed,
        "seconds": round(perf_counter() - began, 4),
        "reason": reason,
    }


class Database(Protocol):
    """The slice of the records' database that is asked."""

    async def write(self, work: Callable[[Connection], None]) -> None:
        """Run ``work`` in a transaction; return once that is on disk."""
        ...


class Pulse(Protocol):
    """The slice of the engine's heartbeat that is asked."""

    def trouble(self, now: float) -> str:
        """Return why the engine counts as stuck; "" when it does not."""
        ...


def records(database: Database) -> Check:
    """Return a check that the records can be read, and written to the disk."""

    def work(connection: Connection) -> None:
        connection.execute("SELECT count(*) FROM buckets").fetchone()
        connection.execute("UPDATE object_space SET bytes = bytes WHERE one = 1")

    async def check() -> None:
        await database.write(work)

    return check


def engine(pulse: Pulse) -> Check:
    """Return a check that the engine goes round."""

    async def check() -> None:
        if trouble := pulse.trouble(asyncio.get_running_loop().time()):
            raise NotReady(trouble)

    return check


def folder(path: Path, reserve: int) -> Check:
    """Return a check that a file can be written below ``path``, and ``reserve`` bytes be left."""

    async def check() -> None:
        await asyncio.to_thread(_write_trial, path, reserve)

    return check


def _write_trial(path: Path, reserve: int) -> None:
    trial = path / f"ready-{secrets.token_hex(8)}.new"
    try:
        with trial.open("wb") as file:
            file.write(b"ready")
            file.flush()
            os.fsync(file.fileno())
    finally:
        trial.unlink(missing_ok=True)
    disk = os.statvfs(path)
    free = disk.f_bavail * disk.f_frsize
    if free < reserve:
        raise NotReady(
            f"the disk of {path} has {in_binary(free)} left, of which {in_binary(reserve)} are "
            "kept free (objects.reserve): uploads are refused"
        )


def engine_socket(address: str) -> Check:
    """Return a check that a container engine answers at ``unix:///path``."""

    async def check() -> None:
        path = address.removeprefix("unix://")
        try:
            reader, writer = await asyncio.open_unix_connection(path)
        except OSError as error:
            raise NotReady(f"no container engine answers at {path}: {error.strerror}") from error
        try:
            writer.write(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            status = await reader.readline()
        finally:
            writer.close()
        if b" 200 " not in status:
            raise NotReady(f"the container engine at {path} says {status.decode().strip()!r}")

    return check

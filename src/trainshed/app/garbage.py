"""Where one server may leave something: all finders, in the order in which they are to remove."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from trainshed.app.settings import inherited_environment
from trainshed.drivers.base import Driver
from trainshed.drivers.local.driver import LocalDriver
from trainshed.drivers.local.engine_leftovers import EngineLeftovers
from trainshed.drivers.local.leftovers import NodeLeftovers
from trainshed.engine.garbage import Finder, Garbage
from trainshed.engine.leftovers import FileLeftovers, LogLeftovers, Trace
from trainshed.stores.logs.segments import Logs
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.leftovers import ObjectLeftovers
from trainshed.stores.records.base import Database
from trainshed.stores.records.leftovers import NamedJobs, RowLeftovers
from trainshed.stores.records.training import SqlTrainingRecords

_UNFINISHED: Final = "it was being written when its writer was killed"
_DAY: Final = timedelta(days=1)


class Kept(Protocol):
    """The stores of one server."""

    @property
    def database(self) -> Database:
        """What all records are in."""
        ...

    @property
    def records(self) -> SqlTrainingRecords:
        """Training jobs."""
        ...

    @property
    def logs(self) -> Logs:
        """Lines in groups and streams."""
        ...

    @property
    def objects(self) -> EmbeddedObjects:
        """Bytes."""
        ...


def garbage(
    data: Path, kept: Kept, drivers: Mapping[str, Driver], clock: Callable[[], datetime]
) -> Garbage:
    """Return what looks for leftovers below ``data`` and on the backends of this machine."""
    finders: list[Finder] = []
    local = [d for d in drivers.values() if isinstance(d, LocalDriver)]
    if local:
        finders.append(NodeLeftovers(data / "nodes", local[0], clock))
    engines: dict[str, str] = {}
    for name, driver in drivers.items():
        if driver.capabilities.engine:
            engines.setdefault(driver.capabilities.engine, name)
    finders += [
        EngineLeftovers(name, engine, data, inherited_environment())
        for engine, name in engines.items()
    ]
    finders += [
        LogLeftovers(kept.logs, NamedJobs(kept.database)),
        ObjectLeftovers(kept.database, data / "objects", clock, kept.objects.in_hand),
        RowLeftovers(kept.database),
        FileLeftovers(_traces(data), clock),
    ]
    return Garbage(kept.records, finders)


def _traces(data: Path) -> list[Trace]:
    cache = data / "cache"
    logs = data / "logs"
    unfinished = [(data, "*.new"), (data / "objects", "ready-*.new")]
    # By their full names: locks and notes beside them begin like these, and stay.
    unfinished += [(logs, "+going*"), (logs, "+making"), (logs, "*/+making"), (logs, "*/+*.new")]
    found = [
        Trace(folder=folder, pattern=pattern, kind="unfinished file", reason=_UNFINISHED)
        for folder, pattern in unfinished
    ]
    fetched = "nobody has fetched it to its end"
    found += [
        Trace(folder=cache, pattern=pattern, kind="cache file", reason=fetched, age=_DAY)
        for pattern in ("objects/parts/*", "*.new", "*/*.new")
    ]
    whose = "no open job has this attempt"
    found.append(
        Trace(
            folder=cache / "attempts",
            pattern="*",
            kind="names of hosts",
            reason=whose,
            age=timedelta(),
            owned=True,
        )
    )
    return found

"""Puts a process's faults around the parts that it is built of.

A part is wrapped by its promise alone: each of its asynchronous methods passes two points, whatever
they are called; all else is the part's own. So a wrapper is never behind the protocol it wraps.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

from trainshed.domain.errors import DriverError, NoCapacity, StoreError
from trainshed.drivers.base import Driver
from trainshed.stores.records.base import Leases, MaybeWritten, TrainingRecords
from trainshed.testing.faults.faults import Faults
from trainshed.testing.faults.plan import Do

T = TypeVar("T")
MakeError = Callable[[str], Exception]

PARTS: Final[Mapping[str, type]] = MappingProxyType(
    {"records": TrainingRecords, "leases": Leases, "driver": Driver}
)
"""The promise that each wrapped part keeps."""

_WRITES: Final = frozenset({"records.add", "records.swap", "records.remove", "records.take"})
_REPEATABLE: Final = frozenset(
    {
        *("records.take", "leases.beat", "leases.hold", "leases.release"),
        *("driver.launch", "driver.stop", "driver.interrupt", "driver.remove"),
        "driver.release_pool",
    }
)
"""What may be done twice, by its promise, and nobody sees a difference."""
_NEVER_FAILS: Final = frozenset({"driver.find", "driver.changed"})
"""What has no error in its promise."""
_ALWAYS: Final = frozenset({Do.CRASH, Do.DELAY, Do.PAUSE, Do.JUMP})


def points(what: str) -> list[str]:
    """Return all points of a part, in the order of its promise."""
    methods = [name for name, each in vars(PARTS[what]).items() if _is_asynchronous(name, each)]
    return [f"{what}.{name}.{when}" for name in methods for when in ("before", "after")]


def lawful(point: str) -> frozenset[Do]:
    """Return what may happen at a point without breaking the promise of its part."""
    name, _, when = point.rpartition(".")
    found = set(_ALWAYS)
    if when == "before" and name not in _NEVER_FAILS:
        found.add(Do.FAIL)
    if when == "before" and name in _REPEATABLE:
        found.add(Do.DOUBLE)
    if when == "after" and (name in _WRITES or name.startswith("leases.")):
        found.add(Do.LOSE)
    return frozenset(found)


def through(faults: Faults, what: str, part: T) -> T:
    """Return ``part`` with the points of ``faults`` around it."""
    return cast("T", _Wrapped(faults, what, part))


class _Wrapped:
    """Looks like the part; what it does passes points."""

    def __init__(self, faults: Faults, what: str, part: object) -> None:
        self._faults, self._what, self._part = faults, what, part
        self._failed: MakeError = DriverError if what == "driver" else StoreError
        self._lost: MakeError = DriverError if what == "driver" else MaybeWritten

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if not _is_asynchronous(name, found):
            return found
        failed = NoCapacity if (self._what, name) == ("driver", "launch") else self._failed

        async def passing(*args: object, **members: object) -> object:
            call = partial(found, *args, **members)
            full = f"{self._what}.{name}"
            return await self._faults.around(full, call, failed=failed, lost=self._lost)

        return passing


def _is_asynchronous(name: str, member: object) -> bool:
    return not name.startswith("_") and inspect.iscoroutinefunction(member)

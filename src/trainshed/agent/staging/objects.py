"""Fetches objects, those that come over a network through this machine's cache."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from trainshed.agent.staging import space
from trainshed.agent.staging.cache import RESERVE, Cache, name_of
from trainshed.domain.plan import NodePlan
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote.access import Access, fitting
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.nearby import Nearby
from trainshed.stores.objects.remote.store import RemoteObjects

_FLOOR_NEAR: Final = 1 << 20
_FLOOR_FAR: Final = 64 << 10
"""Bytes from which on an object is kept. Making a second file of a smaller one takes longer than
bringing it from a server on this machine does (measured, see the decision note on the cache); over
a wire there is a round trip for each, which the second file hides behind."""
_IN_MEMORY: Final = 1 << 20
"""Bytes up to which an object is fetched into memory before its file is made: then the file is
made where it belongs, once. As many lie in memory as there are threads."""
_SMALL_ONES: Final = 16
_SAMPLE: Final = 32
"""After so many small objects in a row, the size of only each such one is asked for."""


@dataclass(frozen=True, slots=True)
class Store:
    """Where an address is looked up."""

    name: str
    """Tells stores apart; "" for this machine."""
    floor: int = 0
    """Bytes from which on its objects are kept."""


class CachedObjects:
    """Fetches what a plan reaches. Safe to share between threads."""

    def __init__(
        self,
        plan: NodePlan,
        objects: RemoteObjects,
        *,
        cancelled: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        """Fetch from ``objects``; ``cancelled`` is asked often, and ``say`` told what is odd."""
        self._plan = plan
        self._objects = objects
        self._cancelled = cancelled
        self._say = say
        self._lock = threading.Lock()
        self._cache: Cache | None = None
        self._stores: dict[tuple[str, str], Store] = {}
        self._asked = self._small_ones = 0
        self._wanted = bool(plan.cache) and plan.cache_limit > 0

    def fetch(self, address: Address, target: Path, entry: Entry | None) -> Entry | None:
        """Bring an object to ``target``, where nothing is; return the version that it is.

        None where nobody has told, and nobody was asked. Raises as ``RemoteObjects.fetch`` does.
        """
        store = self._store(address)
        cache = self._opened() if store.name else None
        if cache is not None and entry is None and self._may_be_large():
            entry = self._objects.stat(address)
            self._note(entry.size >= store.floor)
        if cache is not None and entry is not None:
            known = entry
            if (
                known.etag
                and known.size >= store.floor
                and cache.bring(
                    name_of(store.name, address, known),
                    known.size,
                    target,
                    lambda path: self._objects.fetch(address, path, known),
                )
            ):
                return known
            self._make_way(cache, target.parent, known.size)
        self._objects.fetch(address, target, entry)
        return entry

    def whole(self, address: Address, entry: Entry, folder: Path) -> bytes | bytearray | None:
        """Return all bytes of an object that is small, and not kept; None of any other.

        ``folder`` is where they will be written. Raises as ``RemoteObjects.whole`` does.
        """
        if entry.size > _IN_MEMORY:
            return None
        store = self._store(address)
        cache = self._opened() if store.name else None
        if cache is not None:
            if entry.etag and entry.size >= store.floor:
                return None
            self._make_way(cache, folder, entry.size)
        return self._objects.whole(address, entry)

    def free(self, folder: Path) -> int:
        """Return the bytes that ``folder`` can take, with what the cache would give up for it."""
        with self._lock:
            cache = self._cache
        given = cache.used if cache is not None and cache.shares_disk(folder) else 0
        return space.free(folder) + given

    def _may_be_large(self) -> bool:
        """Tell whether an object of unknown size is worth a question: not when most are small."""
        with self._lock:
            self._asked += 1
            return self._small_ones < _SMALL_ONES or self._asked % _SAMPLE == 0

    def _note(self, large: bool) -> None:
        with self._lock:
            self._small_ones = 0 if large else self._small_ones + 1

    def _make_way(self, cache: Cache, folder: Path, size: int) -> None:
        short = size + RESERVE - space.free(folder)
        if short > 0 and cache.shares_disk(folder):
            cache.give_way(short)

    def _store(self, address: Address) -> "Store":
        """Return ``store_of``, asked once for each bucket: it looks at the disk."""
        if self._plan.stores:  # whose prefixes may end within a bucket
            return store_of(self._plan, address)
        bucket = address.scheme, address.bucket
        if bucket not in self._stores:
            self._stores[bucket] = store_of(self._plan, address)
        return self._stores[bucket]

    def _opened(self) -> Cache | None:
        """Return the cache; None when none is wanted, or none can be kept."""
        with self._lock:
            if self._wanted and self._cache is None:
                try:
                    self._cache = Cache(
                        Path(self._plan.cache) / "objects", self._plan.cache_limit, self._cancelled
                    )
                except OSError as error:
                    self._wanted = False
                    self._say(f"nothing is kept for the next job: {error}")
            return self._cache


def store_of(plan: NodePlan, address: Address) -> Store:
    """Return where an address is looked up.

    What lies on this machine is not worth a second place on it.
    """
    if address.scheme == "file":
        return Store("")
    access = fitting([Access.of(each) for each in plan.stores], address)
    if access is None and Nearby.of(plan) is not None:
        return Store("")
    access = access or Access.of(plan.objects)
    host = urlsplit(access.endpoint).hostname or ""
    near = host in {"localhost", "::1"} or host.startswith("127.")
    name = f"{address.scheme} {access.endpoint} {access.region}"
    return Store(name, _FLOOR_NEAR if near else _FLOOR_FAR)

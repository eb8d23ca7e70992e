"""Fetches objects, those that come over a network through this machine's cache."""

import threading
from collections.abc import Callable
from pathlib import Path

from trainshed.agent.staging import space
from trainshed.agent.staging.cache import RESERVE, Cache, name_of
from trainshed.domain.plan import NodePlan
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote.access import Access, fitting
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.nearby import Nearby
from trainshed.stores.objects.remote.store import RemoteObjects


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
        self._stores: dict[tuple[str, str], str] = {}
        self._wanted = bool(plan.cache) and plan.cache_limit > 0

    def fetch(self, address: Address, target: Path, entry: Entry | None) -> Entry | None:
        """Bring an object to ``target``, where nothing is; return the version that it is.

        None where nobody has told, and nobody was asked. Raises as ``RemoteObjects.fetch`` does.
        """
        store = self._store(address)
        cache = self._opened() if store else None
        if cache is not None:
            found = entry or self._objects.stat(address)
            if found.etag and cache.bring(
                name_of(store, address, found),
                found.size,
                target,
                lambda path: self._objects.fetch(address, path, found),
            ):
                return found
            self._make_way(cache, target.parent, found.size)
            entry = found
        self._objects.fetch(address, target, entry)
        return entry

    def free(self, folder: Path) -> int:
        """Return the bytes that ``folder`` can take, with what the cache would give up for it."""
        with self._lock:
            cache = self._cache
        given = cache.used if cache is not None and cache.shares_disk(folder) else 0
        return space.free(folder) + given

    def _make_way(self, cache: Cache, folder: Path, size: int) -> None:
        short = size + RESERVE - space.free(folder)
        if short > 0 and cache.shares_disk(folder):
            cache.give_way(short)

    def _store(self, address: Address) -> str:
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


def store_of(plan: NodePlan, address: Address) -> str:
    """Return what tells apart the stores that an address may be looked up in; "" for this machine.

    What lies on this machine is not worth a second place on it.
    """
    if address.scheme == "file":
        return ""
    store = fitting([Access.of(each) for each in plan.stores], address)
    if store is None and Nearby.of(plan) is not None:
        return ""
    store = store or Access.of(plan.objects)
    return f"{address.scheme} {store.endpoint} {store.region}"

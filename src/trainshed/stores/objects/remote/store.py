"""Objects by address, wherever they are: what an agent needs of an object store, and no more.

Synchronous, because agents move data in threads. Requests that fail because the store is away
(a server restarting, a network hiccup) are repeated before they count.
"""

import datetime
import importlib
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from trainshed.domain.errors import ObjectMissing
from trainshed.domain.plan import NodePlan
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote.access import Access
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.folders import Folders
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.troubles import Cancelled, StoreAway

_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 5.0
_CHUNK: Final = 1 << 20

T = TypeVar("T")


def _never() -> bool:
    return False


def _unheard(what: str) -> None:
    """Say nothing."""


class RemoteObjects:
    """Reads and writes objects by address. Safe to share between threads."""

    def __init__(
        self,
        access: Mapping[str, str],
        file_roots: Sequence[str] = (),
        *,
        not_with: str = "",
        cancelled: Callable[[], bool] = _never,
        hurried: Callable[[], bool] = _never,
        patience_s: float = math.inf,
        complain: Callable[[str], None] = _unheard,
    ) -> None:
        """Reach ``s3://`` by ``access`` (endpoint, access_key, secret_key, region).

        Args:
            access: as ``NodePlan.objects`` has it.
            file_roots: the folders below which ``file://`` is allowed.
            not_with: ``file://`` folders that hold a file of this name are left out of lists.
            cancelled: asked often, from any thread; True ends what runs with ``Cancelled``.
            hurried: asked while the store is away; True ends the waiting for it.
            patience_s: how long to go on asking a store that is away.
            complain: is told, once, that a store is away and waited for.
        """
        self._access = Access.of(access)
        self._folders = Folders(file_roots, not_with=not_with)
        self._cancelled = cancelled
        self._hurried = hurried
        self._patience_s = patience_s
        self._complain = complain
        self._buckets: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._complained = False

    @classmethod
    def for_node(
        cls,
        plan: NodePlan,
        *,
        cancelled: Callable[[], bool] = _never,
        hurried: Callable[[], bool] = _never,
        patience_s: float = math.inf,
        complain: Callable[[str], None] = _unheard,
    ) -> "RemoteObjects":
        """Return the objects that a node reaches, as its plan says; see the constructor."""
        return cls(
            plan.objects,
            plan.file_roots,
            # Data may lie around the place where nodes work; it must not be copied into itself.
            not_with="agent.lock",
            cancelled=cancelled,
            hurried=hurried,
            patience_s=patience_s,
            complain=complain,
        )

    def list(self, prefix: Address) -> Iterator[Entry]:
        """Yield all objects whose key begins with the prefix, in key order; a page in memory.

        A ``file://`` folder names the files below it, and a file itself.

        Raises:
            ObjectMissing: no such bucket.
            StoreError: access denied, or the store stayed away.
        """
        if prefix.scheme == "file":
            yield from self._folders.walk(prefix.key)
            return
        # 30 ms of http and XML, which a job without s3:// never pays.
        listing = importlib.import_module("trainshed.stores.objects.remote.listing")
        after, more = "", True
        while more:

            def ask(start: str = after) -> tuple[Sequence[Entry], bool]:
                now = datetime.datetime.now(datetime.UTC)
                page: tuple[Sequence[Entry], bool] = listing.page(self._access, prefix, start, now)
                return page

            page, more = self._patiently(prefix, ask)
            yield from page
            after, more = (page[-1].key, more) if page else ("", False)

    def stat(self, address: Address) -> Entry:
        """Return what a list would tell of one object.

        Raises:
            ObjectMissing: no such object.
            StoreError: access denied, or the store stayed away.
        """
        if address.scheme == "file":
            found = next(self._folders.walk(address.key), None)
        else:
            found = next(self.list(address), None)
        if found is None or found.key != address.key:
            raise ObjectMissing(f"{address} does not exist")
        return found

    def stream(
        self, address: Address, *, offset: int = 0, length: int | None = None, etag: str = ""
    ) -> Iterator[memoryview]:
        """Yield an object's bytes from ``offset``, about a mebibyte at a time.

        A stream that breaks is gone on with where it broke, as long as the object is the same.

        Args:
            address: which object.
            offset: the first byte, from 0.
            length: how many bytes at most; None for all that follow.
            etag: what a list told of it; "" takes the object that is there at the first byte.

        Raises:
            ObjectMissing: no such object.
            ObjectChanged: it is not the one of that ``etag``, or not any more.
            StoreError: access denied, or the store stayed away.
            Cancelled: the caller wanted no more.
        """
        end = None if length is None else offset + length
        while end is None or offset < end:
            pieces = self._patiently(address, lambda at=offset: self._begun(address, at, end, etag))  # type: ignore[misc]
            if pieces is None:
                return
            try:
                for piece in pieces:
                    if self._cancelled():
                        raise Cancelled(f"{address}: reading was cancelled")
                    yield piece
                    offset += len(piece)
            except StoreAway:
                continue
            return

    def fetch(self, address: Address, target: Path, entry: Entry | None = None) -> None:
        """Stream an object into ``target``, which must not exist.

        ``entry`` is what a list told of the object, so that nobody need ask again.

        Raises:
            ObjectMissing: no such object.
            StoreError: access denied, or the store stayed away.
            Cancelled: the caller wanted no more; ``target`` may be there in part.
            OSError: ``target`` could not be written, or exists (``FileExistsError``).
        """
        if address.scheme == "file":
            self._folders.fetch(address.key, target, self._cancelled)
            return
        with target.open("xb") as sink:

            def download() -> None:
                sink.seek(0)
                sink.truncate()
                for chunk in self._bucket(address).chunks(address.key):
                    if self._cancelled():
                        raise Cancelled(f"{address}: reading was cancelled")
                    sink.write(chunk)

            self._patiently(address, download)

    def read(self, address: Address, limit: int) -> bytes:
        """Return an object's first ``limit`` bytes; raise ``ObjectMissing`` when there is none."""
        if address.scheme == "file":
            return self._folders.read(address.key, limit)

        def download() -> bytes:
            found = bytearray()
            for chunk in self._bucket(address).chunks(address.key):
                found += chunk
                if len(found) >= limit:
                    break
            return bytes(found[:limit])

        return self._patiently(address, download)

    def put_file(
        self, address: Address, source: Path, headers: Mapping[str, str] | None = None
    ) -> None:
        """Store a file's bytes under ``address``, streamed; raises as ``put`` does."""

        def write(sink: Sink) -> None:
            with source.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    sink.write(chunk)

        self.put(address, write, headers)

    def put(
        self,
        address: Address,
        write: Callable[[Sink], None],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Store what ``write`` writes, streamed; the object appears whole or not at all.

        An error that ``write`` raises is raised here, and no object appears. ``write`` is called
        again from the start when the store went away in between.

        Args:
            address: where.
            write: writes the bytes.
            headers: what the object is stored with, such as ``x-amz-server-side-encryption``.

        Raises:
            StoreError: access denied, no such bucket, or the store stayed away.
        """
        if address.scheme == "file":
            with self._folders.writing(address.key) as file:
                write(file)
            return
        self._patiently(address, lambda: self._bucket(address).upload(address.key, write))

    def exists(self, address: Address) -> bool:
        """Tell whether there is an object."""
        try:
            self.read(address, 1)
        except ObjectMissing:
            return False
        return True

    def delete(self, address: Address) -> None:
        """Delete an object; one that is gone is no error."""
        if address.scheme == "file":
            self._folders.delete(address.key)
            return
        self._patiently(address, lambda: self._bucket(address).delete(address.key))

    def _begun(
        self, address: Address, offset: int, end: int | None, etag: str
    ) -> Iterator[memoryview] | None:
        """Return a stretch of an object as a stream that has begun; None when it is empty."""
        if address.scheme == "file":
            pieces = self._folders.stretch(address.key, offset, end, etag)
        else:
            pieces = self._bucket(address).stretch(address.key, offset, end, etag)
        first = next(pieces, None)
        return None if first is None else itertools.chain([first], pieces)

    def _bucket(self, address: Address) -> Any:  # noqa: ANN401 - its module is loaded late
        with self._lock:
            if address.bucket not in self._buckets:
                # obstore takes 50 ms and 7 MB, which a job without s3:// never pays.
                module = importlib.import_module("trainshed.stores.objects.remote.bucket")
                self._buckets[address.bucket] = module.Bucket(self._access, address.bucket)
            return self._buckets[address.bucket]

    def _patiently(self, address: Address, ask: Callable[[], T]) -> T:
        """Ask until there is an answer, a refusal, or no patience left."""
        give_up = time.monotonic() + self._patience_s
        wait = _FIRST_WAIT_S
        while True:
            if self._cancelled():
                raise Cancelled(f"{address}: cancelled")
            try:
                return ask()
            except StoreAway as away:
                if time.monotonic() > give_up or self._hurried():
                    raise
                if wait == _LONGEST_WAIT_S:
                    self._complain_once(away)
            time.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT_S)

    def _complain_once(self, away: StoreAway) -> None:
        with self._lock:
            said, self._complained = self._complained, True
        if not said:
            self._complain(f"an object store is away, and waited for: {away}")

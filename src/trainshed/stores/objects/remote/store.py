"""Objects by address, wherever they are: what an agent needs of an object store, and no more.

Synchronous, because agents move data in threads. Requests that fail because the store is away
(a server restarting, a network hiccup) are repeated before they count.
"""

import contextlib
import errno
import importlib
import math
import os
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.domain.plan import NodePlan
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote.access import Access, fitting
from trainshed.stores.objects.remote.copier import Copier
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.folders import Folders
from trainshed.stores.objects.remote.nearby import Nearby, NotNearby
from trainshed.stores.objects.remote.patience import (
    Arrived,
    Patience,
    Waiting,
    never,
    unheard,
    unhurried,
)
from trainshed.stores.objects.remote.places import Found, Place, Reading, Sending
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.troubles import ObjectChanged, StoreAway
from trainshed.stores.objects.remote.unfinished import Unfinished

_CHUNK: Final = 1 << 20


class RemoteObjects:
    """Reads and writes objects by address. Safe to share between threads."""

    def __init__(
        self,
        access: Mapping[str, str],
        file_roots: Sequence[str] = (),
        *,
        stores: Sequence[Mapping[str, str]] = (),
        not_with: str = "",
        patience: Patience | None = None,
    ) -> None:
        """Reach ``s3://`` by ``access`` (endpoint, access_key, secret_key, region).

        Args:
            access: as ``NodePlan.objects`` has it.
            file_roots: the folders below which ``file://`` is allowed.
            stores: as ``NodePlan.stores`` has them: where else objects lie. Longest prefix wins.
            not_with: ``file://`` folders that hold a file of this name are left out of lists.
            patience: how a store that is away is waited for; by default for ever, and in silence.
        """
        self._access = Access.of(access)
        self._stores = tuple(Access.of(store) for store in stores)
        self._near: Nearby | None = None
        self._copier = Copier()
        self._folders = Folders(file_roots, not_with=not_with)
        self._patience = patience or Patience()
        self._places: dict[tuple[Access, str, str], Place] = {}
        self._connections: dict[Access, Any] = {}
        self._unfinished = Unfinished("")
        self._lock = threading.Lock()

    @classmethod
    def for_node(
        cls,
        plan: NodePlan,
        *,
        cancelled: Callable[[], bool] = never,
        hurried: Callable[[float], bool] = unhurried,
        patience_s: float = math.inf,
        complain: Callable[[str], None] = unheard,
    ) -> "RemoteObjects":
        """Return the objects that a node reaches, as its plan says.

        Those of the server's own store are read from its files, if they are on this machine. The
        other arguments are as for ``Patience``.
        """
        made = cls(
            plan.objects,
            plan.file_roots,
            stores=plan.stores,
            # Data may lie around the place where nodes work; it must not be copied into itself.
            not_with="agent.lock",
            patience=Patience(
                cancelled=cancelled, hurried=hurried, seconds=patience_s, complain=complain
            ),
        )
        made._access = replace(made._access, own=True)
        made._near = Nearby.of(plan)
        made._unfinished = Unfinished(plan.uploads)
        return made

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
        after, more = "", True
        while more:
            page, more = self._patience.ask(prefix, lambda at=after: self._page(prefix, at))  # type: ignore[misc]
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
            if found is None or found.key != address.key:
                raise ObjectMissing(f"{address} does not exist")
            return found

        def ask() -> Entry:
            if (near := self._nearby(address)) is not None:
                try:
                    return near.find(address.bucket, address.key)
                except NotNearby:
                    pass
            return self._place(address).head(address.key).entry(address.key)

        return self._patience.ask(address, ask)

    def stream(
        self, address: Address, *, offset: int = 0, length: int | None = None, etag: str = ""
    ) -> Generator[memoryview, None, None]:
        """Yield an object's bytes from ``offset``, about a mebibyte at a time.

        A stream that breaks is gone on with where it broke, as long as the object is the same.
        Close one that is not read to its end: it holds a connection.

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
        if end == offset:
            return
        if address.scheme == "file":
            for piece in self._folders.stretch(address.key, offset, end, etag):
                self._patience.check(address)
                yield piece
            return
        waiting = Waiting(self._patience, address)
        while True:
            begun = self._begun(address, offset, end, etag)
            etag = etag or begun.found.etag
            end = begun.found.size if end is None else min(end, begun.found.size)
            try:
                for piece in self._pieces(address, begun, end - offset):
                    yield piece
                    offset += len(piece)
                    waiting.progressed()
            except StoreAway as away:
                waiting.after(away)
                continue
            finally:
                begun.close()
            return

    def fetch(self, address: Address, target: Path, entry: Entry | None = None) -> None:
        """Bring an object into ``target``, which must not exist and appears whole, checked.

        What has arrived when it breaks off, however that comes, is not fetched again: it stays
        beside the target (see ``partial``) for the next call.

        Args:
            address: which object.
            target: the file to be.
            entry: what a list told of the object: exactly this version is wanted. None, or one
                without an ``etag``, takes what is there.

        Raises:
            ObjectMissing: no such object.
            ObjectChanged: it is not, or not any more, that of ``entry``.
            StoreError: access denied, wrong bytes again and again, or the store stayed away.
            Cancelled: the caller wanted no more.
            OSError: ``target`` could not be written, or exists (``FileExistsError``).
        """
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        found = self.opened(address, entry)
        if found is not None:
            try:
                self._copier.copy(found, target, lambda: self._patience.check(address))
            finally:
                os.close(found)
            return
        self.download(address, target, entry)

    def download(
        self,
        address: Address,
        target: Path,
        entry: Entry | None = None,
        *,
        arrived: Arrived = unheard,
    ) -> Found:
        """Bring an object as ``fetch`` does, but in the place of what ``target`` is; not ``file://``.

        Args:
            address: which object.
            target: the file to be.
            entry: as for ``fetch``.
            arrived: told of its bytes as they arrive, and of those that an earlier call brought.

        Returns:
            What the store tells of it.
        """
        # What it takes is never paid by a job whose objects are all on this machine.
        downloads = importlib.import_module("trainshed.stores.objects.remote.downloads")
        found: Found = downloads.download(
            self._place(address),
            address,
            target,
            entry=entry or Entry(address.key, 0, ""),
            patience=self._patience,
            arrived=arrived,
        )
        return found

    def told(self, address: Address) -> Found:
        """Return all that a store tells of one object, its digest too; not of ``file://``.

        Raises as ``stat`` does.
        """
        return self._patience.ask(address, lambda: self._place(address).head(address.key))

    def cut(self) -> None:
        """Break off what is under way in other threads, and refuse what follows: ``StoreAway``.

        For who has cancelled, and will not wait for a server that is silent. What obstore asks is
        not broken off.
        """
        with self._lock:
            for connections in self._connections.values():
                connections.cut()

    def whole(self, address: Address, entry: Entry) -> bytes | bytearray:
        """Return all bytes of an object that a list told to be small, checked.

        They are in memory at once; nothing of them is kept when it breaks off. Raises as ``fetch``
        does; ``ObjectChanged`` also when the size is not the listed one.
        """
        found = self.opened(address, entry)
        if found is None:
            downloads = importlib.import_module("trainshed.stores.objects.remote.downloads")
            content: bytearray = downloads.whole(
                self._place(address), address, entry, self._patience
            )
            return content
        try:
            return _all_of(found, address, entry.size)
        finally:
            os.close(found)

    def opened(self, address: Address, entry: Entry | None = None) -> int | None:
        """Return a read-only descriptor of an object's bytes if they lie on this machine, or None.

        The bytes never change, also when the object is replaced; those of ``file://`` may.
        ``entry`` is as for ``fetch``. The caller closes the descriptor.

        Raises:
            ObjectMissing: no such object.
            StoreError: it must not be read, or the store stayed away.
            ObjectChanged: the file is not, or not any more, that of ``entry``.
        """
        etag = entry.etag if entry is not None else ""
        if address.scheme == "file":
            return self._folders.opened(address.key, etag)
        return self._patience.ask(address, lambda: self._opened(address, etag))

    def complain(self, text: str) -> None:
        """Say something about an object to whoever is told that a store is away."""
        self._patience.complain(text)

    def read(self, address: Address, limit: int) -> bytes:
        """Return an object's first ``limit`` bytes; raise ``ObjectMissing`` when there is none."""
        if address.scheme == "file":
            return self._folders.read(address.key, limit)
        return b"".join(self.stream(address, length=limit))

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

        An error that ``write`` raises is raised here, and no object appears. A store that goes
        away meanwhile costs only the part that was on its way. ``write`` may be called again, from
        the start, when the store lost what it had.

        Args:
            address: where.
            write: writes the bytes.
            headers: what the object is stored with, such as ``x-amz-server-side-encryption``;
                lower-case names.

        Raises:
            StoreError: access denied, no such bucket, or the store stayed away.
            Cancelled: the caller wanted no more.
        """
        if address.scheme == "file":
            self._patience.ask(address, lambda: self._put_file(address, write))
            return
        sending = Sending(patience=self._patience, unfinished=self._unfinished)
        self._place(address).upload(address.key, write, headers or {}, sending)

    def give_up_unfinished(self) -> None:
        """Give up the uploads that are noted as under way: whoever sent them is dead.

        Call it before anything is put. One that a store can't be told of now stays noted.
        """
        for address, upload, forget in self._unfinished.left():
            with contextlib.suppress(StoreError):
                place = self._place(address)
                self._patience.ask(address, lambda: place.abort(address.key, upload))  # noqa: B023
                forget()

    def is_elsewhere(self, address: Address) -> bool:
        """Tell whether an address lies in one of ``stores``."""
        return fitting(self._stores, address) is not None

    def _put_file(self, address: Address, write: Callable[[Sink], None]) -> None:
        with self._folders.writing(address.key) as file:
            write(file)

    def exists(self, address: Address) -> bool:
        """Tell whether there is an object."""
        try:
            self.stat(address)
        except ObjectMissing:
            return False
        return True

    def delete(self, address: Address) -> None:
        """Delete an object; one that is gone is no error."""
        if address.scheme == "file":
            self._folders.delete(address.key)
            return
        self._patience.ask(address, lambda: self._place(address).delete(address.key))

    def _page(self, prefix: Address, after: str) -> tuple[Sequence[Entry], bool]:
        if (near := self._nearby(prefix)) is not None:
            try:
                return near.page(prefix.bucket, prefix.key, after)
            except NotNearby:
                pass
        return self._place(prefix).page(prefix.key, after)

    def _opened(self, address: Address, etag: str) -> int | None:
        near = self._nearby(address)
        return None if near is None else near.opened(address.bucket, address.key, etag)

    def _begun(self, address: Address, offset: int, end: int | None, etag: str) -> Reading:
        return self._patience.ask(
            address, lambda: self._place(address).open(address.key, offset, end, etag)
        )

    def _pieces(self, address: Address, reading: Reading, left: int) -> Iterator[memoryview]:
        """Yield the next ``left`` bytes, each piece in memory of its own."""
        while left > 0:
            self._patience.check(address)
            piece = memoryview(bytearray(min(_CHUNK, left)))
            count = reading.into(piece)
            if not count:
                raise StoreAway(f"{address}: the store sent too little")
            left -= count
            yield piece[:count]

    def _nearby(self, address: Address) -> Nearby | None:
        return self._near if self._near and fitting(self._stores, address) is None else None

    def _place(self, address: Address) -> Place:
        """Return where an address lies.

        Raises:
            StoreError: no store is known for it.
        """
        access = fitting(self._stores, address)
        if access is None and address.scheme != "s3":
            raise StoreError(
                f"{address}: no store is configured for it; name one with a prefix that fits in "
                "[[stores]] of the server's settings"
            )
        access = access or self._access
        name = access, address.scheme, address.bucket
        with self._lock:
            if name not in self._places:
                self._places[name] = self._found(access, address)
            return self._places[name]

    def _found(self, access: Access, address: Address) -> Place:
        if address.scheme != "s3" or not access.access_key:
            # obstore takes 50 ms and 7 MB, which only those who need it pay.
            clouds = importlib.import_module("trainshed.stores.objects.remote.clouds")
            cloud: Place = clouds.Cloud(access, address.scheme, address.bucket)
            return cloud
        # 30 ms of http and XML, which a job without s3:// never pays.
        module = importlib.import_module("trainshed.stores.objects.remote.bucket")
        if access not in self._connections:
            self._connections[access] = module.connect(access)
        bucket: Place = module.Bucket(self._connections[access], address.bucket)
        return bucket


def _all_of(file: int, address: Address, size: int) -> bytes:
    """Return the bytes of an open file, which are as many as were listed."""
    content = os.read(file, size + 1)
    while 0 < len(content) < size and (more := os.read(file, size - len(content))):
        content += more
    if len(content) != size:
        raise ObjectChanged(f"{address} does not have {size} bytes any more, as it was listed")
    return content

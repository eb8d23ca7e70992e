"""What every kind of store promises to those who move whole objects."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.patience import Patience
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.unfinished import Unfinished

Body = bytes | bytearray | memoryview | Iterable[memoryview]
"""What is sent: bytes, or memory in pieces, which may be gone through again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a store tells of one object."""

    size: int
    """Bytes."""
    etag: str
    """Without quotes; "" where a store does not say."""
    modified: float = 0.0
    """Seconds since the epoch; 0 where a store does not say."""
    algorithm: str = ""
    """Of ``digest``, as ``domain.digests`` names it; "" when there is none."""
    digest: bytes = b""
    """Of the whole object."""

    def entry(self, key: str) -> Entry:
        """Return it as a list tells it."""
        return Entry(key, self.size, self.etag, self.modified)


class Reading(Protocol):
    """An object's bytes on their way. Close it."""

    found: Found
    """The whole object, also when only a stretch is on its way."""

    def into(self, buffer: memoryview, /) -> int:
        """Read the next bytes into ``buffer``; 0 at the end.

        Raises:
            StoreAway: the store went away; ask again from where it broke.
        """
        ...

    def close(self) -> None:
        """Let go of the connection; a second call changes nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What every upload of a node goes by."""

    patience: Patience
    unfinished: Unfinished


class Place(Protocol):
    """One bucket. Safe to share between threads.

    Every method raises ``ObjectMissing``, ``StoreAway`` (worth asking again) or ``StoreError``.
    """

    def page(self, prefix: str, after: str) -> tuple[list[Entry], bool]:
        """Return a page of objects behind the key ``after``, and whether more follow."""
        ...

    def head(self, key: str) -> Found:
        """Return what the store tells of an object."""
        ...

    def open(self, key: str, offset: int, end: int | None, etag: str) -> Reading:
        """Begin to read from ``offset`` to ``end`` (None: to the last byte) of the object ``etag``.

        A stretch behind the last byte is empty. An ``etag`` of "" takes what is there.

        Raises:
            ObjectChanged: the object is another.
        """
        ...

    def delete(self, key: str) -> None:
        """Delete an object; one that is gone is no error."""
        ...

    def upload(
        self,
        key: str,
        write: Callable[[Sink], None],
        headers: Mapping[str, str],
        sending: Sending,
    ) -> None:
        """Store what ``write`` writes, of any length; see ``RemoteObjects.put``."""
        ...

    def abort(self, key: str, upload: str) -> None:
        """Give up an upload that ``Sending.unfinished`` had noted; one that is gone is no error."""
        ...


class InParts(Place, Protocol):
    """A bucket that takes objects whole or in parts, each checked: one of S3."""

    def put(self, key: str, body: bytes | bytearray, headers: Mapping[str, str]) -> None:
        """Store a small object in one request; what arrived is what was sent."""
        ...

    def begin(self, key: str, headers: Mapping[str, str]) -> tuple[str, bool]:
        """Begin an upload; return its id, and whether its parts are checked by CRC64NVME."""
        ...

    def part(
        self, key: str, upload: str, number: int, body: Body, headers: Mapping[str, str]
    ) -> str:
        """Store one part, of which the first has the number 1; return its ETag.

        Raises:
            UploadLost: the store does not know the upload.
        """
        ...

    def complete(
        self, key: str, upload: str, parts: list[tuple[str, str]], headers: Mapping[str, str]
    ) -> None:
        """Make an object of its parts: (ETag, CRC64NVME or "") in order.

        Raises:
            UploadLost: the store does not know the upload.
        """
        ...

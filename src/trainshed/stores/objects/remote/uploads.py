"""Stores what somebody writes, of any length: small things at once, large ones in parts.

Each part is checked by the store and sent again until it has arrived, so that a break in the middle
costs a part and not the upload. An object appears whole or not at all.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Final, TypeVar

from trainshed.domain import digests
from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote import checksums
from trainshed.stores.objects.remote.places import InParts, Sending
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.troubles import Damaged, UploadLost

T = TypeVar("T")

_CRC: Final = "CRC64NVME"
_CRC_HEADER: Final = "x-amz-checksum-crc64nvme"
_PART: Final = 8 << 20
_DOUBLED_EVERY: Final = 1000
"""Parts after which the next ones are twice as large: 10,000 of them hold 8 TB."""
_IN_MEMORY: Final = 16 << 20
"""Larger parts wait in a temporary file."""
_IN_FLIGHT: Final = 2
_CHUNK: Final = 1 << 20
_TRIES: Final = 3
"""How often bytes may be damaged on their way, or the store may lose an upload."""


def upload(
    bucket: InParts,
    address: Address,
    write: Callable[[Sink], None],
    headers: Mapping[str, str],
    sending: Sending,
) -> None:
    """Store what ``write`` writes; see ``RemoteObjects.put``."""
    for left in reversed(range(_TRIES)):
        sink = _Upload(bucket, address, headers, sending)
        try:
            with contextlib.ExitStack() as undo:
                undo.callback(sink.give_up)
                write(sink)
                sink.finish()
                undo.pop_all()
                return
        except UploadLost:
            if not left:
                raise


def part_size(number: int) -> int:
    """Return the bytes of a part, of which the first has the number 1."""
    return _PART << ((number - 1) // _DOUBLED_EVERY)


@dataclass(slots=True)
class _Part:
    """Bytes on their way to be a part."""

    number: int
    file: IO[bytes] | None
    memory: bytearray
    size: int = 0

    @classmethod
    def new(cls, number: int) -> "_Part":
        large = part_size(number) > _IN_MEMORY
        return cls(number, tempfile.TemporaryFile() if large else None, bytearray())

    def take(self, data: memoryview) -> memoryview:
        """Take as much as there is room for; return the rest."""
        fitting = data[: part_size(self.number) - self.size]
        if self.file is None:
            self.memory += fitting
        else:
            self.file.write(fitting)
        self.size += len(fitting)
        return data[len(fitting) :]

    @property
    def full(self) -> bool:
        return self.size == part_size(self.number)

    def chunks(self) -> Iterator[memoryview]:
        if self.file is None:
            yield memoryview(self.memory)
            return
        self.file.seek(0)
        while chunk := self.file.read(_CHUNK):
            yield memoryview(chunk)

    def __iter__(self) -> Iterator[memoryview]:
        return self.chunks()

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
        self.memory = bytearray()


class _Upload:
    """A sink that becomes an object when it is finished."""

    def __init__(
        self,
        bucket: InParts,
        address: Address,
        headers: Mapping[str, str],
        sending: Sending,
    ) -> None:
        self._bucket = bucket
        self._address = address
        self._headers = headers
        self._patience = sending.patience
        self._unfinished = sending.unfinished
        self._forget: Callable[[], None] = lambda: None
        self._part = _Part.new(1)
        self._id = ""
        self._by_crc = True
        self._senders: ThreadPoolExecutor | None = None
        self._sent: list[Future[tuple[str, bytes, int]]] = []
        self._under_way: list[Future[tuple[str, bytes, int]]] = []

    def write(self, data: bytes, /) -> int:
        """Take bytes, and send a part when it is full.

        Raises:
            StoreError: an earlier part could not be stored.
            Cancelled: the caller wants no more.
        """
        self._patience.check(self._address)
        rest = memoryview(data).cast("B")
        while rest:
            if self._part.full:
                self._send()
            rest = self._part.take(rest)
        return len(data)

    def finish(self) -> None:
        """Make it an object."""
        key = self._address.key
        if not self._sent:
            body = self._part.memory
            self._undamaged(lambda: self._bucket.put(key, body, self._headers))
            return
        self._send()
        parts = [sent.result() for sent in self._sent]
        self._stop_sending()
        self._complete(parts)
        self._id = ""
        self._forget()

    def give_up(self) -> None:
        """Leave nothing behind, if the store is there to be told."""
        self._stop_sending()
        self._part.close()
        if self._id:
            with contextlib.suppress(StoreError):
                self._bucket.abort(self._address.key, self._id)
                self._forget()

    def _send(self) -> None:
        """Have the part sent that was being filled; wait while enough others are under way."""
        key = self._address.key
        if self._senders is None:
            # Named, so that our own store takes a second question for the first, whose answer was
            # lost; others take the name from any of Amazon's clients, and make nothing of it.
            named = {**self._headers, "amz-sdk-invocation-id": os.urandom(16).hex()}
            self._id, self._by_crc = self._patience.ask(
                self._address, lambda: self._bucket.begin(key, named)
            )
            self._forget = self._unfinished.begin(self._address, self._id)
            self._senders = ThreadPoolExecutor(_IN_FLIGHT, thread_name_prefix="upload")
        while len(self._under_way) >= _IN_FLIGHT:
            self._under_way.pop(0).result()
        part, self._part = self._part, _Part.new(self._part.number + 1)
        sending = self._senders.submit(self._store, part)
        self._sent.append(sending)
        self._under_way.append(sending)

    def _store(self, part: _Part) -> tuple[str, bytes, int]:
        """Send one part until it has arrived; return its ETag, CRC and size."""
        try:
            headers, crc = self._checked(part)
            body = part.memory if part.file is None else part
            key, number = self._address.key, part.number
            etag = self._undamaged(lambda: self._bucket.part(key, self._id, number, body, headers))
            return etag, crc, part.size
        finally:
            part.close()

    def _checked(self, part: _Part) -> tuple[dict[str, str], bytes]:
        """Return the headers by which the store checks a part, and its CRC."""
        headers = {"content-length": str(part.size)}
        if not self._by_crc:
            return {**headers, "content-md5": checksums.content_md5(part)}, b""
        running = digests.begin(_CRC)
        for chunk in part:
            running.update(chunk)
        return {**headers, _CRC_HEADER: digests.encoded(running.digest())}, running.digest()

    def _complete(self, parts: list[tuple[str, bytes, int]]) -> None:
        """Have the parts made one, however often the answer is lost."""
        key = self._address.key
        listed = [(etag, digests.encoded(crc) if self._by_crc else "") for etag, crc, _ in parts]
        headers, whole = {}, b""
        if self._by_crc:
            whole = digests.joined(_CRC, ((crc, size) for _, crc, size in parts))
            headers = {_CRC_HEADER: digests.encoded(whole), "x-amz-checksum-type": "FULL_OBJECT"}
        asked = 0

        def complete() -> None:
            nonlocal asked
            asked += 1
            try:
                self._bucket.complete(key, self._id, listed, headers)
            except UploadLost:
                if asked == 1 or not self._is_there(parts, whole):
                    raise

        self._patience.ask(self._address, complete)

    def _is_there(self, parts: list[tuple[str, bytes, int]], crc: bytes) -> bool:
        """Tell whether the object is the one that we asked for: the answer to that was lost."""
        try:
            told = self._bucket.head(self._address.key)
        except ObjectMissing:
            return False
        if told.algorithm == _CRC:
            return told.digest == crc
        with contextlib.suppress(ValueError):
            every = b"".join(bytes.fromhex(etag.strip('"')) for etag, _, _ in parts)
            return told.etag == f"{digests.digest('MD5', every).hex()}-{len(parts)}"
        return False

    def _undamaged(self, question: Callable[[], T]) -> T:
        for left in reversed(range(_TRIES)):
            try:
                return self._patience.ask(self._address, question)
            except Damaged:
                if not left:
                    raise
        raise AssertionError("unreachable")

    def _stop_sending(self) -> None:
        if self._senders is not None:
            self._senders.shutdown(cancel_futures=True)
            self._senders = None

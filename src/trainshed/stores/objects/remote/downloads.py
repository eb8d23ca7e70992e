"""Brings one object into a file: whole, checked, and gone on with where it broke.

Small objects come by one request. Large ones come by several streams, and leave what has arrived
where the next try finds it (see ``partial``).
"""

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from trainshed.domain import digests
from trainshed.domain.errors import ObjectMissing
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote import checksums
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.partial import PIECE, Partial, partial
from trainshed.stores.objects.remote.patience import Arrived, Patience, Waiting
from trainshed.stores.objects.remote.places import Found, Place, Reading
from trainshed.stores.objects.remote.troubles import Damaged, ObjectChanged, StoreAway

CHUNK: Final = 256 << 10
"""Bytes read at once; they stay in the processor's cache between the socket and the file."""
_STREAMS: Final = 4
_LARGE: Final = 16 << 20
"""Bytes of an object, or of a stretch of it, that are worth a request of their own."""
_TRIES: Final = 3
"""Downloads until a wrong checksum is believed."""

T = TypeVar("T")


def download(
    place: Place,
    address: Address,
    target: Path,
    *,
    entry: Entry,
    patience: Patience,
    arrived: Arrived,
) -> Found:
    """Bring an object to ``target``; return what the store told of it.

    Args:
        place: where it lies.
        address: which it is.
        target: appears whole; what has arrived before stays beside it.
        entry: what is known of it: the version that is wanted by its ``etag``, "" for the present
            one; its size, 0 when nobody knows.
        patience: how long to wait for the store.
        arrived: told of every byte; of those that arrived wrong, too.

    Raises:
        ObjectMissing: no such object.
        ObjectChanged: it is not, or not any more, the one of that ``etag``.
        Damaged: wrong bytes, again and again.
        StoreError: access denied, or the store stayed away.
        Cancelled: the caller wanted no more.
        OSError: ``target`` could not be written.
    """
    return _tried(
        lambda: _Download(place, address, target, patience, arrived).run(entry), entry.etag
    )


def whole(place: Place, address: Address, entry: Entry, patience: Patience) -> bytearray:
    """Return all bytes of an object that a list told to be small, checked.

    Raises as ``download`` does; ``ObjectChanged`` also when its size is not the listed one.
    """
    return _tried(lambda: _whole(place, address, entry, patience), entry.etag)


class _Wrong(Damaged):
    """What arrived is not what the store says it holds."""

    def __init__(self, address: Address, told: Found, digest: bytes) -> None:
        super().__init__(
            f"{address} arrived with the {told.algorithm} {digests.encoded(digest)}, "
            f"but the store says {digests.encoded(told.digest)}"
        )


def _tried(bring: Callable[[], T], etag: str) -> T:
    """Bring what arrives wrong, or changes without having been asked for by its ETag, again."""
    for left in reversed(range(_TRIES)):
        try:
            return bring()
        except ObjectChanged:
            if etag or not left:
                raise
        except _Wrong as wrong:
            if not left:
                raise Damaged(f"{wrong} ({_TRIES} downloads)") from wrong
    raise AssertionError("unreachable")


def _whole(place: Place, address: Address, entry: Entry, patience: Patience) -> bytearray:
    def ask() -> tuple[Found, bytearray]:
        reading = place.open(address.key, 0, None, entry.etag)
        try:
            if reading.found.size != entry.size:
                raise ObjectChanged(
                    f"{address} has {reading.found.size} bytes; it was listed with {entry.size}"
                )
            content = bytearray(entry.size)
            left = memoryview(content)
            while left:
                if not (count := reading.into(left)):
                    raise StoreAway(f"{address}: the store sent too little")
                left = left[count:]
            return reading.found, content
        finally:
            reading.close()

    told, content = patience.ask(address, ask)
    if told.algorithm and (digest := digests.digest(told.algorithm, content)) != told.digest:
        raise _Wrong(address, told, digest)
    return content


class _Download:
    """One try to have the whole object."""

    def __init__(
        self, place: Place, address: Address, target: Path, patience: Patience, arrived: Arrived
    ) -> None:
        self._place = place
        self._address = address
        self._target = target
        self._patience = patience
        self._arrived = arrived
        self._trouble: list[BaseException] = []

    def run(self, entry: Entry) -> Found:
        """Bring it; see ``download``."""
        with contextlib.ExitStack() as held:
            return self._run(entry, held)

    def _run(self, entry: Entry, held: contextlib.ExitStack) -> Found:
        path, key, etag = partial(self._target), self._address.key, entry.etag
        reading: Reading | None = None
        # What comes of a whole object behind the first stretch is on its way for nothing.
        if path.exists() or entry.size > _LARGE:
            told = self._patience.ask(self._address, lambda: self._place.head(key))
            if etag and told.etag and told.etag != etag:
                raise ObjectChanged(f"{self._address} was replaced meanwhile")
        else:
            reading = self._opened(0, None, etag)
            held.callback(reading.close)  # whoever comes to read it closes it sooner
            told = reading.found
        if told.size <= _LARGE:
            self._bring_small(path, told, reading)
            return told
        identity = f"{self._address}\n{told.etag}\n{told.algorithm}\n{told.modified}"
        file = Partial(path, identity, told.size)
        try:
            self._bring(file, told, reading)
            self._check(file, path, told)
            file.become(self._target)
        except (ObjectChanged, ObjectMissing, _Wrong):
            file.drop()
            raise
        finally:
            file.close()
        return told

    def _bring_small(self, path: Path, told: Found, reading: Reading | None) -> None:
        """Bring an object that is not worth being brought in pieces."""

        def bring(given: list[Reading | None]) -> bytes:
            taken = given.pop() if given else None
            taken = taken or self._place.open(self._address.key, 0, None, told.etag)
            try:
                return self._poured(path, taken, told)
            finally:
                taken.close()

        first = [reading]
        found = self._patience.ask(self._address, lambda: bring(first))
        if found != told.digest:
            path.unlink()
            raise _Wrong(self._address, told, found)
        path.replace(self._target)
        self._arrived(told.size)

    def _poured(self, path: Path, reading: Reading, told: Found) -> bytes:
        """Write all that is read to a file; return its digest, no bytes where none is told."""
        running = digests.begin(told.algorithm) if told.algorithm else None
        left = told.size
        buffer = memoryview(bytearray(min(CHUNK, left)))
        with path.open("wb", buffering=0) as file:
            while left:
                self._patience.check(self._address)
                count = reading.into(buffer[:left])
                if not count:
                    raise StoreAway(f"{self._address}: the store sent too little")
                data = buffer[:count]
                if running is not None:
                    running.update(data)
                file.write(data)
                left -= count
        return b"" if running is None else running.digest()

    def _bring(self, file: Partial, told: Found, reading: Reading | None) -> None:
        """Have all missing pieces brought, by several streams."""
        runs = file.missing(_STREAMS, _LARGE)
        self._arrived(told.size - sum(end - at for at, end in runs))
        if not runs and reading is not None:
            reading.close()
        waiting = iter(runs[1:])
        beside = [
            threading.Thread(target=self._work, args=(file, told, waiting), daemon=True)
            for _ in range(min(len(runs), _STREAMS) - 1)
        ]
        for thread in beside:
            thread.start()
        self._work(file, told, itertools.chain(runs[:1], waiting), reading)
        for thread in beside:
            thread.join()
        if self._trouble:
            raise self._trouble[0]

    def _work(
        self,
        file: Partial,
        told: Found,
        runs: Iterator[tuple[int, int]],
        reading: Reading | None = None,
    ) -> None:
        """Bring runs of pieces until there are no more; the first trouble ends all streams."""
        try:
            for stretch in runs:
                self._bring_run(file, told, stretch, reading)
                reading = None
        except BaseException as error:  # noqa: BLE001 - carried to the thread that waits
            self._trouble.append(error)

    def _bring_run(
        self, file: Partial, told: Found, stretch: tuple[int, int], reading: Reading | None
    ) -> None:
        at, end = stretch
        progress = _Progress(file, told, at, end)
        waiting = Waiting(self._patience, self._address)
        while progress.at < end and not self._trouble:
            at = progress.at
            try:
                if reading is None:
                    reading = self._place.open(self._address.key, at, end, told.etag)
                    self._compare(reading.found, told)
                self._pour(reading, progress)
            except StoreAway as away:
                if progress.at > at:
                    waiting.progressed()
                waiting.after(away)
            finally:
                if reading is not None:
                    reading.close()
                    reading = None

    def _compare(self, found: Found, told: Found) -> None:
        """Raise ``ObjectChanged`` if a stream is of another object; some stores have no ETags."""
        if not told.etag and (found.size, found.modified) != (told.size, told.modified):
            raise ObjectChanged(f"{self._address} was replaced meanwhile")

    def _pour(self, reading: Reading, progress: "_Progress") -> None:
        buffer = memoryview(bytearray(min(CHUNK, progress.end - progress.at)))
        while (room := progress.room(len(buffer))) and not self._trouble:
            self._patience.check(self._address)
            count = reading.into(buffer[:room])
            if not count:
                raise StoreAway(f"{self._address}: the store sent too little")
            progress.take(buffer[:count])
            self._arrived(count)

    def _opened(self, offset: int, end: int | None, etag: str) -> Reading:
        key = self._address.key
        return self._patience.ask(self._address, lambda: self._place.open(key, offset, end, etag))

    def _check(self, file: Partial, path: Path, told: Found) -> None:
        """Raise ``_Wrong`` unless the bytes are those that the store has a checksum of."""
        if not told.algorithm:
            return
        if told.algorithm in digests.CRCS:
            found = digests.joined(told.algorithm, file.crcs(digests.SIZES[told.algorithm]))
        else:
            found = checksums.of_file(told.algorithm, path, told.size)
        if found != told.digest:
            raise _Wrong(self._address, told, found)


class _Progress:
    """How far a stream came, and the CRC of the piece it is in."""

    def __init__(self, file: Partial, told: Found, at: int, end: int) -> None:
        self._file = file
        self._algorithm = told.algorithm if told.algorithm in digests.CRCS else ""
        self._running = self._begun()
        self.at = at
        self.end = end

    def room(self, most: int) -> int:
        """Return how many bytes may come next: a piece ends where it ends."""
        return min(most, self.end - self.at, PIECE - self.at % PIECE)

    def take(self, data: memoryview) -> None:
        """Keep the next bytes."""
        self._file.write(data, self.at)
        if self._running is not None:
            self._running.update(data)
        self.at += len(data)
        if self.at % PIECE == 0 or self.at == self.end:
            crc = b"" if self._running is None else self._running.digest()
            self._file.done((self.at - 1) // PIECE, crc)
            self._running = self._begun()

    def _begun(self) -> digests.Digest | None:
        return digests.begin(self._algorithm) if self._algorithm else None

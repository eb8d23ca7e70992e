"""Reads parts of an object as a program asks for them, and ahead of it where it goes straight on.

    random     what is asked for, rounded up
    straight   ranges that double up to ``_LONGEST``, the next one fetched while one is read

What is fetched is dropped once it was handed over: the kernel keeps it. All readers of a channel
share one ``Room``, so that many open files take no more memory than few.
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Protocol

from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Cancelled, ObjectChanged

ROOM: Final = 32 << 20
"""Bytes fetched and not yet handed over, for all files of a channel together."""
WORKERS: Final = 16
"""Ranges that are fetched at the same time."""
_LONGEST: Final = 8 << 20
_FIRST: Final = 1 << 20
"""Bytes of the first range of a file; most files are shorter."""
_LEAST: Final = 128 << 10
"""Bytes fetched at least: what an answer weighs beside the time that asking takes."""
_NEAR: Final = 1 << 20
"""How far apart two reads that go straight on may come: the kernel asks for several at once."""
_PARTS: Final = 4
"""Ranges that one file keeps at most."""


class Reading(Protocol):
    """An open file. Safe to share between threads."""

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset``, fewer only at the end.

        Raises:
            ObjectChanged, ObjectMissing: the object is not the one that was listed.
            StoreError: the store refused, or stayed away.
            OSError: a file of this machine can't be read.
        """
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class Room:
    """Memory that is shared."""

    def __init__(self, size: int = ROOM) -> None:
        self._free = size
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take some, if there is that much."""
        with self._lock:
            if size > self._free:
                return False
            self._free -= size
            return True

    def give(self, size: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self._free += size


class LocalReading:
    """A file of this machine, by its descriptor; the descriptor is this object's from now on."""

    def __init__(self, fd: int, name: object) -> None:
        """Read what is open as ``fd``; ``name`` is for messages."""
        self._fd, self._name = fd, name
        self._state = _state(fd)

    def read(self, offset: int, size: int) -> bytes:
        """See ``Reading``."""
        data = os.pread(self._fd, size, offset)
        if _state(self._fd) != self._state:
            raise ObjectChanged(f"{self._name} was written to while it was read")
        return data

    def close(self) -> None:
        """See ``Reading``."""
        os.close(self._fd)


def _state(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_size, found.st_mtime_ns


class LateReading:
    """A file that is opened when it is first read.

    Opening may take as long as a store is away, and a program that waits for an open can't be
    killed, while one that waits for bytes can.
    """

    def __init__(self, make: Callable[[], Reading]) -> None:
        """Read what ``make`` returns."""
        self._make = make
        self._lock = threading.Lock()
        self._made: Reading | None = None

    def read(self, offset: int, size: int) -> bytes:
        """See ``Reading``."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return self._made.read(offset, size)

    def close(self) -> None:
        """See ``Reading``."""
        with self._lock:
            if self._made is not None:
                self._made.close()


class _Part:
    """One range of the object, that a worker fetches."""

    def __init__(self, start: int, end: int, *, counted: bool) -> None:
        self.start, self.end = start, end
        self.counted = counted
        """Whether the room counts it."""
        self.data = bytearray()
        self.fetching: Future[None] = Future()
        """Done when no more of it comes; carries whatever went wrong to the threads that read."""
        self.dropped = False
        self.served = 0
        """Bytes handed over; each is asked for once."""
        self.awaited = 0
        """Threads that wait for it."""

    def has(self, end: int) -> bool:
        """Tell whether everything before ``end`` has come, or never will."""
        return self.fetching.done() or self.start + len(self.data) >= min(end, self.end)


class RemoteReading:
    """An object of a store."""

    def __init__(
        self,
        objects: RemoteObjects,
        address: Address,
        entry: Entry,
        *,
        room: Room,
        workers: ThreadPoolExecutor,
    ) -> None:
        """Read the object that ``entry`` is about, and no other that gets its name."""
        self._objects, self._address, self._entry = objects, address, entry
        self._room, self._workers = room, workers
        self._changed = threading.Condition()
        self._parts: list[_Part] = []
        self._front = 0
        """Where a read would go straight on."""
        self._length = 0
        """Bytes of the last range; 0 when reads go here and there."""

    def read(self, offset: int, size: int) -> bytes:
        """See ``Reading``."""
        end = min(offset + size, self._entry.size)
        found = []
        with self._changed:
            while offset < end:
                part = self._part_at(offset) or self._begin(offset, end)
                upto = min(end, part.end)
                found.append(self._awaited(part, offset, upto))
                offset = upto
            self._look_ahead(offset)
        return found[0] if len(found) == 1 else b"".join(found)

    def close(self) -> None:
        """See ``Reading``."""
        with self._changed:
            for part in list(self._parts):
                self._drop(part)

    def _awaited(self, part: _Part, offset: int, end: int) -> bytes:
        """Return bytes of a range, as soon as they have come."""
        part.awaited += 1
        self._changed.wait_for(lambda: part.has(end))
        part.awaited -= 1
        if part.fetching.done() and (trouble := self._trouble(part)) is not None:
            self._drop(part)
            raise trouble
        data = bytes(memoryview(part.data)[offset - part.start : end - part.start])
        part.served += end - offset
        if part.served >= part.end - part.start:
            self._drop(part)
        return data

    def _part_at(self, offset: int) -> _Part | None:
        return next((p for p in self._parts if p.start <= offset < p.end), None)

    def _begin(self, offset: int, end: int) -> _Part:
        """Have the bytes from ``offset`` fetched, with more behind them if that seems wise."""
        straight = self._front <= offset <= self._front + _NEAR
        if straight:
            self._length = min(max(self._length * 2, _FIRST), _LONGEST)
        else:
            self._length = 0
        wanted = max(end - offset, self._length or _LEAST)
        part = self._asked(offset, offset + wanted) or self._asked(offset, end, counted=False)
        if part is None:
            raise RuntimeError("what is not counted always has room")
        if straight or not self._length:
            self._front = part.end
        return part

    def _look_ahead(self, offset: int) -> None:
        """Have the next range fetched once most of the last one was read."""
        left = self._front - offset
        if not self._length or self._front >= self._entry.size or not 0 <= 2 * left <= self._length:
            return
        if self._part_at(self._front) is None:
            length = min(self._length * 2, _LONGEST)
            if (part := self._asked(self._front, self._front + length)) is not None:
                self._length, self._front = length, part.end

    def _asked(self, start: int, end: int, *, counted: bool = True) -> _Part | None:
        """Return a range that is being fetched; None when there is no room for it."""
        end = min(end, self._entry.size)
        for old in [each for each in self._parts if not each.awaited][: -_PARTS + 1]:
            self._drop(old)
        if counted and not self._room.take(end - start):
            return None
        part = _Part(start, end, counted=counted)
        self._parts.append(part)
        part.fetching = self._workers.submit(self._fetch, part)
        part.fetching.add_done_callback(self._wake)
        return part

    def _drop(self, part: _Part) -> None:
        if part.dropped:
            return
        part.dropped = True
        if part in self._parts:
            self._parts.remove(part)
        if part.counted:
            self._room.give(part.end - part.start)

    def _fetch(self, part: _Part) -> None:
        """Fill a range; in a worker."""
        for piece in self._pieces(part):
            with self._changed:
                part.data += piece
                self._changed.notify_all()
                if part.dropped:
                    return

    def _wake(self, _: object) -> None:
        with self._changed:
            self._changed.notify_all()

    def _trouble(self, part: _Part) -> BaseException | None:
        """Return why a range that no more comes of is not whole; None when it is."""
        if part.fetching.cancelled():
            return Cancelled(f"{self._address}: nobody reads it any more")
        trouble = part.fetching.exception()
        if trouble is None and len(part.data) < part.end - part.start:
            return self._short(part)
        return trouble

    def _pieces(self, part: _Part) -> Iterator[memoryview]:
        if part.dropped:
            return iter(())
        return self._objects.stream(
            self._address,
            offset=part.start,
            length=part.end - part.start,
            etag=self._entry.etag,
        )

    def _short(self, part: _Part) -> Exception:
        if part.dropped:
            return Cancelled(f"{self._address}: nobody reads it any more")
        return ObjectChanged(
            f"{self._address} had {self._entry.size} bytes when it was listed, and has "
            f"{part.start + len(part.data)}"
        )

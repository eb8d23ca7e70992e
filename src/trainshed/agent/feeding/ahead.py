"""Has the next objects ready while one is being read, so that many small ones do not crawl."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from trainshed.agent.channels.items import BadInput
from trainshed.agent.feeding.parts import Part
from trainshed.domain.errors import ObjectMissing
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.store import RemoteObjects

_HEAD: Final = 1 << 20
"""Bytes of an object that are asked for before its turn."""
_UNKNOWN: Final = 2 * _HEAD
"""Bytes that an object may take before its turn when nobody knows its size: the pieces it comes in
are about as large as the head."""
_CREW: Final = 8
_MOST: Final = 64
"""Objects that wait for their turn."""


@dataclass(slots=True)
class Begun:
    """A part whose turn has come. Whoever takes it closes it."""

    part: Part
    head: list[memoryview] = field(default_factory=list)
    rest: Iterator[memoryview] | None = None
    """What follows the head; None when it is all."""
    file: int = -1
    """A descriptor of all its bytes, where they lie on this machine; -1 elsewhere."""

    @property
    def pieces(self) -> Iterator[bytes | memoryview]:
        """Its bytes, once."""
        if self.file >= 0:
            return iter(lambda: os.read(self.file, _HEAD), b"")
        return chain(self.head, self.rest or ())

    @property
    def size(self) -> int:
        """How many bytes it has; -1 where that is not known yet."""
        if self.file >= 0:
            return os.fstat(self.file).st_size
        return sum(map(len, self.head)) if self.rest is None else self.part.size

    def close(self) -> None:
        """Let go of it."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1


class Ahead:
    """Begins objects in threads of its own, within a bound of memory."""

    def __init__(self, objects: RemoteObjects, budget: int) -> None:
        """Let what waits for its turn take ``budget`` bytes."""
        self._objects = objects
        self._budget = budget
        self._crew = ThreadPoolExecutor(_CREW, thread_name_prefix="ahead")

    def begun(self, parts: Iterator[Part]) -> Iterator[Begun]:
        """Yield the parts in their order, begun.

        Raises:
            BadInput: one is not there.
            StoreError: one could not be read.
        """
        waiting: deque[tuple[Part, Future[Begun] | None]] = deque()
        held = 0
        try:
            while True:
                while held < self._budget and len(waiting) < _MOST:
                    part = next(parts, None)
                    if part is None:
                        break
                    held += _cost(part)
                    waiting.append((part, self._asked(part)))
                if not waiting:
                    return
                part, asked = waiting.popleft()
                held -= _cost(part)
                yield self._begin(part) if asked is None else asked.result()
        finally:
            for _, asked in waiting:
                if asked is not None and not asked.cancel():
                    asked.add_done_callback(_drop)

    def close(self) -> None:
        """Begin nothing more."""
        self._crew.shutdown(wait=False, cancel_futures=True)

    def _asked(self, part: Part) -> "Future[Begun] | None":
        """Have a part begun; None where that takes no time worth a thread's."""
        if part.address is None or part.address.scheme == "file":
            return None
        return self._crew.submit(self._begin, part)

    def _begin(self, part: Part) -> Begun:
        if part.address is None:
            return Begun(part, [memoryview(part.text)])
        try:
            return self._found(part, part.address)
        except ObjectMissing as missing:
            named = f" ({part.named_in} names it)" if part.named_in else ""
            raise BadInput(f"ClientError: Data download failed:{missing}{named}") from missing

    def _found(self, part: Part, address: Address) -> Begun:
        entry = None if part.size < 0 else Entry(address.key, part.size, part.etag)
        file = self._objects.opened(address, entry)
        if file is not None:
            return Begun(part, file=file)
        pieces = self._objects.stream(address, etag=part.etag)
        head: list[memoryview] = []
        held = 0
        for piece in pieces:
            head.append(piece)
            held += len(piece)
            if held >= _HEAD and held != part.size:
                return Begun(part, head, pieces)
        return Begun(part, head)


def _drop(begun: "Future[Begun]") -> None:
    if begun.exception() is None:
        begun.result().close()


def _cost(part: Part) -> int:
    if part.address is None:
        return len(part.text)
    return _UNKNOWN if part.size < 0 else min(part.size, _UNKNOWN)

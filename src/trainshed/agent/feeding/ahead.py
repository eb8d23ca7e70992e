"""Has the next objects ready while one is being read, so that many small ones do not crawl."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from trainshed.agent.channels import BadInput
from trainshed.agent.feeding.parts import Part
from trainshed.domain.errors import ObjectMissing
from trainshed.stores.objects.addresses import Address
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
    """A part whose turn has come."""

    part: Part
    head: list[memoryview] = field(default_factory=list)
    rest: Iterator[memoryview] | None = None
    """What follows the head; None when it is all."""

    @property
    def pieces(self) -> Iterator[memoryview]:
        """Its bytes, once."""
        return chain(self.head, self.rest or ())

    @property
    def size(self) -> int:
        """How many bytes it has; -1 where that is not known yet."""
        return sum(map(len, self.head)) if self.rest is None else self.part.size


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
                yield Begun(part, [memoryview(part.text)]) if asked is None else asked.result()
        finally:
            for _, asked in waiting:
                if asked is not None:
                    asked.cancel()

    def close(self) -> None:
        """Begin nothing more."""
        self._crew.shutdown(wait=False, cancel_futures=True)

    def _asked(self, part: Part) -> "Future[Begun] | None":
        return None if part.address is None else self._crew.submit(self._begin, part, part.address)

    def _begin(self, part: Part, address: Address) -> Begun:
        try:
            return self._headed(part, address)
        except ObjectMissing as missing:
            named = f" ({part.named_in} names it)" if part.named_in else ""
            raise BadInput(f"ClientError: Data download failed:{missing}{named}") from missing

    def _headed(self, part: Part, address: Address) -> Begun:
        pieces = self._objects.stream(address, etag=part.etag)
        head: list[memoryview] = []
        held = 0
        for piece in pieces:
            head.append(piece)
            held += len(piece)
            if held >= _HEAD and held != part.size:
                return Begun(part, head, pieces)
        return Begun(part, head)


def _cost(part: Part) -> int:
    if part.address is None:
        return len(part.text)
    return _UNKNOWN if part.size < 0 else min(part.size, _UNKNOWN)

"""Who hears of a change at once, within one process.

The stores mark what they have written; the engine and the followers of a job wait here instead of
asking again and again.
"""

import asyncio
from typing import Protocol
from weakref import WeakSet


class Marker(Protocol):
    """Who is told of changes."""

    def mark(self, arn: str) -> None:
        """Wake those who wait for a change of the job."""
        ...


class InProcessChanges:
    """Changes of jobs, heard on the event loop where they are marked.

    One object is for one waiter. ``watch`` makes a further one; each of them hears every mark made
    through any of them from its making on, so each must be waited on again and again, or dropped.
    """

    def __init__(self) -> None:
        """Begin to hear."""
        self._arns: set[str] = set()
        self._marked = asyncio.Event()
        self._all: WeakSet[InProcessChanges] = WeakSet([self])

    def watch(self) -> "InProcessChanges":
        """Return a further waiter, which hears every change from now on."""
        other = InProcessChanges()
        self._all.add(other)
        other._all = self._all
        return other

    def mark(self, arn: str) -> None:
        """Tell every waiter that the job has changed; call it once the change is on disk."""
        for each in self._all:
            each._arns.add(arn)
            each._marked.set()

    async def next(self, seconds: float) -> frozenset[str]:
        """Return the ARNs changed since the last call; wait up to ``seconds`` for the first."""
        if not self._arns:
            try:
                async with asyncio.timeout(seconds):
                    await self._marked.wait()
            except TimeoutError:
                return frozenset()
        found = frozenset(self._arns)
        self._arns.clear()
        self._marked.clear()
        return found

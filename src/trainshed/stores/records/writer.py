"""One thread that writes: changes that wait together share a transaction.

Each caller is answered once its own change is on disk, so a flush of the disk serves many. What a
transaction is, is the database's affair; here is who waits, and who is told.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from time import perf_counter
from typing import Any, Final, Generic, TypeVar

from trainshed.domain.errors import StoreError
from trainshed.stores.figures import WriteTally
from trainshed.stores.records.base import Connection

T = TypeVar("T")

_BATCH: Final = 512
"""Most changes that share one transaction; bounds how long the first of them waits."""


class Write(Generic[T]):
    """One caller's work, and its answer."""

    __slots__ = ("_after", "_done", "_result", "_work", "error", "loop")

    def __init__(
        self,
        work: Callable[[Connection], T],
        after: Callable[[T], None] | None,
        loop: asyncio.AbstractEventLoop,
        done: "asyncio.Future[T]",
    ) -> None:
        self._work = work
        self._after = after
        self._done = done
        self._result: T
        self.loop = loop
        self.error: Exception | None = None
        """Why nothing of it stands, or why nobody knows."""

    def run(self, connection: Connection, database: type[Exception]) -> None:
        """Do the work; what it raises of its own accord is kept as ``error``.

        Raises:
            Exception: of the class ``database``, which who runs it has to judge.
        """
        self.error = None
        try:
            self._result = self._work(connection)
        except database:
            raise
        except Exception as error:  # noqa: BLE001 - it is the caller's, who gets it
            self.error = error

    def answer(self) -> None:
        """Tell the caller, on its event loop."""
        if self.error is None and self._after is not None:
            self._after(self._result)
        if self._done.done():  # cancelled
            return
        if self.error is not None:
            self._done.set_exception(self.error)
        else:
            self._done.set_result(self._result)


class Writer:
    """A queue of changes, and the thread that commits them in batches."""

    def __init__(self, name: str, commit: Callable[[Sequence[Write[Any]]], None]) -> None:
        """Begin.

        Args:
            name: what the thread is called, and what is said to be closed.
            commit: runs on the thread. It runs each work of a batch and sees to it that all that
                it did not give an ``error`` are on disk; it never raises.
        """
        self._name = name
        self._commit = commit
        self._closed = False
        self.tally = WriteTally()
        """How it went so far."""
        self._queue: SimpleQueue[Write[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def write(
        self, work: Callable[[Connection], T], after: Callable[[T], None] | None = None
    ) -> T:
        """See ``Database.write``."""
        if self._closed:
            raise StoreError(f"nothing was written: {self._name} was closed")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._queue.put(Write(work, after, loop, done))
        return await done

    def close(self) -> bool:
        """Do all that was asked for, and end the thread; False when that was done before."""
        if self._closed:
            return False
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        return True

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            last = False
            while len(batch) < _BATCH and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    last = True
                    break
                batch.append(following)
            began = perf_counter()
            self._commit(batch)
            self.tally.batch.note(len(batch))
            self.tally.seconds.note(perf_counter() - began)
            for loop in {write.loop for write in batch}:
                # A loop that closed meanwhile has nobody left who waits; the writes stand.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(_answer, [w for w in batch if w.loop is loop])
            if last:
                return


def _answer(batch: list[Write[Any]]) -> None:
    for write in batch:
        write.answer()

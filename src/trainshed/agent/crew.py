"""Threads that work a queue down; the first trouble ends them all."""

import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Generic, TypeVar

T = TypeVar("T")


class Crew(Generic[T]):
    """Does one thing to many things, side by side. A context: at its end all is done."""

    def __init__(self, work: Callable[[T], None], size: int) -> None:
        """Have ``work`` called in up to ``size`` threads."""
        self._work = work
        self._size = size
        self._waiting: Queue[T | None] = Queue(maxsize=2 * size)
        self._trouble: BaseException | None = None
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "Crew[T]":
        return self

    @property
    def failed(self) -> bool:
        """Whether there was trouble; what is under way elsewhere is of no use then."""
        return self._trouble is not None

    def take(self, thing: T) -> None:
        """Have ``thing`` worked on; wait while enough others are under way.

        Raises:
            BaseException: whatever ``work`` raised for an earlier one.
        """
        if self._trouble is not None:
            raise self._trouble
        if len(self._threads) < self._size:
            thread = threading.Thread(target=self._run, daemon=True)
            thread.start()
            self._threads.append(thread)
        self._waiting.put(thing)

    def __exit__(self, kind: object, error: BaseException | None, *_: object) -> None:
        if error is not None:
            self._note(error)
        for _thread in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        # What came first is the reason; what ended because of it is none.
        if self._trouble is not None and self._trouble is not error:
            raise self._trouble from None

    def _note(self, error: BaseException) -> None:
        with self._lock:
            self._trouble = self._trouble or error

    def _run(self) -> None:
        for thing in self._taken():
            try:
                self._work(thing)
            except BaseException as error:  # noqa: BLE001 - carried to the thread that waits
                self._note(error)

    def _taken(self) -> Iterator[T]:
        """Yield what is to be done; once something failed only empty the queue."""
        while (thing := self._waiting.get()) is not None:
            if self._trouble is None:
                yield thing

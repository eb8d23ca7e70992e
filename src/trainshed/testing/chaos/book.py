"""What the clients of a chaos run know: what they asked for, and what they were answered.

Kept apart from the system under test: the judge holds the two against each other.
"""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from trainshed.testing.chaos.orders import Order

ABSENT: Final = "nothing"
"""Stands for the bytes of an object that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A client's call that failed after its normal retries; moments of the monotonic clock."""

    operation: str
    began: float
    ended: float
    error: str


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which no server could answer: none lived, or the database was away."""

    began: float
    ended: float

    def touches(self, call: Call) -> bool:
        """Tell whether a call can have failed for it."""
        return call.began <= self.ended and self.began <= call.ended


@dataclass(kw_only=True)
class Promise:
    """A job that was asked for, and what its client was told."""

    order: Order
    answered: bool = False
    """Whether its Create was answered."""
    stop_asked: bool = False
    stop_answered: bool = False
    ended: str = ""
    """The status that a client saw it end with."""
    delete_asked: bool = False
    delete_answered: bool = False
    killed: bool = False
    """Whether a program of it was killed, and nothing else: that counts as its own failure."""


@dataclass(kw_only=True)
class Book:
    """Safe to share between threads."""

    promises: dict[str, Promise] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    """By operation, those that were answered."""
    failures: list[Call] = field(default_factory=list)
    objects: dict[str, set[str]] = field(default_factory=dict)
    """By key, what may be there: digests of bytes, or ``ABSENT``."""
    misread: list[str] = field(default_factory=list)
    """Objects that were read as what they can't be."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, backend: str = "") -> list[Promise]:
        """Return what was answered, on a backend or on all, and nobody saw end yet."""
        with self.lock:
            return [
                each
                for each in self.promises.values()
                if each.answered and not each.ended and backend in {"", each.order.backend}
            ]

    def add(self, order: Order) -> Promise:
        """Write down that a job is asked for."""
        with self.lock:
            promise = self.promises[order.name] = Promise(order=order)
            return promise

    def answered(self, operation: str) -> None:
        """Count a call."""
        with self.lock:
            self.calls[operation] += 1

    def note_misread(self, what: str) -> None:
        """Write down that an object was not what it must be."""
        with self.lock:
            self.misread.append(what)

    def failed(self, call: Call) -> None:
        """Write a call down that failed."""
        with self.lock:
            self.failures.append(call)


def unexcused(failures: Iterable[Call], outages: Iterable[Outage]) -> list[Call]:
    """Return the calls that failed while a server lived all the time."""
    known = list(outages)
    return [call for call in failures if not any(each.touches(call) for each in known)]

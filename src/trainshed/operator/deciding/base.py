"""What deciding over an object takes and gives: plain values.

A pass over an object is a conversation of ``decide`` with the world. ``decide`` is given the object
and what was answered so far; it says what to write and, at most, one call to make. It is asked
again with the answer, until it has no more to say. It is pure and total, so a pass may break off
anywhere and begin anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from trainshed.operator.kinds.base import Kind
from trainshed.operator.objects import Object, Place

THROTTLED: Final = "Throttled"
"""The trouble of a service that asks for fewer requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the service."""

    operation: str
    params: Mapping[str, Any]
    stale: frozenset[str] = frozenset()
    """Operations whose answers this call makes old."""


@dataclass(frozen=True, slots=True)
class Told:
    """The service carried a call out."""

    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """The service, or its client, will not carry out a call, however often it is made."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A call came to nothing, and may come to something later."""

    reason: str
    """One word for a condition, such as ``ServiceUnreachable``."""
    message: str
    """What is wrong and what to do; the same text while the same is wrong."""


Answer = Told | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known in a pass, beside the object."""

    now: datetime
    endpoint: str = ""
    """Where the object's calls go; "" for Amazon's."""
    patience: timedelta
    """How long a deletion may wait for the service."""
    answers: Mapping[str, Answer] = field(default_factory=dict)
    """By operation, those of this pass that are not stale."""
    trouble: Trouble | None = None
    """Why the last call came to nothing; a pass makes no further one then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An Event to tell of."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to write, then what to call. Nothing of it where the world is as it should be."""

    notices: tuple[Notice, ...] = ()
    """Told of first: a crash behind them tells them again, as one Event that counts."""
    status: Mapping[str, Any] | None = None
    """The members of the status that should differ, with None for what should go."""
    patch: Mapping[str, Any] | None = None
    """What should differ in metadata and spec."""
    call: Call | None = None
    """Made once everything is written."""
    retry: bool = False
    """Whether to begin anew after a pause, which grows each time."""
    look_at: datetime | None = None
    """When to look again though nothing tells of a change."""


class Deciding(Protocol):
    """How objects of one kind are dealt with. Pure."""

    @property
    def kind(self) -> Kind:
        """What stands fixed about them."""
        ...

    def decide(self, thing: Object, seen: Seen) -> Decision:
        """Return what is to be done next."""
        ...

    def place(self, thing: Object) -> Place:
        """Return the service that an object's calls go to."""
        ...

    def awaited(self, thing: Object) -> str:
        """Return the name of the resource whose changes matter to an object; "" when none does."""
        ...

"""What every place promises that lines can be read from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from trainshed.client.errors import ClientError
from trainshed.operator.smlogs.lines import Line

NO_CREDENTIALS: Final = "NoCredentials"
"""Code of the ``ApiError`` of a place that this machine has no keys for."""


class UnknownThere(ClientError):
    """The place that was asked has no such job (yet)."""


class NoSource(ClientError):
    """Nobody who was asked has the job's lines.

    Attributes:
        later: whether somebody may have them later: it was reached, and does not know the job yet.
    """

    def __init__(self, tried: list[tuple[str, str]], later: bool) -> None:
        super().__init__(
            "nobody who was asked has its lines" + "".join(f"\n  {a}: {b}" for a, b in tried),
            "let whoever runs the server leave the Secret trainshed-logs, or set keys of AWS",
        )
        self.later = later


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which lines of a job are asked for."""

    job: str
    """The name it has at the service."""
    hosts: str = ""
    """Only hosts whose name begins so, such as ``algo-4``."""
    since: int | None = None
    """Only lines from that time on, milliseconds since the epoch."""
    tail: int | None = None
    """Of what is there at the first look, only so many lines, the last of all nodes together."""
    last_attempt: bool = False
    """Of what is there at the first look, only what each node's newest stream has."""

    @property
    def prefix(self) -> str:
        """How the names of its streams begin."""
        return f"{self.job}/{self.hosts}"


class Source(Protocol):
    """One place where a job's lines are."""

    @property
    def where(self) -> str:
        """For people: "the server at http://…"."""
        ...

    @property
    def lag(self) -> float:
        """Seconds after the end of a job in which the last lines of it may still arrive here."""
        ...

    def check(self) -> None:
        """Return when the job has lines there, or is known there and may have some later.

        Raises:
            UnknownThere: there is no such job (yet).
            ApiError, Forbidden: it refused to tell.
            ServerUnreachable: it did not answer.
        """
        ...

    def look(self) -> Iterator[Line]:
        """Yield the lines that are new since the last look, of all nodes, by time.

        Nothing is told twice or left out, however often it is called. A look that broke off with an
        error may be followed by another.

        Raises:
            ApiError, Forbidden: it refused.
            ServerUnreachable: it did not answer.
        """
        ...

"""What is there when a chaos run is over: values, for the judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trainshed.domain.facts import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A job as it is described."""

    id: str
    status: str
    reason: str = ""
    transitions: Sequence[str] = ()
    model: Mapping[str, bytes] | None = None
    """Files of its model; None where there is no archive."""
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """What a local program noted outside."""

    what: str
    """``begin``, ``done``, ``stopped``, ``failed``; ``overlap`` where another one ran."""
    attempt: str
    lines: int = 0
    """How many lines it had written."""


@dataclass(frozen=True, slots=True)
class Stay:
    """From when until when a simulated node ran, in seconds since the epoch."""

    attempt: int
    began: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that was found."""

    jobs: Mapping[str, Seen]
    """By name; a job that nobody knows is missing."""
    runs: Mapping[tuple[str, str], Sequence[Run]] = field(default_factory=dict)
    """By job name and host."""
    stays: Mapping[tuple[str, str], Sequence[Stay]] = field(default_factory=dict)
    """By job id and host."""
    streams: Mapping[tuple[str, str, str], Sequence[str]] = field(default_factory=dict)
    """Lines of the log, by job id, attempt and host."""
    acknowledged_facts: Mapping[str, Mapping[int, Fact]] = field(default_factory=dict)
    """By node id and number."""
    acknowledged_lines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By node id."""
    facts: Mapping[str, Mapping[int, Fact]] = field(default_factory=dict)
    """What the records have, by node id and number."""
    taken: Mapping[str, int] = field(default_factory=dict)
    """The number of the last fact that the records have taken, by node id."""
    objects: Mapping[str, str] = field(default_factory=dict)
    """Digests of what users keep in the bucket, by key."""
    left: Sequence[str] = ()
    """Processes, folders, mounts, and what garbage collection finds."""
    troubles: Sequence[str] = ()
    """What else should not be: a server that did not start or end."""

"""What deciding over a job takes and gives: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trainshed.domain.facts import Fact
from trainshed.domain.training import Attempt, TrainingJob
from trainshed.engine.scheduling import Admission


@dataclass(frozen=True, slots=True, kw_only=True)
class Hopeless:
    """A node that its place will never start."""

    reason: str
    """Why, as a FailureReason."""
    since: datetime
    """When it was first seen so by this server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was gathered about one job."""

    now: datetime
    backend: str
    """Where its next attempt would go, should the admission name no other."""
    admission: Admission | None = None
    """For a job without an attempt: whether it may start."""
    facts: Mapping[str, tuple[Fact, ...]] = field(default_factory=dict)
    """By host, of the current attempt."""
    gone: frozenset[str] = frozenset()
    """Hosts whose agents vanished before their last fact was taken."""
    taken: Mapping[str, str] = field(default_factory=dict)
    """By host, of nodes that the place took away before their last fact was taken: who did and why,
    "" where nobody knows."""
    hopeless: Mapping[str, Hopeless] = field(default_factory=dict)
    """By host."""
    waiting: Mapping[str, str] = field(default_factory=dict)
    """By host, of nodes that have not begun yet: why, for people."""
    refusal: str = ""
    """Why planning or launching the attempt is hopeless, as a FailureReason; "" when it is not."""
    no_room: str = ""
    """Why nothing could be launched now, though it may be later; "" when it could."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The job as it should be, and what is to be done once that is written."""

    job: TrainingJob
    launch: bool = False
    """Launch the attempt's nodes (again, for those that are gone), then store their handles."""
    stop: Mapping[str, int] = field(default_factory=dict)
    """Host name to how it should have been told to stop by now: 1 with its grace, 2 at once."""
    interrupt: Mapping[str, float | None] = field(default_factory=dict)
    """Host name to the notice with which its driver should have been told to take it away."""
    retire: Attempt | None = None
    """An attempt whose nodes are to be removed before the job is written."""
    look_at: datetime | None = None
    """When to look again though nothing tells of a change; None when time alone decides nothing."""
    clean: bool = False
    """Remove the last attempt's nodes, and what they kept for a next job that does not come; then
    mark the job as cleaned."""

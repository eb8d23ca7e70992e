"""What the queue tells a job that waits: start, and where; never; or not yet, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trainshed.engine.scheduling.values import Group


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a job may start."""

    admitted: bool
    reason: str = ""
    """What it waits for; "" when it may start."""
    hopeless: str = ""
    """Why it will never start, as a FailureReason; "" when it may, now or later."""
    backend: str = ""
    """Where it starts; "" for the backend that the job itself is for."""
    instance_type: str = ""
    """What its nodes are there; "" for what the request names."""
    pool: str = ""
    """ARN of the job whose warm nodes it takes over; "" for nodes of its own."""
    pool_began: datetime | None = None
    """When the first job of that chain of warm pools got the nodes."""
    pool_chain: str = ""
    """That chain; see ``Attempt.pool_chain``."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a job is not let in yet."""

    kind: str
    """What is missing, as one word and what it is of: ``capacity/local``; the same for as long as
    the same is missing, so that a row is written anew only when something else is."""
    text: str
    """For the job's status: true for as long as the kind is the same."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first in line for something that is all taken: others may pass, but not delay it."""

    arn: str
    backend: str
    starts_by: float
    """When it starts at the latest, if nobody before it comes and running jobs end within their
    MaxRuntimeInSeconds; seconds since the epoch, ``inf`` when nothing tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the queue tells those who wait, and those who are in their way."""

    admissions: Mapping[str, Admission] = field(default_factory=dict)
    """By ARN: those that may start now, best first."""
    hopeless: Mapping[str, str] = field(default_factory=dict)
    """FailureReason by ARN, of those that can never start."""
    reasons: Mapping[Group, Reason] = field(default_factory=dict)
    """Why those who are in neither wait, by what they ask for."""
    preemptions: Mapping[str, str] = field(default_factory=dict)
    """ARN of a running job that is to make room, to the ARN of the job that gets it."""
    releases: tuple[str, ...] = ()
    """ARNs of jobs whose warm nodes are to be let go, because others wait for the room."""
    heads: tuple[Head, ...] = ()

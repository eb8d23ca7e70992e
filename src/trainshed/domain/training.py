"""A training job: what was asked, where it stands, which moves are lawful.

Words are the SageMaker API's own, so a user meets the same word in the CLI, in
``describe-training-job`` and here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from trainshed.domain.errors import IllegalMove
from trainshed.domain.names import is_within


class TrainingJobStatus(StrEnum):
    """The coarse status; derived from ``SecondaryStatus``."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"


class SecondaryStatus(StrEnum):
    """Where a job stands. ``MOVES`` says what may follow what."""

    STARTING = "Starting"
    PENDING = "Pending"
    DOWNLOADING = "Downloading"
    TRAINING = "Training"
    UPLOADING = "Uploading"
    INTERRUPTED = "Interrupted"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"
    MAX_RUNTIME_EXCEEDED = "MaxRuntimeExceeded"
    MAX_WAIT_TIME_EXCEEDED = "MaxWaitTimeExceeded"


_S = SecondaryStatus
_ENDS = frozenset({_S.FAILED, _S.STOPPING})

MOVES: Final[Mapping[SecondaryStatus, frozenset[SecondaryStatus]]] = {
    _S.STARTING: frozenset({_S.PENDING, _S.DOWNLOADING, _S.TRAINING, _S.INTERRUPTED}) | _ENDS,
    _S.PENDING: frozenset({_S.STARTING}) | _ENDS,
    _S.DOWNLOADING: frozenset({_S.TRAINING, _S.UPLOADING, _S.INTERRUPTED}) | _ENDS,
    _S.TRAINING: frozenset({_S.UPLOADING, _S.INTERRUPTED}) | _ENDS,
    _S.UPLOADING: frozenset({_S.COMPLETED, _S.INTERRUPTED}) | _ENDS,
    _S.INTERRUPTED: frozenset({_S.STARTING}) | _ENDS,
    _S.STOPPING: frozenset(
        {_S.STOPPED, _S.MAX_RUNTIME_EXCEEDED, _S.MAX_WAIT_TIME_EXCEEDED, _S.FAILED}
    ),
    _S.COMPLETED: frozenset(),
    _S.FAILED: frozenset(),
    _S.STOPPED: frozenset(),
    _S.MAX_RUNTIME_EXCEEDED: frozenset(),
    _S.MAX_WAIT_TIME_EXCEEDED: frozenset(),
}
"""Every lawful move. docs/lifecycles.md draws this table; a test compares the two."""

MESSAGES: Final[Mapping[SecondaryStatus, str]] = {
    _S.STARTING: "Starting the training job",
    _S.PENDING: "Training job waiting for capacity",
    _S.DOWNLOADING: "Downloading input data",
    _S.TRAINING: "Training image download completed. Training in progress.",
    _S.UPLOADING: "Uploading generated training model",
    _S.INTERRUPTED: "Training job interrupted",
    _S.STOPPING: "Stopping the training job",
    _S.COMPLETED: "Training job completed",
    _S.FAILED: "Training job failed",
    _S.STOPPED: "Training job stopped",
    _S.MAX_RUNTIME_EXCEEDED: "Training job runtime exceeded MaxRuntimeInSeconds provided",
    _S.MAX_WAIT_TIME_EXCEEDED: "Training job wait time exceeded MaxWaitTimeInSeconds provided",
}
"""The service's wording of each status, as published notebooks show it."""

LAUNCHING: Final = "Launching requested ML instances"
PREPARING: Final = "Preparing the instances for training"
PULLING: Final = "Downloading the training image"


def status_of(secondary: SecondaryStatus) -> TrainingJobStatus:
    """Return the coarse status that goes with ``secondary``."""
    match secondary:
        case _S.COMPLETED:
            return TrainingJobStatus.COMPLETED
        case _S.FAILED:
            return TrainingJobStatus.FAILED
        case _S.STOPPED | _S.MAX_RUNTIME_EXCEEDED | _S.MAX_WAIT_TIME_EXCEEDED:
            return TrainingJobStatus.STOPPED
        case _S.STOPPING:
            return TrainingJobStatus.STOPPING
        case _:
            return TrainingJobStatus.IN_PROGRESS


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One entry of ``SecondaryStatusTransitions``."""

    status: SecondaryStatus
    start: datetime
    end: datetime | None = None
    message: str


class AttemptEnd(StrEnum):
    """Why an attempt ended while its job goes on."""

    INTERRUPTED = "Interrupted"
    """The place took a node back: spot, a disruption, a drill."""
    PREEMPTED = "Preempted"
    """Another job was given the nodes."""
    LOST = "Lost"
    """The platform failed."""
    UNPLACED = "Unplaced"
    """Its place had no room: nothing of it ever ran."""
    REFUSED = "Refused"
    """It can't be launched, now or later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAttempt:
    """An attempt that ended before its job did."""

    number: int
    backend: str
    instance_type: str = ""
    """See ``Attempt.instance_type``."""
    started: datetime
    """Tells its log streams apart from those of the others."""
    trained_from: datetime | None = None
    """When its first container began; None when none did."""
    ended: datetime
    end: AttemptEnd
    reason: str = ""
    """Why, for people."""
    kept_at: datetime | None = None
    """When its checkpoints were last kept, as old as those of its slowest node; None for never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One launch of all nodes of a job."""

    number: int
    """1 for the first."""
    backend: str
    started: datetime
    handles: Mapping[str, str] = field(default_factory=dict)
    """Host name to the driver's handle, as text; empty until the driver has launched."""
    relaunches: int = 0
    """How often lost agents of this attempt were started again over their journal."""
    stops: Mapping[str, int] = field(default_factory=dict)
    """Host name to how its driver was told to stop it: 1 with its grace, 2 at once."""
    instance_type: str = ""
    """What it runs on, where the job named several; "" for what the request names."""
    preempted_for: str = ""
    """ARN of the job that gets its nodes, once its checkpoints are safe; "" while it keeps them."""
    interrupted: tuple[str, ...] = ()
    """Hosts whose driver was told to take them away: for another job, or for a drill."""
    pool: str = ""
    """ARN of the job whose warm pool it runs on; "" for nodes of its own."""
    over: PastAttempt | None = None
    """What is to be remembered of it once it was given up: written before its nodes are removed."""
    removed: bool = False
    """Whether they are: no node can tell anything any more, so what was told by then counts."""
    pool_began: datetime | None = None
    """When the first job of that chain of warm pools got the nodes."""
    pool_chain: str = ""
    """That chain, by the attempt that got the nodes first: ``<job id>.<attempt>``; of nodes that it
    may begin a chain with, this attempt; "" for nodes that are nobody's but this job's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """A wish to have a node taken away on purpose."""

    wished: datetime
    notice: float
    """Seconds between the notice and the loss; 0 for a loss without any."""
    attempt: int
    """The attempt that it is meant for."""
    host: str
    told: bool = False
    """Whether the driver has been told."""


LONGEST_CHAIN: Final = timedelta(days=7)
"""How long nodes may go from job to job (developer guide, "managed warm pools")."""


class WarmPoolStatus(StrEnum):
    """What becomes of the nodes that a job kept warm (API model, WarmPoolResourceStatus)."""

    AVAILABLE = "Available"
    IN_USE = "InUse"
    REUSED = "Reused"
    TERMINATED = "Terminated"


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmPool:
    """The nodes of a job that is over, kept for the next one that matches."""

    status: WarmPoolStatus
    since: datetime
    """When its job was over."""
    until: datetime
    """When they are let go, if nobody takes them."""
    ended: datetime | None = None
    """When they were let go or taken over; None while they are Available."""
    chain_began: datetime
    """When the first job of the chain got the nodes."""
    reused_by: str = ""
    """ARN of the job that took them over."""

    def lasting(self, seconds: float) -> "WarmPool":
        """Return it with another period, which counts from the end of its job."""
        until = self.since + timedelta(seconds=seconds)
        return replace(self, until=min(until, self.chain_began + LONGEST_CHAIN))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """One request to train, and its fate so far."""

    arn: str
    name: str
    region: str
    account: str
    id: str
    """Unlike the name never used again: 12 hex digits, safe in a path."""
    request: Mapping[str, Any]
    """CreateTrainingJob as it came (without ``Tags``), in JSON values."""
    created: datetime
    modified: datetime
    backend: str = ""
    """Where it is to run; "" for the server's default."""
    shm: int = 0
    """Bytes of /dev/shm it asked for; 0 for the backend's own."""
    image_digest: str = ""
    """``sha256:…`` of the image it runs; "" until that is known, and where no image runs."""
    project: str = ""
    """Whose share and quota it counts for; "" for the default project."""
    priority: int = 50
    """0 to 99; the highest goes first."""
    preemptible: bool = False
    """Whether its nodes may be given to a job of higher priority."""
    instance_types: tuple[str, ...] = ()
    """What it may run on, best first; empty for what the request names."""
    secondary: SecondaryStatus = SecondaryStatus.STARTING
    transitions: tuple[Transition, ...] = ()
    stop_wish: datetime | None = None
    """When a user asked to stop it; the engine makes it true."""
    drill: Drill | None = None
    """The last wish to have a node taken away; the engine makes it true."""
    attempt: Attempt | None = None
    """The present one; None while the job waits for its nodes."""
    past: tuple[PastAttempt, ...] = ()
    """Those before it, oldest first."""
    attempts: int = 0
    """How often it was let in, also where nothing could be launched: no number is used twice."""
    pool: WarmPool | None = None
    """What became of its nodes, when it asked to have them kept warm."""
    training_start: datetime | None = None
    """When the first node of the first attempt began to download or train."""
    training_end: datetime | None = None
    failure_reason: str | None = None
    invocations: tuple[str, ...] = ()
    """What the clients called the last requests that changed it (``amz-sdk-invocation-id``): one
    that is sent again, because its answer was lost, is answered and not carried out again."""
    cleaned: bool = False
    """Whether the last attempt's nodes have been removed from their place; once a warm pool has
    ended, also whether what it kept has been."""

    @property
    def status(self) -> TrainingJobStatus:
        """The coarse status."""
        return status_of(self.secondary)

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return not MOVES[self.secondary]

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to be done for it: over, cleaned, no nodes kept warm."""
        kept = self.pool is not None and self.pool.status is WarmPoolStatus.AVAILABLE
        return self.over and self.cleaned and not kept

    @property
    def warm_status(self) -> WarmPoolStatus | None:
        """What DescribeTrainingJob calls WarmPoolStatus; None for a job without a warm pool."""
        if self.pool is not None:
            return self.pool.status
        runs = self.attempt is not None and not self.over
        return WarmPoolStatus.IN_USE if runs and self.keep_alive else None

    @property
    def keep_alive(self) -> float:
        """Seconds for which its nodes are to be kept warm for the next job; 0 for not at all."""
        resources = self.request.get("ResourceConfig") or {}
        return float(resources.get("KeepAlivePeriodInSeconds") or 0)

    @property
    def spot(self) -> bool:
        """Whether it runs on nodes that may be taken back at any time."""
        return bool(self.request.get("EnableManagedSpotTraining"))

    @property
    def warning(self) -> str:
        """What its first status tells besides, as the end of a message; "" for nothing."""
        config = self.request.get("CheckpointConfig")
        if self.spot and not config:
            return (
                ". Warning: managed spot training without a CheckpointConfig begins anew after "
                "each interruption"
            )
        output = (self.request.get("OutputDataConfig") or {}).get("S3OutputPath")
        if config and output and is_within(f"{output.rstrip('/')}/{self.name}", config["S3Uri"]):
            return (
                ". Warning: the output of this job goes below CheckpointConfig.S3Uri, so whoever "
                "goes on from these checkpoints gets it as one of them"
            )
        return ""

    @property
    def retries(self) -> int:
        """How many further attempts it may have after faults of the platform."""
        strategy = self.request.get("RetryStrategy") or {}
        return int(strategy.get("MaximumRetryAttempts") or 0)

    @property
    def outlives_its_nodes(self) -> bool:
        """Whether it would get another attempt if its present nodes were taken away or lost."""
        used = sum(each.end is not AttemptEnd.PREEMPTED for each in self.past)
        return self.spot or used < self.retries

    @property
    def wait_ends(self) -> datetime | None:
        """When the job must be over (MaxWaitTimeInSeconds); None where nothing was said."""
        limits = self.request.get("StoppingCondition") or {}
        seconds = limits.get("MaxWaitTimeInSeconds")
        return None if seconds is None else self.created + timedelta(seconds=float(seconds))

    @property
    def pending_ends(self) -> datetime | None:
        """When a job that waits for its nodes must have them (MaxPendingTimeInSeconds).

        Each wait counts from its own beginning. None where nothing was said, and while it has them.
        """
        limits = self.request.get("StoppingCondition") or {}
        seconds = limits.get("MaxPendingTimeInSeconds")
        if seconds is None or self.attempt is not None:
            return None
        since = self.past[-1].ended if self.past else self.created
        return since + timedelta(seconds=float(seconds))

    @property
    def instance_count(self) -> int:
        """Nodes asked for, over all instance groups."""
        resources = self.request.get("ResourceConfig", {})
        groups = resources.get("InstanceGroups") or ()
        if groups:
            return sum(int(group["InstanceCount"]) for group in groups)
        # Of several types that it prefers one is taken, as many of it as of each other.
        preferred = resources.get("InstancePreferences") or ()
        first = preferred[0] if preferred else {}
        return int(resources.get("InstanceCount") or first.get("InstanceCount") or 1)

    def noted(self, secondary: SecondaryStatus, message: str, *, at: datetime) -> "TrainingJob":
        """Return this job with another message on its last transition to ``secondary``.

        A job that has never been there stays as it is.
        """
        entries = list(self.transitions)
        last = next(
            (n for n in reversed(range(len(entries))) if entries[n].status is secondary), -1
        )
        if last < 0 or entries[last].message == message:
            return self
        entries[last] = replace(entries[last], message=message)
        return replace(self, transitions=tuple(entries), modified=max(at, self.modified))

    def moved_to(
        self, secondary: SecondaryStatus, *, at: datetime, message: str | None = None
    ) -> "TrainingJob":
        """Return this job in ``secondary``, the transition recorded.

        Moving to where the job stands replaces the last message, as the service does. Time never
        runs backwards in a job: an ``at`` before the last move is taken for the time of that.

        Raises:
            IllegalMove: ``MOVES`` lacks the move.
        """
        text = MESSAGES[secondary] if message is None else message
        if self.transitions:
            at = max(at, self.transitions[-1].start)
        modified = max(at, self.modified)
        if secondary is self.secondary and self.transitions:
            last = self.transitions[-1]
            if last.message == text:
                return self
            entries = (*self.transitions[:-1], replace(last, message=text))
            return replace(self, transitions=entries, modified=modified)
        if self.transitions and secondary not in MOVES[self.secondary]:
            raise IllegalMove(f"{self.name}: {self.secondary} -> {secondary}")
        closed = tuple(t if t.end else replace(t, end=at) for t in self.transitions)
        end = at if not MOVES[secondary] else None
        entry = Transition(status=secondary, start=at, end=end, message=text)
        entries = (*closed, entry)
        return replace(self, secondary=secondary, transitions=entries, modified=modified)

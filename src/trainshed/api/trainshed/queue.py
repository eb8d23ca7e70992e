"""DescribeQueue: who waits for nodes, in which order, and who has them meanwhile."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Protocol

from trainshed.api.operations import Table
from trainshed.api.sagemaker.paging import next_token, start_of
from trainshed.api.sagemaker.standing import DEFAULT_PROJECT, TOP_PRIORITY
from trainshed.domain.training import MESSAGES, SecondaryStatus, TrainingJob, WarmPoolStatus
from trainshed.drivers.base import Capabilities
from trainshed.wire.message import Call

DEFAULT_PAGE: Final = 100
"""Waiting jobs a page."""
UNSEEN: Final = "Training job waiting for its turn"
"""What a job waits for that nobody has looked at yet."""

Place = tuple[int, float, str]
"""What the line is ordered by: how many go before it, else its priority, the highest first; when it
was created; ARN."""


class OpenJobs(Protocol):
    """The slice of the record store that tells of all jobs that are not over."""

    def each_open(self) -> AsyncIterator[TrainingJob]:
        """Yield the jobs that are not over or not cleaned."""
        ...


class Lineup(Protocol):
    """Knows in which order a line goes, by the rules by which jobs are let in."""

    def note(self, job: TrainingJob) -> None:
        """Count an open job, whether it waits or has nodes."""
        ...

    def reasons(self) -> Mapping[str, str]:
        """Return what the first in line wait for just now, by ARN, in order; "" where it is told.

        The others follow by priority and age.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """What is told of a job in line: small, because ten thousand may stand there."""

    arn: str
    name: str
    backend: str
    project: str
    priority: int
    created: float
    """Seconds since the epoch."""
    since: datetime
    """When it began to wait."""
    attempt: int
    """The one it waits for."""
    nodes: int
    instance_types: str
    reason: str
    rank: int | None = None
    """How many go before it, where that is known."""

    @property
    def place(self) -> Place:
        """What its place in line follows from."""
        first = -self.priority if self.rank is None else self.rank
        return first, self.created, self.arn


@dataclass(slots=True)
class Shares:
    """Who waits and who has nodes, over all open jobs."""

    waiting: list[Stood] = field(default_factory=list)
    running: Counter[str] = field(default_factory=Counter)
    """Jobs that have nodes, by project."""
    nodes_of_projects: Counter[str] = field(default_factory=Counter)
    nodes_of_backends: Counter[str] = field(default_factory=Counter)

    def note(self, job: TrainingJob, default: str) -> None:
        """Count a job; ``default`` is where jobs go that name no backend."""
        if waits(job):
            self.waiting.append(_stood(job, job.backend or default))
        elif job.attempt is not None and (nodes := nodes_of(job)):
            self.running[job.project] += 1
            self.nodes_of_projects[job.project] += nodes
            self.nodes_of_backends[job.attempt.backend] += nodes


class DescribeQueue:
    """Tells how the line stands."""

    def __init__(
        self,
        *,
        records: OpenJobs,
        backends: Mapping[str, Capabilities],
        default: str,
        lineup: Callable[[], Lineup] | None = None,
    ) -> None:
        """Read from ``records``.

        Args:
            records: where jobs are kept.
            backends: what each has, by name.
            default: where jobs go that name no backend.
            lineup: returns who knows the order of a line, for one look; without it the line is
                told by priority and age.
        """
        self._lineup = lineup
        self._records = records
        self._backends = backends
        self._default = default

    def operations(self) -> Table:
        """Return the operations this subject offers."""
        return {("trainshed", "DescribeQueue"): self.describe_queue}

    async def describe_queue(self, call: Call) -> dict[str, Any]:
        """Return one page of the jobs that wait, and what runs by project and by backend."""
        shares = Shares()
        lineup = None if self._lineup is None else self._lineup()
        async for job in self._records.each_open():
            shares.note(job, self._default)
            if lineup is not None:
                lineup.note(job)
        if lineup is not None:
            _rank(shares, lineup.reasons())
        shares.waiting.sort(key=lambda each: each.place)
        positions = _positions(shares.waiting)
        found = [each for each in shares.waiting if _asked_for(each, call.params)]
        if (start := start_of(call)) is not None:
            after = (*start[0], start[1])
            found = [each for each in found if each.place > after]
        limit = int(call.params.get("MaxResults") or DEFAULT_PAGE)
        page = found[:limit]
        answer: dict[str, Any] = {
            "WaitingJobs": [_told(each, positions[each.arn]) for each in page],
            "Projects": _projects(shares),
            "Backends": self._states(shares),
        }
        if len(found) > limit:
            *key, arn = page[-1].place
            answer["NextToken"] = next_token(call, (key, arn))
        return answer

    def _states(self, shares: Shares) -> list[dict[str, Any]]:
        waiting = Counter(each.backend for each in shares.waiting)
        in_use = shares.nodes_of_backends
        states = []
        for name in sorted({*self._backends, *waiting, *in_use}):
            state = {
                "Backend": name,
                "NodesInUse": in_use[name],
                "WaitingJobs": waiting[name],
            }
            if name in self._backends:
                state["NodesTotal"] = self._backends[name].max_nodes
            states.append(state)
        return states


def waits(job: TrainingJob) -> bool:
    """Tell whether a job stands in line."""
    return job.attempt is None and not job.over


def nodes_of(job: TrainingJob) -> int:
    """Return how many nodes a job holds.

    One that is over holds them until they are removed, or as long as they are kept warm.
    """
    warm = job.pool is not None and job.pool.status is WarmPoolStatus.AVAILABLE
    return job.instance_count if job.attempt is not None and (warm or not job.cleaned) else 0


def reason(job: TrainingJob) -> str:
    """Return what a job in line waits for."""
    last = job.transitions[-1].message
    return UNSEEN if last.startswith(MESSAGES[SecondaryStatus.STARTING]) else last


def _stood(job: TrainingJob, backend: str) -> Stood:
    asked = job.request.get("ResourceConfig", {}).get("InstanceType", "")
    return Stood(
        arn=job.arn,
        name=job.name,
        backend=backend,
        project=job.project,
        priority=job.priority,
        created=job.created.timestamp(),
        # After an interruption it waits anew.
        since=job.past[-1].ended if job.past else job.created,
        attempt=len(job.past) + 1,
        nodes=job.instance_count,
        instance_types=", ".join(job.instance_types) or asked,
        reason=reason(job),
    )


def _rank(shares: Shares, reasons: Mapping[str, str]) -> None:
    """Put those who wait in order, with what they wait for just now."""
    ranks = {arn: rank for rank, arn in enumerate(reasons)}
    last = len(ranks)
    shares.waiting = [
        replace(
            each,
            rank=ranks.get(each.arn, last + TOP_PRIORITY - each.priority),
            reason=reasons.get(each.arn) or each.reason,
        )
        for each in shares.waiting
    ]


def _positions(waiting: Iterable[Stood]) -> dict[str, int]:
    """Return where each job stands in its backend's line, from 1, by ARN."""
    lengths: Counter[str] = Counter()
    found = {}
    for each in waiting:
        lengths[each.backend] += 1
        found[each.arn] = lengths[each.backend]
    return found


def _asked_for(each: Stood, params: Mapping[str, Any]) -> bool:
    project, backend = params.get("Project"), params.get("Backend")
    return project in {None, each.project or DEFAULT_PROJECT} and backend in {None, each.backend}


def _told(each: Stood, position: int) -> dict[str, Any]:
    told = {
        "Position": position,
        "TrainingJobName": each.name,
        "TrainingJobArn": each.arn,
        "Backend": each.backend,
        "Priority": each.priority,
        "Nodes": each.nodes,
        "AttemptNumber": each.attempt,
        "SinceTime": each.since,
        "Reason": each.reason,
    }
    if each.instance_types:
        told["InstanceType"] = each.instance_types
    if each.project:
        told["Project"] = each.project
    return told


def _projects(shares: Shares) -> list[dict[str, Any]]:
    waiting = Counter(each.project for each in shares.waiting)
    total = shares.nodes_of_projects.total()
    found = []
    for name in sorted({*shares.running, *waiting}):
        project: dict[str, Any] = {
            "Project": name or DEFAULT_PROJECT,
            "RunningJobs": shares.running[name],
            "WaitingJobs": waiting[name],
            "NodesInUse": shares.nodes_of_projects[name],
        }
        if total:
            project["Share"] = shares.nodes_of_projects[name] / total
        found.append(project)
    return found

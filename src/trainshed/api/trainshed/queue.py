"""DescribeQueue: who waits for nodes, in which order, and who has them meanwhile."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from trainshed.api.operations import Table
from trainshed.api.sagemaker.paging import next_token, start_of
from trainshed.domain.training import MESSAGES, SecondaryStatus, TrainingJob, WarmPoolStatus
from trainshed.drivers.base import Capabilities
from trainshed.wire.message import Call

DEFAULT_PAGE: Final = 100
"""Waiting jobs a page."""
UNSEEN: Final = "Training job waiting for its turn"
"""What a job waits for that nobody has looked at yet."""

Standing = tuple[int, float, str]
"""What the line is ordered by: priority (the highest first), when it was created, ARN."""


class OpenJobs(Protocol):
    """The slice of ``TrainingRecords`` that tells of all jobs that are not over."""

    async def open_jobs(self) -> list[str]:
        """Return the ARNs of all jobs that are not over or not cleaned, oldest first."""
        ...

    async def get(self, arn: str) -> TrainingJob | None:
        """Return the job, or None."""
        ...


class DescribeQueue:
    """Tells how the line stands."""

    def __init__(
        self, *, records: OpenJobs, backends: Mapping[str, Capabilities], default: str
    ) -> None:
        """Read from ``records``.

        Args:
            records: where jobs are kept.
            backends: what each has, by name.
            default: where jobs go that name no backend.
        """
        self._records = records
        self._backends = backends
        self._default = default

    def operations(self) -> Table:
        """Return the operations this subject offers."""
        return {("trainshed", "DescribeQueue"): self.describe_queue}

    async def describe_queue(self, call: Call) -> dict[str, Any]:
        """Return one page of the jobs that wait, and what runs by project and by backend."""
        jobs = [
            job
            for arn in await self._records.open_jobs()
            if (job := await self._records.get(arn)) is not None
        ]
        waiting = sorted((job for job in jobs if waits(job)), key=standing)
        positions = self._positions(waiting)
        found = [job for job in waiting if self._asked_for(job, call.params)]
        if (start := start_of(call)) is not None:
            after = (*start[0], start[1])
            found = [job for job in found if standing(job) > after]
        limit = int(call.params.get("MaxResults") or DEFAULT_PAGE)
        page = found[:limit]
        answer: dict[str, Any] = {
            "WaitingJobs": [self._waiting(job, positions[job.arn]) for job in page],
            "Projects": _projects(jobs),
            "Backends": self._states(jobs),
        }
        if len(found) > limit:
            *key, arn = standing(page[-1])
            answer["NextToken"] = next_token(call, (key, arn))
        return answer

    def _backend(self, job: TrainingJob) -> str:
        if job.attempt is not None:
            return job.attempt.backend
        return job.backend or self._default

    def _positions(self, waiting: Iterable[TrainingJob]) -> dict[str, int]:
        """Return where each job stands in its backend's line, from 1, by ARN."""
        lengths: Counter[str] = Counter()
        found = {}
        for job in waiting:
            backend = self._backend(job)
            lengths[backend] += 1
            found[job.arn] = lengths[backend]
        return found

    def _asked_for(self, job: TrainingJob, params: Mapping[str, Any]) -> bool:
        project, backend = params.get("Project"), params.get("Backend")
        return (project is None or job.project == project) and (
            backend is None or self._backend(job) == backend
        )

    def _waiting(self, job: TrainingJob, position: int) -> dict[str, Any]:
        asked = job.request.get("ResourceConfig", {}).get("InstanceType", "")
        told = {
            "Position": position,
            "TrainingJobName": job.name,
            "TrainingJobArn": job.arn,
            "Backend": self._backend(job),
            "Priority": job.priority,
            "Nodes": job.instance_count,
            "AttemptNumber": len(job.past) + 1,
            "SinceTime": since(job),
            "Reason": reason(job),
        }
        if types := ", ".join(job.instance_types) or asked:
            told["InstanceType"] = types
        if job.project:
            told["Project"] = job.project
        return told

    def _states(self, jobs: Sequence[TrainingJob]) -> list[dict[str, Any]]:
        in_use: Counter[str] = Counter()
        waiting: Counter[str] = Counter()
        for job in jobs:
            if waits(job):
                waiting[self._backend(job)] += 1
            else:
                in_use[self._backend(job)] += nodes_of(job)
        states = []
        for name in sorted({*self._backends, *waiting, *(+in_use)}):
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


def since(job: TrainingJob) -> datetime:
    """Return since when a job waits; after an interruption it waits anew."""
    return job.past[-1].ended if job.past else job.created


def standing(job: TrainingJob) -> Standing:
    """Return what a waiting job's place in line follows from."""
    return -job.priority, job.created.timestamp(), job.arn


def reason(job: TrainingJob) -> str:
    """Return what a job in line waits for."""
    last = job.transitions[-1].message
    return UNSEEN if last == MESSAGES[SecondaryStatus.STARTING] else last


def _projects(jobs: Sequence[TrainingJob]) -> list[dict[str, Any]]:
    running: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    in_use: Counter[str] = Counter()
    for job in jobs:
        if waits(job):
            waiting[job.project] += 1
        elif nodes := nodes_of(job):
            running[job.project] += 1
            in_use[job.project] += nodes
    total = in_use.total()
    found = []
    for name in sorted({*running, *waiting}):
        project: dict[str, Any] = {
            "Project": name,
            "RunningJobs": running[name],
            "WaitingJobs": waiting[name],
            "NodesInUse": in_use[name],
        }
        if total:
            project["Share"] = in_use[name] / total
        found.append(project)
    return found

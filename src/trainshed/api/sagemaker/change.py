"""Stop, update and delete training jobs: wishes written down, each with one compare-and-set.

A wish that loses the race against the engine looks again and decides anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from trainshed.api.operations import Table
from trainshed.api.sagemaker.checks import check_remote_debug
from trainshed.api.sagemaker.lookup import named_job
from trainshed.api.sagemaker.rejections import not_offered, wrong_status
from trainshed.api.sagemaker.repeats import is_repeated, remembered
from trainshed.domain.errors import RequestRejected
from trainshed.domain.training import (
    SecondaryStatus,
    TrainingJob,
    TrainingJobStatus,
    WarmPoolStatus,
)
from trainshed.wire.message import Call


class ChangeableJobs(Protocol):
    """The slice of ``TrainingRecords`` that is changed here."""

    async def get(self, arn: str) -> TrainingJob | None:
        """Return the job, or None."""
        ...

    async def swap(self, old: TrainingJob, new: TrainingJob) -> bool:
        """Write ``new`` only if the row still equals ``old``; tell whether it did."""
        ...

    async def remove(self, job: TrainingJob) -> bool:
        """Forget the job, its tags, facts and metrics, if the row still equals ``job``."""
        ...


class ChangeTraining:
    """Changes what is wished of training jobs."""

    def __init__(
        self, *, records: ChangeableJobs, account: str, clock: Callable[[], datetime]
    ) -> None:
        """Write to ``records``."""
        self._records = records
        self._account = account
        self._clock = clock

    def operations(self) -> Table:
        """Return the operations this subject offers."""
        return {
            ("sagemaker", "StopTrainingJob"): self.stop_training_job,
            ("sagemaker", "UpdateTrainingJob"): self.update_training_job,
            ("sagemaker", "DeleteTrainingJob"): self.delete_training_job,
        }

    async def stop_training_job(self, call: Call) -> dict[str, Any]:
        """Write down that the job should stop, and show it as Stopping at once."""

        def stopping(job: TrainingJob) -> TrainingJob:
            now = self._clock()
            return replace(
                job.moved_to(SecondaryStatus.STOPPING, at=now),
                stop_wish=now,
                invocations=remembered(call, job),
            )

        await self._swap(call, stopping)
        return {}

    async def update_training_job(self, call: Call) -> dict[str, Any]:
        """Change what a running job may still change; refuse what nothing here would act on."""
        asked = {key: value for key, value in call.params.items() if key != "TrainingJobName"}
        _check_update(asked)

        def updated(job: TrainingJob) -> TrainingJob:
            request = _merged(job.request, asked)
            if request == job.request:
                return job
            return _with_keep_alive(replace(job, request=request), self._clock())

        def is_changeable(job: TrainingJob) -> bool:
            # The period of warm nodes can be changed as long as they wait for the next job.
            return _runs(job) or (
                asked.keys() == {"ResourceConfig"} and job.warm_status is WarmPoolStatus.AVAILABLE
            )

        job = await self._swap(call, updated, is_changeable)
        return {"TrainingJobArn": job.arn}

    async def delete_training_job(self, call: Call) -> dict[str, Any]:
        """Forget a job that is over, with its tags, facts and metrics. Its name is free again.

        Raises:
            RequestRejected: there is no such job, it is not over, or its nodes are still removed.
        """
        while True:
            job = await named_job(self._records, call, self._account)
            if not job.over:
                raise wrong_status(job.status)
            if job.warm_status is WarmPoolStatus.AVAILABLE:
                raise RequestRejected(
                    "ResourceInUse",
                    f"The nodes of training job {job.name} are kept warm for the next one; delete "
                    "it once they are let go, or let them go with UpdateTrainingJob and a "
                    "KeepAlivePeriodInSeconds of 0.",
                )
            if not job.cleaned:
                raise RequestRejected(
                    "ResourceInUse",
                    f"The nodes of training job {job.name} are still being removed; "
                    "delete it again in a moment.",
                )
            if await self._records.remove(job):
                return {}

    async def _swap(
        self,
        call: Call,
        decide: Callable[[TrainingJob], TrainingJob],
        is_changeable: Callable[[TrainingJob], bool] | None = None,
    ) -> TrainingJob:
        """Write what ``decide`` makes of the job ``call`` names; return it.

        Raises:
            RequestRejected: there is no such job, or it is not changeable: as a rule, it is over.
        """
        while True:
            job = await named_job(self._records, call, self._account)
            if is_repeated(call, job):
                return job
            if not (is_changeable or _runs)(job):
                raise wrong_status(job.status)
            if await self._records.swap(job, changed := decide(job)):
                return changed


def _runs(job: TrainingJob) -> bool:
    return job.status is TrainingJobStatus.IN_PROGRESS


def _with_keep_alive(job: TrainingJob, now: datetime) -> TrainingJob:
    """Return a job whose warm nodes, if they wait, wait as long as its request now says."""
    if job.pool is None or job.warm_status is not WarmPoolStatus.AVAILABLE:
        return job
    pool = job.pool.lasting(job.keep_alive)
    return replace(job, pool=replace(pool, until=max(pool.until, now)))


def _check_update(asked: Mapping[str, Any]) -> None:
    profiler = asked.get("ProfilerConfig") or {}
    if profiler and not profiler.get("DisableProfiler"):
        raise not_offered(
            "ProfilerConfig", "nothing is profiled; DisableProfiler true is accepted."
        )
    if asked.get("ProfilerRuleConfigurations"):
        raise not_offered("ProfilerRuleConfigurations", "no rules are evaluated; leave it out.")
    check_remote_debug(asked)


def _merged(request: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request with the asked members laid over its own."""
    merged = dict(request)
    for member, value in asked.items():
        merged[member] = (
            {**(request.get(member) or {}), **value} if isinstance(value, dict) else value
        )
    return merged

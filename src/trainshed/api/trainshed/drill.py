"""DrillTrainingJob: the wish to have a node taken away, written down for the engine."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from trainshed.api.operations import Table
from trainshed.api.sagemaker.change import ChangeableJobs
from trainshed.api.sagemaker.lookup import named_job
from trainshed.api.sagemaker.rejections import constraint, invalid
from trainshed.domain import names
from trainshed.domain.training import Attempt, Drill, SecondaryStatus, TrainingJob
from trainshed.wire.message import Call

DEFAULT_NOTICE: Final = 120
"""Seconds; what Amazon EC2 gives ("Spot Instance interruption notices")."""


class DrillTraining:
    """Interrupts training jobs on purpose."""

    def __init__(
        self, *, records: ChangeableJobs, account: str, clock: Callable[[], datetime]
    ) -> None:
        """Write to ``records``."""
        self._records = records
        self._account = account
        self._clock = clock

    def operations(self) -> Table:
        """Return the operations this subject offers."""
        return {("trainshed", "DrillTrainingJob"): self.drill_training_job}

    async def drill_training_job(self, call: Call) -> dict[str, Any]:
        """Write down that a node of the running job should be taken away.

        Raises:
            RequestRejected: there is no such job, its program does not run, it has no such node,
                or a drill of this attempt is under way.
        """
        notice = _notice(call)
        while True:
            job = await named_job(self._records, call, self._account)
            attempt = _running(job)
            drill = Drill(
                wished=self._clock(),
                notice=notice,
                attempt=attempt.number,
                host=_host(call, job),
            )
            if await self._records.swap(job, replace(job, drill=drill)):
                return {
                    "TrainingJobArn": job.arn,
                    "AttemptNumber": attempt.number,
                    "Host": drill.host,
                }


def _notice(call: Call) -> float:
    """Return the seconds of notice; 0 for none."""
    seconds = call.params.get("NoticeInSeconds")
    if call.params["Kind"] == "Notice":
        return float(DEFAULT_NOTICE if seconds is None else seconds)
    if seconds is not None:
        raise invalid(
            "Invalid NoticeInSeconds. It is only supported when Kind is Notice; a sudden loss "
            "comes without one."
        )
    return 0.0


def _running(job: TrainingJob) -> Attempt:
    """Return the attempt whose program runs."""
    if job.secondary is not SecondaryStatus.TRAINING or job.attempt is None:
        status = job.secondary if job.status.value == "InProgress" else job.status
        raise invalid(
            f"The request was rejected because the training job is in status {status.value}. "
            "A drill needs one whose program runs (Training)."
        )
    if job.drill is not None and job.drill.attempt == job.attempt.number:
        raise invalid(
            f"A drill of attempt {job.attempt.number} of this training job is under way; ask again "
            "once the next attempt trains."
        )
    if not job.outlives_its_nodes:
        raise invalid(
            "The request was rejected because this training job would fail of it: nothing starts "
            "it again. A drill needs EnableManagedSpotTraining, or attempts left in RetryStrategy."
        )
    return job.attempt


def _host(call: Call, job: TrainingJob) -> str:
    known = names.hosts(job.instance_count)
    host: str = call.params.get("Host") or known[0]
    if host not in known:
        raise constraint("host", host, f"Member must satisfy enum value set: [{', '.join(known)}]")
    return host

"""From the name in a call to the job it means; every operation on one job begins here."""

from typing import Protocol

from trainshed.domain import names
from trainshed.domain.errors import NotFound
from trainshed.domain.training import TrainingJob
from trainshed.wire.message import Call


class Jobs(Protocol):
    """The slice of ``TrainingRecords`` that finds one job."""

    async def get(self, arn: str) -> TrainingJob | None:
        """Return the job, or None."""
        ...


def training_job_arn(call: Call, account: str) -> str:
    """Return the ARN of the job that ``call`` names by ``TrainingJobName``."""
    name = call.params["TrainingJobName"]
    return names.sagemaker_arn(region=call.region, account=account, kind="training-job", name=name)


async def named_job(records: Jobs, call: Call, account: str) -> TrainingJob:
    """Return the job that ``call`` names.

    Raises:
        NotFound: the region has no such job.
    """
    job = await records.get(training_job_arn(call, account))
    if job is None:
        raise NotFound
    return job

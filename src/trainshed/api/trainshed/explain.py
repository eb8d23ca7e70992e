"""ExplainTrainingJob: why a job is where it is."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from trainshed.api.operations import Table
from trainshed.api.sagemaker.lookup import named_job
from trainshed.api.trainshed.explained import explained
from trainshed.api.trainshed.prices import Prices
from trainshed.api.trainshed.timeline import launches
from trainshed.domain.facts import Fact
from trainshed.domain.training import TrainingJob
from trainshed.wire.message import Call


class ExplainableJobs(Protocol):
    """The slice of ``TrainingRecords`` that tells of one job."""

    async def get(self, arn: str) -> TrainingJob | None:
        """Return the job, or None."""
        ...

    async def facts(self, job_id: str, attempt: int) -> Mapping[str, tuple[Fact, ...]]:
        """Return what each node of an attempt reported, in order, by host."""
        ...


class ExplainTraining:
    """Explains training jobs."""

    def __init__(
        self,
        *,
        records: ExplainableJobs,
        account: str,
        clock: Callable[[], datetime],
        prices: Prices,
    ) -> None:
        """Read from ``records``."""
        self._records = records
        self._account = account
        self._clock = clock
        self._prices = prices

    def operations(self) -> Table:
        """Return the operations this subject offers."""
        return {("trainshed", "ExplainTrainingJob"): self.explain_training_job}

    async def explain_training_job(self, call: Call) -> dict[str, Any]:
        """Return what a job waits for, how its time was spent, what failed and what to do."""
        job = await named_job(self._records, call, self._account)
        journals = {
            launch.number: await self._records.facts(job.id, launch.number)
            for launch in launches(job)
        }
        return explained(job, journals, self._clock(), self._prices)

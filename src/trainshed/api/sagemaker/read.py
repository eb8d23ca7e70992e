"""DescribeTrainingJob and ListTrainingJobs: what the store knows, in the API's words."""

from typing import Any, Protocol

from trainshed.api.operations import Table
from trainshed.api.sagemaker import answers
from trainshed.api.sagemaker.lookup import named_job
from trainshed.api.sagemaker.paging import next_token, page_size, start_of
from trainshed.domain.training import TrainingJob, TrainingJobStatus, WarmPoolStatus
from trainshed.stores.records.base import JobQuery, MetricValue
from trainshed.wire.message import Call


class ReadableJobs(Protocol):
    """The slice of ``TrainingRecords`` that is read here."""

    async def get(self, arn: str) -> TrainingJob | None:
        """Return the job, or None."""
        ...

    async def find(self, query: JobQuery) -> list[TrainingJob]:
        """Return one page of jobs."""
        ...

    async def final_metrics(self, job_id: str) -> list[MetricValue]:
        """Return the last value of each metric, ordered by name."""
        ...


class ReadTraining:
    """Tells how training jobs stand."""

    def __init__(self, *, records: ReadableJobs, account: str) -> None:
        """Read from ``records``."""
        self._records = records
        self._account = account

    def operations(self) -> Table:
        """Return the operations this subject offers."""
        return {
            ("sagemaker", "DescribeTrainingJob"): self.describe_training_job,
            ("sagemaker", "ListTrainingJobs"): self.list_training_jobs,
        }

    async def describe_training_job(self, call: Call) -> dict[str, Any]:
        """Return everything known of one job."""
        job = await named_job(self._records, call, self._account)
        # Before its first attempt a job can have no metrics: polls of jobs in line save a query.
        metrics = await self._records.final_metrics(job.id) if job.attempt is not None else []
        return answers.described(job, metrics)

    async def list_training_jobs(self, call: Call) -> dict[str, Any]:
        """Return one page of the jobs that pass all filters, oldest first unless asked otherwise.

        Filters are exact: a page holds MaxResults jobs that pass, if there are as many.
        """
        query = _query(call)
        if query is None:
            return {"TrainingJobSummaries": []}
        jobs = await self._records.find(query)
        page = jobs[: query.limit - 1]
        answer: dict[str, Any] = {"TrainingJobSummaries": [answers.summarised(job) for job in page]}
        if len(jobs) == query.limit:
            last = page[-1]
            answer["NextToken"] = next_token(call, (_sort_value(last, query.sort_by), last.name))
        return answer


def _query(call: Call) -> JobQuery | None:
    """Return what to ask the store, None when nothing can pass the filters.

    One job more than a page is asked for, to know whether there is a next one.
    """
    params = call.params
    after = start_of(call)
    # No capacity is ever reserved, and a deleted job is gone at once.
    if params.get("TrainingPlanArnEquals"):
        return None
    warm_pool = params.get("WarmPoolStatusEquals")
    status = params.get("StatusEquals")
    if status == "Deleting":
        return None
    return JobQuery(
        region=call.region,
        name_contains=params.get("NameContains") or None,
        created_after=params.get("CreationTimeAfter"),
        created_before=params.get("CreationTimeBefore"),
        modified_after=params.get("LastModifiedTimeAfter"),
        modified_before=params.get("LastModifiedTimeBefore"),
        status=TrainingJobStatus(status) if status else None,
        warm_pool=WarmPoolStatus(warm_pool) if warm_pool else None,
        sort_by=params.get("SortBy") or "CreationTime",
        descending=params.get("SortOrder") == "Descending",
        after=after,
        limit=page_size(params) + 1,
    )


def _sort_value(job: TrainingJob, sort_by: str) -> str | float:
    match sort_by:
        case "Name":
            return job.name
        case "Status":
            return job.status.value
        case _:
            return job.created.timestamp()

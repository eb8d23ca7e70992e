"""How a training job reads on the wire: described, summarised, found.

Pure, and quick: clients poll DescribeTrainingJob more than everything else together.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from trainshed.domain.training import SecondaryStatus, TrainingJob, Transition
from trainshed.stores.records.base import MetricValue

MAX_FAILURE_REASON: Final = 1024
"""Characters; the service model's limit of FailureReason."""
MAX_METRICS: Final = 40
"""The service model's limit of FinalMetricDataList."""
DEFAULT_MAX_RUNTIME: Final = 86400
"""Seconds; one day (developer guide, "StoppingCondition")."""

_UNSAID: Final[Mapping[str, Any]] = {
    "EnableNetworkIsolation": False,
    "EnableInterContainerTrafficEncryption": False,
    "EnableManagedSpotTraining": False,
    "ProfilingStatus": "Disabled",
}
"""What the service answers for members a request left out. Nothing is ever profiled here."""
_NOT_BILLED: Final = frozenset(
    {SecondaryStatus.STARTING, SecondaryStatus.PENDING, SecondaryStatus.INTERRUPTED}
)
_NOT_FOUND_BY_SEARCH: Final = frozenset(
    {
        "InfraCheckConfig",
        "MlflowConfig",
        "ProfilerRuleConfigurations",
        "ProfilingStatus",
        "RemoteDebugConfig",
    }
)
"""What Describe answers and the model's search record lacks."""


def described(job: TrainingJob, metrics: Sequence[MetricValue] = ()) -> dict[str, Any]:
    """Return the answer of DescribeTrainingJob."""
    request = job.request
    answer: dict[str, Any] = {
        **_UNSAID,
        **request,
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "ModelArtifacts": {"S3ModelArtifacts": model_artifacts(job)},
        "TrainingJobStatus": job.status.value,
        "SecondaryStatus": job.secondary.value,
        "OutputDataConfig": {
            # Clients read KmsKeyId without asking whether it is there.
            "KmsKeyId": "",
            "CompressionType": "GZIP",
            **request["OutputDataConfig"],
        },
        "StoppingCondition": {
            "MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME,
            **(request.get("StoppingCondition") or {}),
        },
        "AlgorithmSpecification": {
            "EnableSageMakerMetricsTimeSeries": False,
            **(request.get("AlgorithmSpecification") or {}),
        },
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        "SecondaryStatusTransitions": [_transition(entry) for entry in job.transitions],
    }
    answer.pop("SessionChainingConfig", None)  # asked for at creation, never told again
    if channels := request.get("InputDataConfig"):
        answer["InputDataConfig"] = [_channel(channel) for channel in channels]
    if job.failure_reason:
        answer["FailureReason"] = job.failure_reason[:MAX_FAILURE_REASON]
    if metrics:
        answer["FinalMetricDataList"] = [
            {"MetricName": metric.name, "Value": metric.value, "Timestamp": metric.at}
            for metric in metrics[:MAX_METRICS]
        ]
    if (warm := warm_pool(job)) is not None:
        answer["WarmPoolStatus"] = warm
    _add_selected(answer, job)
    _add_times(answer, job)
    return answer


def _add_selected(answer: dict[str, Any], job: TrainingJob) -> None:
    """Tell which of the instance types that a job prefers it got."""
    last = job.attempt or (job.past[-1] if job.past else None)
    resources = answer.get("ResourceConfig") or {}
    if last is not None and last.instance_type and resources.get("InstancePreferences"):
        answer["ResourceConfig"] = {
            **resources,
            "SelectedInstanceType": last.instance_type,
            "SelectedInstanceCount": job.instance_count,
        }


def warm_pool(job: TrainingJob) -> dict[str, Any] | None:
    """Return what is told of the nodes that a job keeps warm; None when it keeps none."""
    if (status := job.warm_status) is None:
        return None
    told: dict[str, Any] = {"Status": status.value}
    if job.pool is not None:
        if job.pool.reused_by:
            told["ReusedByJob"] = job.pool.reused_by.rpartition("/")[2]
        if job.pool.ended is not None:
            kept = (job.pool.ended - job.pool.since).total_seconds()
            told["ResourceRetainedBillableTimeInSeconds"] = max(0, round(kept))
    return told


def summarised(job: TrainingJob) -> dict[str, Any]:
    """Return one of ListTrainingJobs' TrainingJobSummaries."""
    summary = {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        "TrainingJobStatus": job.status.value,
        "SecondaryStatus": job.secondary.value,
    }
    if job.over and job.training_end is not None:
        summary["TrainingEndTime"] = job.training_end
    if (warm := warm_pool(job)) is not None:
        summary["WarmPoolStatus"] = warm
    return summary


def found(
    job: TrainingJob, metrics: Sequence[MetricValue], tags: Mapping[str, str]
) -> dict[str, Any]:
    """Return the ``TrainingJob`` of one of Search's Results."""
    record = {
        key: value
        for key, value in described(job, metrics).items()
        if key not in _NOT_FOUND_BY_SEARCH
    }
    record["Tags"] = tag_list(tags)
    return record


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as the API lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def model_artifacts(job: TrainingJob) -> str:
    """Return where the model will be, or is; told from the first moment on."""
    output = job.request["OutputDataConfig"]
    folder = f"{output['S3OutputPath'].rstrip('/')}/{job.name}/output"
    return (
        f"{folder}/model/" if output.get("CompressionType") == "NONE" else f"{folder}/model.tar.gz"
    )


def billable_seconds(transitions: Iterable[Transition], start: datetime, end: datetime) -> float:
    """Return the seconds from ``start`` to ``end`` in which the job had its nodes.

    Waiting for capacity, and the gap between two attempts, is not billed.
    """
    waited = 0.0
    for entry in transitions:
        if entry.status in _NOT_BILLED:
            overlap = min(entry.end or end, end) - max(entry.start, start)
            waited += max(0.0, overlap.total_seconds())
    return (end - start).total_seconds() - waited


def _add_times(answer: dict[str, Any], job: TrainingJob) -> None:
    start, end = job.training_start, job.training_end
    if start is not None:
        answer["TrainingStartTime"] = start
    if end is not None:
        answer["TrainingEndTime"] = end
    if start is not None and end is not None:
        answer["TrainingTimeInSeconds"] = max(1, round((end - start).total_seconds()))
        billable = billable_seconds(job.transitions, start, end)
        answer["BillableTimeInSeconds"] = max(1, round(billable))


def _channel(channel: Mapping[str, Any]) -> dict[str, Any]:
    source = channel["DataSource"]
    if "S3DataSource" in source:
        s3 = {"S3DataDistributionType": "FullyReplicated", **source["S3DataSource"]}
        source = {**source, "S3DataSource": s3}
    return {"CompressionType": "None", "RecordWrapperType": "None", **channel, "DataSource": source}


def _transition(entry: Transition) -> dict[str, Any]:
    told = {
        "Status": entry.status.value,
        "StartTime": entry.start,
        "StatusMessage": entry.message,
    }
    if entry.end is not None:
        told["EndTime"] = entry.end
    return told

"""What benchmarks of whole jobs share: waiting for a job, and the time that its program printed."""

import time
from typing import Any

LOG_GROUP = "/aws/sagemaker/TrainingJobs"


def printed_time(sagemaker: Any, logs: Any, name: str) -> float:  # noqa: ANN401 - botocore makes their classes
    """Wait for a job's end; return the first number in its log, CLOCK_MONOTONIC in seconds.

    Raises:
        RuntimeError: the job did not complete; its time would mean nothing.
    """
    while (told := sagemaker.describe_training_job(TrainingJobName=name))[
        "TrainingJobStatus"
    ] == "InProgress":
        time.sleep(0.05)
    if told["TrainingJobStatus"] != "Completed":
        raise RuntimeError(told.get("FailureReason", told["TrainingJobStatus"]))
    streams = logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")
    events = logs.get_log_events(
        logGroupName=LOG_GROUP,
        logStreamName=streams["logStreams"][0]["logStreamName"],
        startFromHead=True,
    )["events"]
    said = [event["message"] for event in events]
    return next(float(line) for line in said if line.replace(".", "", 1).isdigit())

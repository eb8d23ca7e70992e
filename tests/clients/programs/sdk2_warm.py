"""SageMaker SDK v2: an estimator that keeps its nodes fits twice. Arguments: bucket, folder."""

import sys
import time
from pathlib import Path

import sagemaker
from sagemaker.estimator import Estimator

bucket, folder = sys.argv[1:]
script = Path(folder) / "warm.py"
script.write_text("print('hello')")
session = sagemaker.Session(default_bucket=bucket)
estimator = Estimator(
    image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
    role="arn:aws:iam::123456789012:role/sagemaker-role",
    instance_count=1,
    instance_type="ml.m5.large",
    entry_point=str(script),
    sagemaker_session=session,
    output_path=f"s3://{bucket}/models",
    keep_alive_period_in_seconds=600,
)


def pool(job: str, status: str) -> dict[str, str]:
    """Return what is told of the nodes of a job, once they have this status."""
    told: dict[str, str] = {}
    for _ in range(600):
        told = session.describe_training_job(job).get("WarmPoolStatus", {})
        if told.get("Status") == status:
            return told
        time.sleep(0.1)
    raise SystemExit(f"{job} never was {status}: {told}")


jobs = []
for _ in range(2):
    estimator.fit(logs=False)
    jobs.append(estimator.latest_training_job.name)
    pool(jobs[-1], "Available")
print("reused =", pool(jobs[0], "Reused")["ReusedByJob"] == jobs[1])
session.update_training_job(jobs[1], resource_config={"KeepAlivePeriodInSeconds": 0})
print("terminated =", "ReusedByJob" not in pool(jobs[1], "Terminated"))

"""Our own service as boto3 uses it: exported environment, AWS_DATA_PATH, a server, a job."""

import subprocess
from typing import Any

import boto3
import pytest

from trainshed.testing.server import TRAINSHED

SCRIPT = ["python3", "-c", "import time; time.sleep(0.5); raise SystemExit('no data today')"]


@pytest.fixture
def session(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """boto3 as it is after ``eval`` of aws-env, and AWS_DATA_PATH as the manual says."""
    told = subprocess.run([TRAINSHED, "aws-model"], capture_output=True, text=True, check=True)
    for name, value in environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DATA_PATH", told.stdout.strip())
    return boto3.Session()


def request(name: str, bucket: str) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": "any",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": SCRIPT,
        },
        "RoleArn": "arn:aws:iam::123456789012:role/trainshed",
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/out"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 1,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "Tags": [{"Key": "trainshed:project", "Value": "vision"}],
    }


def test_a_job_is_explained_the_line_told_and_nothing_is_left(
    session: boto3.Session, bucket: str
) -> None:
    sagemaker, own = session.client("sagemaker"), session.client("trainshed")
    sagemaker.create_training_job(**request("own-1", bucket))
    while sagemaker.describe_training_job(TrainingJobName="own-1")["TrainingJobStatus"] != "Failed":
        running = own.explain_training_job(TrainingJobName="own-1")
        assert running["Project"] == "vision"
        queue = own.describe_queue()
        assert {each["Backend"] for each in queue["Backends"]} >= {"local"}
    told = own.explain_training_job(TrainingJobName="own-1")
    assert [each["Phase"] for each in told["Phases"]][-2:] == ["Training", "Upload"]
    assert "no data today" in told["LastFailure"]["Reason"]
    assert told["LastFailure"]["Advice"] == ["the last lines of 'trainshed logs own-1' say more"]
    assert own.collect_garbage(DryRun=True)["Findings"] == []

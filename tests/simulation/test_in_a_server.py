"""A real server over a simulated backend: what users of it see, and what a kill -9 leaves."""

from pathlib import Path
from typing import Any

import boto3
import pytest

from trainshed.testing.server import Server

SETTINGS = """
backend = "rehearsal"

[backends.rehearsal]
kind = "simulated"
max_nodes = 8
launch_seconds = 0.2

[backends.rehearsal.job]
duration = 2

[backends.rehearsal.messages]
lost = 0.1
doubled = 0.1
again = 0.2
"""


def client(server: Server, service: str) -> Any:
    access, secret = server.keys
    return boto3.client(
        service,
        endpoint_url=server.url,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        region_name="us-east-1",
    )


def create(sagemaker: Any, name: str, **members: Any) -> None:
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": "any/image:1", "TrainingInputMode": "File"},
        RoleArn="arn:aws:iam::123456789012:role/training-role",
        OutputDataConfig={"S3OutputPath": "s3://bucket/output"},
        ResourceConfig={"InstanceType": "ml.p4d.24xlarge", "InstanceCount": 2, "VolumeSizeInGB": 1},
        **{"StoppingCondition": {"MaxRuntimeInSeconds": 600}, **members},
    )


def over(sagemaker: Any, name: str) -> Any:
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 300})
    return sagemaker.describe_training_job(TrainingJobName=name)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("simulated")
    with Server(folder / "data", SETTINGS) as running:
        client(running, "s3").create_bucket(Bucket="bucket")
        yield running


def test_instances_that_are_nowhere_train_and_nothing_runs_on_this_machine(server: Server) -> None:
    sagemaker = client(server, "sagemaker")
    create(sagemaker, "big", HyperParameters={"sim.duration": "0.5"})
    told = over(sagemaker, "big")
    assert told["TrainingJobStatus"] == "Completed"
    assert server.remains() == []


def test_a_hyperparameter_that_no_node_understands_fails_the_job_and_says_why(
    server: Server,
) -> None:
    sagemaker = client(server, "sagemaker")
    create(sagemaker, "typo", HyperParameters={"sim.duratoin": "0.5"})
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    with pytest.raises(Exception, match="Failed"):
        waiter.wait(TrainingJobName="typo", WaiterConfig={"Delay": 0.2, "MaxAttempts": 300})
    told = sagemaker.describe_training_job(TrainingJobName="typo")
    assert "duratoin" in told["FailureReason"]


def test_simulated_jobs_outlive_a_server_that_is_killed(server: Server) -> None:
    sagemaker = client(server, "sagemaker")
    spot = {
        "EnableManagedSpotTraining": True,
        "CheckpointConfig": {"S3Uri": "s3://bucket/kept"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1200},
        "HyperParameters": {"sim.notice_after": "0.5", "sim.checkpoint_every": "0.5"},
    }
    create(sagemaker, "spot", **spot)
    for n in range(6):
        create(sagemaker, f"many-{n}")
    for _ in range(3):
        server.kill()
        server.start()
    sagemaker = client(server, "sagemaker")
    ends = [over(sagemaker, name) for name in ("spot", *(f"many-{n}" for n in range(6)))]
    assert {told["TrainingJobStatus"] for told in ends} == {"Completed"}
    walked = [each["Status"] for each in ends[0]["SecondaryStatusTransitions"]]
    assert "Interrupted" in walked
    assert all("InternalServerError" not in str(told) for told in ends)

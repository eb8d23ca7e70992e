"""DescribeTrainingJob tells everything known, with the service's own defaults."""

from datetime import timedelta
from typing import Any

import pytest
from tests.api.sagemaker.shed import NOON, Shed, asked, channel

from trainshed.domain.errors import RequestRejected
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.training import Attempt, SecondaryStatus

S = SecondaryStatus


async def describe(shed: Shed, name: str = "digits") -> dict[str, Any]:
    return await shed.call("DescribeTrainingJob", TrainingJobName=name)


async def test_a_new_job_reads_as_the_service_tells_it(shed: Shed) -> None:
    arn = await shed.create(StoppingCondition=None, InputDataConfig=[channel()])

    assert await describe(shed) == {
        "TrainingJobName": "digits",
        "TrainingJobArn": arn,
        "ModelArtifacts": {"S3ModelArtifacts": "s3://out/models/digits/output/model.tar.gz"},
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "AlgorithmSpecification": {
            "TrainingImage": "image",
            "TrainingInputMode": "File",
            "EnableSageMakerMetricsTimeSeries": False,
        },
        "RoleArn": asked()["RoleArn"],
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": "s3://in/train",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
                "CompressionType": "None",
                "RecordWrapperType": "None",
            }
        ],
        "OutputDataConfig": {
            "KmsKeyId": "",
            "S3OutputPath": "s3://out/models",
            "CompressionType": "GZIP",
        },
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
        "CreationTime": NOON,
        "LastModifiedTime": NOON,
        "SecondaryStatusTransitions": [
            {
                "Status": "Starting",
                "StartTime": NOON,
                "StatusMessage": "Starting the training job",
            }
        ],
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        "ProfilingStatus": "Disabled",
    }


async def test_what_was_asked_for_wins_over_defaults(shed: Shed) -> None:
    members = {
        "EnableNetworkIsolation": True,
        "OutputDataConfig": {
            "S3OutputPath": "s3://out/",
            "KmsKeyId": "k",
            "CompressionType": "NONE",
        },
        "Environment": {"A": "1"},
        "HyperParameters": {"lr": "0.1"},
        "RetryStrategy": {"MaximumRetryAttempts": 2},
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "SessionChainingConfig": {"EnableSessionTagChaining": True},
        "DebugHookConfig": {"S3OutputPath": "s3://out/debug", "CollectionConfigurations": []},
    }
    await shed.create(**members)

    answer = await describe(shed)

    del members["SessionChainingConfig"]
    assert {key: answer[key] for key in members} == members
    assert "SessionChainingConfig" not in answer
    assert answer["ModelArtifacts"] == {"S3ModelArtifacts": "s3://out/digits/output/model/"}


async def test_a_finished_job_has_its_times_and_its_history(shed: Shed) -> None:
    arn = await shed.create()
    await shed.move(arn, S.DOWNLOADING)
    await shed.change(arn, training_start=shed.now)
    await shed.move(arn, S.TRAINING, S.UPLOADING, S.COMPLETED)
    await shed.change(arn, training_end=shed.now)

    answer = await describe(shed)

    assert (answer["TrainingJobStatus"], answer["SecondaryStatus"]) == ("Completed", "Completed")
    assert answer["TrainingStartTime"] == NOON + timedelta(seconds=10)
    assert answer["TrainingEndTime"] == NOON + timedelta(seconds=40)
    assert (answer["TrainingTimeInSeconds"], answer["BillableTimeInSeconds"]) == (30, 30)
    history = answer["SecondaryStatusTransitions"]
    assert [entry["Status"] for entry in history] == [
        "Starting", "Downloading", "Training", "Uploading", "Completed",
    ]  # fmt: skip
    assert all(entry["StatusMessage"] and "EndTime" in entry for entry in history)


async def test_the_gap_between_two_attempts_is_training_time_but_not_billed(shed: Shed) -> None:
    arn = await shed.create()
    await shed.move(arn, S.TRAINING)
    await shed.change(arn, training_start=shed.now)
    await shed.move(
        arn, S.INTERRUPTED, S.STARTING, S.PENDING, S.STARTING, S.TRAINING, S.UPLOADING, S.COMPLETED
    )
    await shed.change(arn, training_end=shed.now)

    answer = await describe(shed)

    assert answer["TrainingTimeInSeconds"] == 70
    assert answer["BillableTimeInSeconds"] == 30


async def test_no_job_trains_less_than_a_second(shed: Shed) -> None:
    arn = await shed.create()
    await shed.change(arn, training_start=shed.now, training_end=shed.now)
    answer = await describe(shed)
    assert (answer["TrainingTimeInSeconds"], answer["BillableTimeInSeconds"]) == (1, 1)


async def test_a_job_that_never_started_has_an_end_but_no_training_time(shed: Shed) -> None:
    arn = await shed.create()
    await shed.move(arn, S.FAILED)
    await shed.change(arn, training_end=shed.now)
    answer = await describe(shed)
    assert answer["TrainingEndTime"] == shed.now
    assert "TrainingTimeInSeconds" not in answer
    assert "TrainingStartTime" not in answer


async def test_a_failure_reason_is_cut_at_1024_characters(shed: Shed) -> None:
    arn = await shed.create()
    await shed.move(arn, S.FAILED)
    await shed.change(arn, failure_reason="AlgorithmError: " + "x" * 2000)
    reason = (await describe(shed))["FailureReason"]
    assert reason.startswith("AlgorithmError: xxx")
    assert len(reason) == 1024


async def test_final_metrics_are_told_up_to_forty(shed: Shed) -> None:
    arn = await shed.create()
    job = await shed.change(arn, attempt=Attempt(number=1, backend="local", started=NOON))
    at = NOON.timestamp()
    points = [[f"m{number:02}", float(number), at] for number in range(45)]
    await shed.records.take(job.id, 1, "algo-1", [Fact(1, at, Kind.METRICS, {"points": points})])

    metrics = (await describe(shed))["FinalMetricDataList"]

    assert len(metrics) == 40
    assert metrics[7] == {"MetricName": "m07", "Value": 7.0, "Timestamp": NOON}


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
async def test_an_unknown_job_is_not_found(shed: Shed, region: str) -> None:
    await shed.create("other")
    with pytest.raises(RequestRejected) as refused:
        await shed.call("DescribeTrainingJob", region=region, TrainingJobName="digits")
    assert refused.value.code == "ValidationException"
    assert refused.value.message == "Requested resource not found."

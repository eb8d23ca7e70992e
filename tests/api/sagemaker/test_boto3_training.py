"""Training jobs as boto3 sees them, through the real front."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.sagemaker.shed import NOON, Shed, asked, channel
from tests.api.serving import serving

from trainshed.domain.training import SecondaryStatus

S = SecondaryStatus


@pytest.fixture
def client(shed: Shed) -> Iterator[Any]:
    with serving(shed.operations) as server:
        client = server.client("sagemaker")
        yield client
        client.close()


def refused(error: ClientError) -> tuple[str, str]:
    return error.response["Error"]["Code"], error.response["Error"]["Message"]


def test_a_job_is_created_described_and_stopped(shed: Shed, client: Any) -> None:
    made = client.create_training_job(
        **asked(
            InputDataConfig=[channel()],
            HyperParameters={"lr": "0.1"},
            Tags=[{"Key": "team", "Value": "vision"}],
        )
    )
    arn = made["TrainingJobArn"]

    told = client.describe_training_job(TrainingJobName="digits")
    assert told["TrainingJobArn"] == arn
    assert told["CreationTime"] == NOON
    assert told["OutputDataConfig"]["KmsKeyId"] == ""
    assert told["HyperParameters"] == {"lr": "0.1"}
    assert told["SecondaryStatusTransitions"][0]["StatusMessage"] == "Starting the training job"

    shed.pass_time(1.5)
    client.stop_training_job(TrainingJobName="digits")
    told = client.describe_training_job(TrainingJobName="digits")
    assert (told["TrainingJobStatus"], told["SecondaryStatus"]) == ("Stopping", "Stopping")
    assert told["LastModifiedTime"] == datetime(2026, 1, 1, 12, 0, 1, 500000, tzinfo=UTC)

    with pytest.raises(ClientError) as again:
        client.stop_training_job(TrainingJobName="digits")
    assert refused(again.value) == (
        "ValidationException",
        "The request was rejected because the training job is in status Stopping.",
    )


def test_errors_are_the_ones_clients_catch(client: Any) -> None:
    client.create_training_job(**asked())
    with pytest.raises(client.exceptions.ResourceInUse, match="already exists"):
        client.create_training_job(**asked())
    with pytest.raises(ClientError) as unknown:
        client.describe_training_job(TrainingJobName="nothing")
    assert refused(unknown.value) == ("ValidationException", "Requested resource not found.")
    with pytest.raises(ClientError) as no_data:
        client.create_training_job(
            **asked("other", InputDataConfig=[channel(uri="s3://in/nothing")])
        )
    assert refused(no_data.value)[1].startswith(
        'No S3 objects found under S3 URL "s3://in/nothing"'
    )
    with pytest.raises(ClientError) as elsewhere:
        client.search(Resource="Endpoint")
    assert refused(elsewhere.value)[0] == "NotImplementedException"


def test_the_waiter_sees_an_ended_job(shed: Shed, client: Any) -> None:
    client.create_training_job(**asked())
    (arn,) = asyncio.run(shed.records.open_jobs())
    asyncio.run(shed.move(arn, S.TRAINING, S.UPLOADING, S.COMPLETED))
    client.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName="digits")


def test_the_paginator_walks_all_pages(client: Any) -> None:
    names = [f"job-{number:02}" for number in range(25)]
    for name in names:
        client.create_training_job(**asked(name))
    pages = client.get_paginator("list_training_jobs").paginate(
        SortBy="Name", SortOrder="Descending", PaginationConfig={"PageSize": 7}
    )
    sizes, listed = [], []
    for page in pages:
        sizes.append(len(page["TrainingJobSummaries"]))
        listed += [job["TrainingJobName"] for job in page["TrainingJobSummaries"]]
    assert sizes == [7, 7, 7, 4]
    assert listed == names[::-1]
    after = client.list_training_jobs(CreationTimeAfter=NOON)
    assert after["TrainingJobSummaries"] == []
    before = client.list_training_jobs(CreationTimeBefore=NOON.timestamp() + 1)
    assert len(before["TrainingJobSummaries"]) == 10


def test_search_walks_all_pages(client: Any) -> None:
    for number in range(5):
        client.create_training_job(**asked(f"job-{number}", HyperParameters={"lr": f"0.{number}"}))
    pages = client.get_paginator("search").paginate(
        Resource="TrainingJob",
        SearchExpression={
            "Filters": [{"Name": "HyperParameters.lr", "Operator": "GreaterThan", "Value": "0.05"}]
        },
        SortBy="HyperParameters.lr",
        PaginationConfig={"PageSize": 3},
    )
    found = [result["TrainingJob"] for page in pages for result in page["Results"]]
    assert [job["TrainingJobName"] for job in found] == ["job-4", "job-3", "job-2", "job-1"]
    assert found[0]["CreationTime"] == NOON
    assert found[0]["Tags"] == []


def test_tags_are_added_listed_and_removed(client: Any) -> None:
    arn = client.create_training_job(**asked(Tags=[{"Key": "a", "Value": "1"}]))["TrainingJobArn"]
    client.add_tags(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    pages = client.get_paginator("list_tags").paginate(ResourceArn=arn)
    tags = [tag for page in pages for tag in page["Tags"]]
    assert tags == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    client.delete_tags(ResourceArn=arn, TagKeys=["a", "b"])
    assert client.list_tags(ResourceArn=arn)["Tags"] == []


def test_a_job_is_updated_and_deleted(shed: Shed, client: Any) -> None:
    arn = client.create_training_job(**asked())["TrainingJobArn"]
    updated = client.update_training_job(
        TrainingJobName="digits", ProfilerConfig={"DisableProfiler": True}
    )
    assert updated["TrainingJobArn"] == arn
    asyncio.run(shed.move(arn, S.FAILED))
    with pytest.raises(client.exceptions.ResourceInUse, match="still being removed"):
        client.delete_training_job(TrainingJobName="digits")
    asyncio.run(shed.change(arn, cleaned=True))
    client.delete_training_job(TrainingJobName="digits")
    assert client.list_training_jobs()["TrainingJobSummaries"] == []

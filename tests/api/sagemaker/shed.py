"""A server's SageMaker operations over a real store, with a clock the test turns."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from trainshed.api.operations import offered
from trainshed.api.sagemaker.change import ChangeTraining
from trainshed.api.sagemaker.create import CreateTraining
from trainshed.api.sagemaker.data import Data
from trainshed.api.sagemaker.read import ReadTraining
from trainshed.api.sagemaker.search import SearchTraining
from trainshed.api.sagemaker.tags import ResourceTags
from trainshed.domain.errors import ObjectMissing
from trainshed.domain.training import SecondaryStatus, TrainingJob
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.stores.records.tags import SqlTags
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.wire.message import Call, Reply
from trainshed.wire.model import load
from trainshed.wire.protocols.base import HttpRequest
from trainshed.wire.protocols.json import parse, render

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/trainshed"


def asked(name: str = "digits", **members: Any) -> dict[str, Any]:
    """Return a small CreateTrainingJob; ``members`` replace top-level ones, None removes them."""
    request = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://out/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **members,
    }
    return {key: value for key, value in request.items() if value is not None}


def channel(name: str = "train", uri: str = "s3://in/train", **members: Any) -> dict[str, Any]:
    """Return a channel of S3 objects."""
    source = {"S3DataType": "S3Prefix", "S3Uri": uri}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **members}


class FakeObjects:
    """Buckets and keys in memory."""

    def __init__(self, keys: Mapping[str, Sequence[str]]) -> None:
        self.keys = keys

    async def bucket(self, name: str) -> object:
        if name not in self.keys:
            raise ObjectMissing(f"no bucket {name}")
        return name

    async def exists_prefix(self, bucket: str, prefix: str) -> bool:
        return any(key.startswith(prefix) for key in self.keys.get(bucket, ()))


class Shed:
    """The operations, called as the wire calls them: parsed, checked and rendered by the model."""

    def __init__(self, folder: Path) -> None:
        self.now = NOON
        self.database = SqliteDatabase(folder / "records.db")
        self.changes = InProcessChanges()
        self.records = SqlTrainingRecords(self.database, self.changes)
        self.tags = SqlTags(self.database)
        self.objects = FakeObjects({"in": ["train/a.csv", "train/b.csv"], "out": []})
        ids = count(1)
        self.operations = offered(
            CreateTraining(
                records=self.records,
                data=Data(self.objects),
                account=ACCOUNT,
                clock=lambda: self.now,
                new_id=lambda: f"{next(ids):012x}",
                backends={"local", "docker"},
            ).operations(),
            ReadTraining(records=self.records, account=ACCOUNT).operations(),
            ChangeTraining(
                records=self.records, account=ACCOUNT, clock=lambda: self.now
            ).operations(),
            SearchTraining(records=self.records, tags=self.tags).operations(),
            ResourceTags(records=self.records, tags=self.tags).operations(),
        )

    def close(self) -> None:
        self.database.close()

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def call(
        self, operation: str, *, region: str = "us-east-1", invocation: str = "", **params: Any
    ) -> dict[str, Any]:
        """Return the operation's answer, as it was before the wire rendered it."""
        model = load("sagemaker")
        body = json.dumps(params, default=datetime.timestamp).encode()
        request = HttpRequest(method="POST", path="/", body=body)
        call = Call(
            service="sagemaker",
            operation=operation,
            params=parse(model, operation, request),
            region=region,
            access_key="key",
            request_id="request",
            headers={"amz-sdk-invocation-id": invocation} if invocation else {},
        )
        answer = await self.operations["sagemaker", operation](call)
        assert not isinstance(answer, Reply)
        # Fails for members and types the model does not have.
        render(model, operation, Reply(result=answer), "request")
        return answer

    async def create(self, name: str = "digits", **members: Any) -> str:
        """Return the new job's ARN."""
        answer = await self.call("CreateTrainingJob", **asked(name, **members))
        return str(answer["TrainingJobArn"])

    async def job(self, arn: str) -> TrainingJob:
        found = await self.records.get(arn)
        assert found is not None
        return found

    async def change(self, arn: str, **members: Any) -> TrainingJob:
        """Do to a row what the engine would."""
        old = await self.job(arn)
        new = replace(old, **members)
        assert await self.records.swap(old, new)
        return new

    async def move(self, arn: str, *path: SecondaryStatus, seconds: float = 10) -> TrainingJob:
        """Move a job along ``path``, ``seconds`` between two steps."""
        job = await self.job(arn)
        for secondary in path:
            self.pass_time(seconds)
            moved = job.moved_to(secondary, at=self.now)
            assert await self.records.swap(job, moved)
            job = moved
        return job

"""The key that only reads: every client can make it of its own, and nobody can do harm with it."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from trainshed.api.keys import reads
from trainshed.domain import keys
from trainshed.testing.server import Server
from trainshed.wire.model import load

Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture(scope="module")
def reader(server: Server) -> Clients:
    key, secret = keys.reader(*server.keys)
    return lambda service: client(server, service, key, secret)


def client(server: Server, service: str, key: str, secret: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}),
    )


def test_it_can_be_made_without_any_program_of_ours() -> None:
    digest = hashlib.sha256(b"trainshed-reader/AK/secret").hexdigest()
    assert keys.reader("AK", "secret") == ("TSREADERAK", digest[:40])


def test_it_reads_what_is_told_of_jobs(reader: Clients) -> None:
    assert reader("sagemaker").list_training_jobs()["TrainingJobSummaries"] == []
    assert reader("logs").describe_log_groups()["logGroups"] == []
    assert reader("sts").get_caller_identity()["Account"] == "123456789012"


@pytest.mark.parametrize(
    ("service", "operation", "members", "code"),
    [
        ("sagemaker", "stop_training_job", {"TrainingJobName": "a"}, "AccessDeniedException"),
        ("logs", "create_log_group", {"logGroupName": "a"}, "AccessDeniedException"),
        ("logs", "delete_log_group", {"logGroupName": "a"}, "AccessDeniedException"),
        ("s3", "list_buckets", {}, "AccessDenied"),
        ("s3", "get_object", {"Bucket": "bucket", "Key": "key"}, "AccessDenied"),
        ("s3", "put_object", {"Bucket": "bucket", "Key": "k", "Body": b"x"}, "AccessDenied"),
        ("iam", "get_role", {"RoleName": "a"}, "AccessDenied"),
    ],
)
def test_it_does_nothing_else(
    service: str, operation: str, members: dict[str, Any], code: str, reader: Clients
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(reader(service), operation)(**members)
    assert refused.value.response["Error"]["Code"] == code
    assert "it may only read" in refused.value.response["Error"]["Message"]


def test_its_secret_is_not_the_servers(server: Server) -> None:
    key, secret = server.keys
    with pytest.raises(ClientError, match="signature"):
        client(server, "sagemaker", f"TSREADER{key}", secret).list_training_jobs()


def test_of_our_own_operations_it_may_carry_out_those_that_change_nothing() -> None:
    allowed = {name for name in load("trainshed").operations if reads("trainshed", name)}
    assert allowed == {"AwaitTrainingJobs", "DescribeQueue", "ExplainTrainingJob"}


def test_it_reaches_neither_objects_nor_roles() -> None:
    for service in ("s3", "iam", "sagemaker-runtime"):
        assert not any(reads(service, name) for name in load(service).operations)

"""Short-lived keys, asked for by boto3 as it does inside a container."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from starlette.types import Receive, Scope, Send
from tests.api.keys.test_job_keys import SECRET, Jobs, over, running
from tests.api.serving import Server, serving_at_all

from trainshed.api.credentials import ContainerCredentials
from trainshed.api.keys import Keyring
from trainshed.api.operations import offered
from trainshed.api.s3 import operations as s3
from trainshed.api.sts.identity import Identity
from trainshed.domain import names
from trainshed.domain.errors import StoreError
from trainshed.domain.training import TrainingJob
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.wire.front import Front

MINUTE = timedelta(minutes=1)
JOB = running()
NODE = names.node_id(JOB.id, 1, "algo-1")
TOKEN = names.credentials_token(SECRET, NODE)


class Shed:
    """A server with one job, whose clock goes ahead of the true time when told to."""

    def __init__(self, folder: Path) -> None:
        self.jobs = Jobs(JOB)
        self.ahead = timedelta()
        self.database = SqliteDatabase(folder / "records.db")
        objects = EmbeddedObjects(self.database, folder / "objects", self.now)
        identity = Identity(account="123456789012", records=self.jobs)
        known = Keyring(own={"ROOT": "s"}, records=self.jobs, secret=SECRET, clock=self.now)
        table = offered(s3.operations(objects, self.now), identity.operations())
        self.front = Front(table, known, self.now, "us-east-1")
        self.credentials = ContainerCredentials(
            records=self.jobs, secret=SECRET, clock=self.now, lifetime=MINUTE
        )

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        of_node = scope["path"].startswith("/agent/v1/")
        await (self.credentials if of_node else self.front)(scope, receive, send)


@pytest.fixture
def shed(tmp_path: Path) -> Iterator[Shed]:
    made = Shed(tmp_path)
    yield made
    made.database.close()


@pytest.fixture
def served(shed: Shed) -> Iterator[Server]:
    with serving_at_all(shed) as server:
        yield server


@pytest.fixture
def inside(served: Server, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """A session that finds what a container's environment has, and nothing else."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    found = {
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_ENDPOINT_URL": served.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{served.url}/agent/v1/nodes/{NODE}/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": TOKEN,
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return boto3.Session()


def once(session: boto3.Session, service: str, **config: Any) -> Any:
    settings = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **config)
    return session.client(service, config=settings)


def asked(served: Server, token: str, node: str = NODE) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": token} if token else {}
    request = urllib.request.Request(
        f"{served.url}/agent/v1/nodes/{node}/credentials", None, headers
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def fetched(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


def refused(call: Any, **members: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**members)
    return str(error.value.response["Error"]["Code"])


def test_a_key_is_given_as_clients_expect_it(shed: Shed, served: Server) -> None:
    before = shed.now()
    status, told = asked(served, TOKEN)
    assert status == 200
    assert set(told) == {"RoleArn", "AccessKeyId", "SecretAccessKey", "Token", "Expiration"}
    assert told["RoleArn"] == JOB.request["RoleArn"]
    until = datetime.strptime(told["Expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert before + MINUTE - timedelta(seconds=1) < until <= shed.now() + MINUTE


def test_a_program_without_keys_signs_with_those_it_is_given(inside: boto3.Session) -> None:
    client, identity = once(inside, "s3"), once(inside, "sts")
    client.create_bucket(Bucket="mine")
    client.put_object(Bucket="mine", Key="k", Body=b"content")
    assert client.get_object(Bucket="mine", Key="k")["Body"].read() == b"content"
    arn = "arn:aws:sts::123456789012:assumed-role/trainshed/SageMaker"
    assert identity.get_caller_identity()["Arn"] == arn
    client.close()
    identity.close()


def test_an_expired_key_is_refused_and_the_next_one_works(
    shed: Shed, inside: boto3.Session
) -> None:
    credentials = inside.get_credentials()
    assert credentials is not None
    first = credentials.get_frozen_credentials()
    held = boto3.Session(first.access_key, first.secret_key, first.token)
    client, identity, renewing = once(held, "s3"), once(held, "sts"), once(inside, "s3")
    client.create_bucket(Bucket="mine")

    shed.ahead = 2 * MINUTE

    assert refused(client.list_objects_v2, Bucket="mine") == "ExpiredToken"
    assert refused(identity.get_caller_identity) == "ExpiredToken"
    assert renewing.list_objects_v2(Bucket="mine")["KeyCount"] == 0
    for each in (client, identity, renewing):
        each.close()


@pytest.mark.parametrize("signature", ["s3v4", "s3"])
def test_a_presigned_address_is_good_while_its_key_is(
    shed: Shed, inside: boto3.Session, signature: str
) -> None:
    client = once(inside, "s3", signature_version=signature)
    plain = once(inside, "s3")
    plain.create_bucket(Bucket="mine")
    plain.put_object(Bucket="mine", Key="k", Body=b"content")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "mine", "Key": "k"})
    plain.close()
    client.close()
    assert fetched(url) == (200, b"content")
    other, changes = re.subn("(?i)(security-token=)", r"\\1x", url)
    assert changes == 1
    status, body = fetched(other)
    assert (status, b"InvalidToken" in body) == (400, True)
    shed.ahead = 2 * MINUTE
    status, body = fetched(url)
    assert (status, b"ExpiredToken" in body) == (400, True)
    shed.jobs.jobs.clear()
    status, body = fetched(url)
    assert (status, b"InvalidAccessKeyId" in body) == (403, True)


@pytest.mark.parametrize(
    "now",
    [
        over(JOB, cleaned=False),
        replace(JOB, attempt=None),
        running(number=2),
        running(EnableNetworkIsolation=True),
        None,
    ],
)
def test_nothing_is_given_to_what_is_over_or_isolated(
    shed: Shed, served: Server, now: TrainingJob | None
) -> None:
    shed.jobs.jobs = {} if now is None else {now.id: now}
    status, told = asked(served, TOKEN)
    assert (status, told["code"]) == (404, "ResourceNotFound")


@pytest.mark.parametrize(
    "token",
    ["", "wrong", f"Bearer {TOKEN}", names.report_token(SECRET, NODE), TOKEN[:-1], TOKEN + "0"],
)
def test_a_container_needs_its_own_token(served: Server, token: str) -> None:
    status, told = asked(served, token)
    assert (status, told["code"]) == (401, "AccessDeniedException")


@pytest.mark.parametrize("node", ["gone.1.algo-1", "gone", "gone.x.algo-1", ".1.algo-1"])
def test_a_node_of_no_job_has_no_keys(served: Server, node: str) -> None:
    status, told = asked(served, names.credentials_token(SECRET, node), node)
    assert (status, told["code"]) == (404, "ResourceNotFound")


class Broken(Jobs):
    async def by_id(self, job_id: str) -> TrainingJob | None:
        raise StoreError("disk I/O error")


def test_records_that_can_not_be_read_ask_the_client_to_come_again(
    shed: Shed, served: Server
) -> None:
    shed.credentials = ContainerCredentials(records=Broken(), secret=SECRET, clock=shed.now)
    assert asked(served, TOKEN) == (
        503,
        {"code": "ServiceUnavailable", "message": "disk I/O error"},
    )

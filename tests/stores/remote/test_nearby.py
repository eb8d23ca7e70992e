"""Objects of the server on the same machine are read from its files."""

import contextlib
import dataclasses
import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from tests.stores.objects.embedded_fixtures import copied
from tests.stores.remote.conftest import BUCKET, Ours

from trainshed.domain.errors import ObjectMissing
from trainshed.domain.plan import NodePlan
from trainshed.stores.objects.addresses import parse
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import ObjectChanged

KEYS = ["a/../b", "a//b", "dir/", "sp ace+plus/ü%41#?&=.txt", "tab\there", "train/x", "train2/y"]


@pytest.fixture(scope="module")
def plan(ours: Ours) -> Iterator[NodePlan]:
    """The plan of a node of a job that runs."""
    access = ours.direct
    sagemaker = boto3.client(
        "sagemaker",
        endpoint_url=access["endpoint"],
        aws_access_key_id=access["access_key"],
        aws_secret_access_key=access["secret_key"],
        region_name="us-east-1",
    )
    sagemaker.create_training_job(
        TrainingJobName="sleeps",
        RoleArn="arn:aws:iam::123456789012:role/any",
        AlgorithmSpecification={
            "TrainingImage": "any",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["sleep", "600"],
        },
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    yield _plan(ours.server.data)
    sagemaker.stop_training_job(TrainingJobName="sleeps")
    until = time.monotonic() + 60
    while ours.server.remains():
        assert time.monotonic() < until, ours.server.remains()
        threading.Event().wait(0.05)
    sagemaker.close()


def _plan(data: Path) -> NodePlan:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for path in data.glob("nodes/*/plan.json"):
            with contextlib.suppress(ValueError):
                return NodePlan.from_json(path.read_text())
        threading.Event().wait(0.01)
    raise AssertionError("no node was planned")


@pytest.fixture
def away(plan: NodePlan) -> NodePlan:
    """A plan by which bytes can only come from files: S3 itself refuses its keys."""
    return dataclasses.replace(plan, objects={**plan.objects, "secret_key": "wrong"})


def test_odd_keys_are_listed_and_read_from_files(
    ours: Ours, away: NodePlan, tmp_path: Path
) -> None:
    for key in KEYS:
        ours.client.put_object(Bucket=BUCKET, Key=f"odd/{key}", Body=key.encode())
    objects = RemoteObjects.for_node(away)
    found = list(objects.list(parse(f"s3://{BUCKET}/odd/")))
    assert [entry.key for entry in found] == sorted(f"odd/{key}" for key in KEYS)
    for number, entry in enumerate(found):
        address = parse(f"s3://{BUCKET}/{entry.key}")
        objects.fetch(address, tmp_path / str(number), entry)
        assert (tmp_path / str(number)).read_text() == entry.key.removeprefix("odd/")
        assert objects.stat(address) == entry
    some = [entry.key for entry in objects.list(parse(f"s3://{BUCKET}/odd/train"))]
    assert some == ["odd/train/x", "odd/train2/y"]
    with pytest.raises(ObjectMissing):
        objects.fetch(parse(f"s3://{BUCKET}/odd/none"), tmp_path / "none")
    with pytest.raises(ObjectMissing):
        list(objects.list(parse("s3://no-such-bucket/")))


def test_a_long_list_comes_page_by_page(ours: Ours, away: NodePlan) -> None:
    names = [f"many/{number:05}" for number in range(2100)]
    ours.client.put_object(Bucket=BUCKET, Key=names[0], Body=b"")
    copied(ours.server.data / "trainshed.db", BUCKET, names[0], names[1:])
    objects = RemoteObjects(ours.direct)
    for way in (RemoteObjects.for_node(away), objects):
        found = [entry.key for entry in way.list(parse(f"s3://{BUCKET}/many/"))]
        assert found == names


def test_an_open_object_stays_what_it_was(ours: Ours, away: NodePlan, tmp_path: Path) -> None:
    address = parse(f"s3://{BUCKET}/opened")
    ours.client.put_object(Bucket=BUCKET, Key=address.key, Body=b"old")
    objects = RemoteObjects.for_node(away)
    entry = objects.stat(address)
    descriptor = objects.opened(address, entry)
    assert descriptor is not None
    ours.client.put_object(Bucket=BUCKET, Key=address.key, Body=b"newer")
    with open(descriptor, "rb") as file:  # noqa: PTH123 - by descriptor
        assert file.read() == b"old"
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(file.fileno(), b"x")
    again = objects.opened(address)
    assert again is not None
    with open(again, "rb") as file:  # noqa: PTH123
        assert file.read() == b"newer"
    # Not the version that is wanted: it is not given under its name.
    assert objects.opened(address, entry) is None


def test_what_cannot_be_had_from_files_comes_over_http(
    ours: Ours, plan: NodePlan, tmp_path: Path
) -> None:
    address = parse(f"s3://{BUCKET}/there")
    ours.client.put_object(Bucket=BUCKET, Key=address.key, Body=b"there")
    (tmp_path / "empty").mkdir()
    elsewhere = {**plan.objects, "folder": str(tmp_path / "empty")}
    token = dataclasses.replace(plan, token="wrong")
    for number, odd in enumerate((dataclasses.replace(plan, objects=elsewhere), token)):
        objects = RemoteObjects.for_node(odd)
        (entry,) = objects.list(address)
        objects.fetch(address, tmp_path / str(number), entry)
        assert (tmp_path / str(number)).read_bytes() == b"there"
        assert objects.opened(address, entry) is None
    ours.client.put_object(Bucket=BUCKET, Key=address.key, Body=b"other")
    objects = RemoteObjects.for_node(plan)
    with pytest.raises(ObjectChanged):
        objects.fetch(address, tmp_path / "pinned", entry)


def test_only_a_node_is_told_of_files(ours: Ours, plan: NodePlan) -> None:
    host, port = ours.server.address
    connection = http.client.HTTPConnection(host, port)
    path = f"/agent/v1/nodes/{plan.node_id}/objects"
    good = {"authorization": f"Bearer {plan.token}"}
    asked = json.dumps({"bucket": BUCKET, "keys": ["there"]})
    for headers, body, status in (
        ({}, asked, 401),
        ({"authorization": "Bearer wrong"}, asked, 401),
        (good, "no json", 400),
        (good, json.dumps({"bucket": 1}), 400),
        (good, json.dumps({"bucket": BUCKET, "keys": [1]}), 400),
        (good, json.dumps({"bucket": BUCKET, "keys": ["k"] * 2001}), 400),
        (good, asked, 200),
    ):
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()


@pytest.mark.parametrize("status", [b"404 Not Found", b"403 Forbidden", b"405 Method Not Allowed"])
def test_who_answers_in_the_servers_place_is_not_believed(
    ours: Ours, plan: NodePlan, tmp_path: Path, status: bytes
) -> None:
    # A proxy does that while the server is away, and so does another program on its port.
    foreign = 0

    def answer(data: bytes) -> bytes:
        nonlocal foreign
        foreign += 1
        return b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n" if foreign % 3 else data

    by_proxy = {**plan.objects, "endpoint": ours.way.endpoint}
    far = dataclasses.replace(plan, objects=by_proxy, token="wrong")  # it finds no files
    objects = RemoteObjects.for_node(far)
    address = parse(f"s3://{BUCKET}/believed")
    ours.way.change = answer
    try:
        objects.put(address, lambda sink: sink.write(b"kept"))
        (entry,) = objects.list(address)
        objects.fetch(address, tmp_path / "fetched", entry)
        assert objects.stat(address).size == 4
    finally:
        ours.way.change = lambda data: data
    assert (tmp_path / "fetched").read_bytes() == b"kept"
    assert foreign > 8
    with pytest.raises(ObjectMissing):
        objects.stat(parse(f"s3://{BUCKET}/none"))

"""Whatever is sent to the real server: a typed refusal comes back, and it serves the next one."""

import copy
import json
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.journeys.shed import BUCKET, IMAGE, ROLE, Shed, channel
from tests.journeys.wire import Line

from trainshed.api.sagemaker.absent import ABSENT

ON_A_SERVER = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    max_examples=150,
)
JOB = {"TrainingJobName": "nobody"}
GROUP = {"logGroupName": "/odd"}
STREAM = {**GROUP, "logStreamName": "odd"}
ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/nobody"
REQUESTS: dict[tuple[str, str], dict[str, Any]] = {
    ("sagemaker", "CreateTrainingJob"): {
        "TrainingJobName": "odd",
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/true"],
            "ContainerArguments": ["a"],
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
        },
        "RoleArn": ROLE,
        # Nothing lies there, so that what is well-formed after all is refused last of all.
        "InputDataConfig": [channel("train", "nothing/here", ShuffleConfig={"Seed": 1})],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/odd"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 5},
        "HyperParameters": {"a": "1"},
        "Environment": {"A": "1"},
        "Tags": [{"Key": "a", "Value": "b"}],
        "RetryStrategy": {"MaximumRetryAttempts": 1},
        "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/odd"},
    },
    ("sagemaker", "DescribeTrainingJob"): JOB,
    ("sagemaker", "StopTrainingJob"): JOB,
    ("sagemaker", "DeleteTrainingJob"): JOB,
    ("sagemaker", "UpdateTrainingJob"): {**JOB, "ProfilerConfig": {"DisableProfiler": True}},
    ("sagemaker", "ListTrainingJobs"): {
        "MaxResults": 5,
        "NextToken": "x",
        "SortBy": "Name",
        "SortOrder": "Ascending",
        "NameContains": "a",
        "CreationTimeAfter": 1.5,
    },
    ("sagemaker", "Search"): {
        "Resource": "TrainingJob",
        "SearchExpression": {
            "Filters": [{"Name": "TrainingJobName", "Operator": "Contains", "Value": "a"}],
            "Operator": "Or",
        },
        "SortBy": "CreationTime",
        "MaxResults": 5,
    },
    ("sagemaker", "AddTags"): {"ResourceArn": ARN, "Tags": [{"Key": "a", "Value": "b"}]},
    ("sagemaker", "DeleteTags"): {"ResourceArn": ARN, "TagKeys": ["a"]},
    ("sagemaker", "ListTags"): {"ResourceArn": ARN, "MaxResults": 50},
    ("logs", "CreateLogGroup"): GROUP,
    ("logs", "CreateLogStream"): STREAM,
    ("logs", "PutLogEvents"): {**STREAM, "logEvents": [{"timestamp": 1, "message": "a"}]},
    ("logs", "DescribeLogGroups"): {"logGroupNamePrefix": "/", "limit": 5},
    ("logs", "DescribeLogStreams"): {**GROUP, "logStreamNamePrefix": "o", "limit": 5},
    ("logs", "GetLogEvents"): {**STREAM, "startTime": 0, "nextToken": "f/1", "limit": 5},
    ("logs", "FilterLogEvents"): {**GROUP, "filterPattern": "a", "startTime": 0, "limit": 5},
    ("logs", "DeleteLogStream"): STREAM,
    ("logs", "DeleteLogGroup"): GROUP,
}
ODD: list[Any] = [
    *(None, True, -1, 0, 1.5, 10**30, "", "x", "\0", "../..", "\ud800", "x" * 70_000),
    *([], {}, [None], [[]], [{}], {"a": []}, {"a": None}, {"": ""}, 1e308),
]


@pytest.fixture(scope="module")
def line(shed: Shed) -> Iterator[Line]:
    opened = Line(shed.server)
    yield opened
    opened.close()


def assert_serves(shed: Shed) -> None:
    shed.sagemaker.list_training_jobs(MaxResults=1)
    assert "Traceback" not in shed.server.said()


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each node of a JSON value."""
    if here:
        yield here
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in inner:
        yield from places(item, (*here, key))


def replaced(request: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(request)
    inner: Any = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


def assert_answered(line: Line, service: str, operation: str, body: Any) -> None:
    """Check that a request is carried out, or refused as a request should be."""
    answer = line.call(service, operation, body)
    if answer.status != 200:
        answer.assert_refused()


@pytest.mark.parametrize(("service", "operation"), REQUESTS)
def test_every_member_of_every_operation_with_values_of_all_kinds(
    shed: Shed, line: Line, service: str, operation: str
) -> None:
    request = REQUESTS[service, operation]
    for place in places(request):
        for value in ODD:
            assert_answered(line, service, operation, replaced(request, place, value))
    for value in ODD:
        if not isinstance(value, dict):
            line.call(service, operation, json.dumps(value).encode()).assert_refused()
    assert_serves(shed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@ON_A_SERVER
@given(asked=st.sampled_from(sorted(REQUESTS)), data=st.data())
def test_requests_with_some_members_changed_at_random(
    shed: Shed, line: Line, asked: tuple[str, str], data: st.DataObject
) -> None:
    request = REQUESTS[asked]
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(sorted(places(request), key=str)))
        if len(place) == 1 or place in set(places(request)):
            request = replaced(request, place, data.draw(JSON))
    assert_answered(line, *asked, request)
    assert_serves(shed)


@pytest.mark.parametrize("service", ["sagemaker", "logs"])
def test_every_operation_of_the_model_is_answered_with_a_type(
    shed: Shed, line: Line, service: str
) -> None:
    model = botocore.session.get_session().get_service_model(service)
    offered = set()
    for operation in model.operation_names:
        for body in (b"{", b"[]", b'{"a": 1}', b"\xff\xfe"):
            answer = line.call(service, operation, body)
            if answer.status == 501:
                assert answer.code == "NotImplementedException"
                assert operation in answer.message
            else:
                offered.add(operation)
                assert answer.status == 200 or answer.code, (operation, answer)
                assert answer.status < 500, (operation, answer)
    asked_after = set(ABSENT) if service == "sagemaker" else set()
    assert offered == {name for where, name in REQUESTS if where == service} | asked_after
    assert_serves(shed)


def test_targets_that_name_nothing(shed: Shed, line: Line) -> None:
    for target in ("SageMaker.MakeCoffee", "SageMaker.", "Coffee.Make", "", "x" * 3000):
        answer = line.signed("sagemaker", "POST", "/", b"{}", x_amz_target=target)
        answer.assert_refused()
    assert_serves(shed)


def test_bodies_beyond_all_measure(shed: Shed) -> None:
    for body in (b'{"TrainingJobName": "' + b"x" * (10 << 20) + b'"}', b"[" * (10 << 20)):
        line = Line(shed.server)
        line.call("sagemaker", "DescribeTrainingJob", body).assert_refused()
        line.close()
    assert_serves(shed)


@pytest.fixture
def forger(shed: Shed) -> Iterator[Line]:
    opened = Line(shed.server, secret="guessed")
    yield opened
    opened.close()


def test_signatures_that_prove_nothing(shed: Shed, forger: Line) -> None:
    for service in ("sagemaker", "logs"):
        answer = forger.call(service, "ListTrainingJobs", {})
        answer.assert_refused()
        assert answer.code == "InvalidSignatureException"
    answer = forger.signed("s3", "GET", f"/{BUCKET}/data/a.csv")
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    nothing = forger.ask("POST", "/", {"X-Amz-Target": "SageMaker.ListTrainingJobs"}, b"{}")
    nothing.assert_refused()
    assert nothing.code == "MissingAuthenticationTokenException"
    assert_serves(shed)


def test_an_address_that_was_signed_for_an_hour_ends_with_it(shed: Shed, line: Line) -> None:
    shed.put({"signed": "content"})
    url = f"{shed.server.url}/{BUCKET}/signed"
    ago = datetime.now(UTC) - timedelta(minutes=61)
    for expires, status, code in ((1, 403, "AccessDenied"), (2, 200, "")):
        made = line.signer("s3").presign("GET", url, ago, expires=timedelta(hours=expires))
        parts = urlsplit(made)
        answer = line.ask("GET", f"{parts.path}?{parts.query}", {}, b"")
        assert (answer.status, answer.code) == (status, code)
    changed = re.sub("signed", "secret", f"{parts.path}?{parts.query}", count=1)
    answer = line.ask("GET", changed, {}, b"")
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")


@ON_A_SERVER
@given(
    sent=st.binary(max_size=80) | st.sampled_from([b"GET", b"POST / HTTP/9\r\n\r\n", b"\r\n" * 99])
)
def test_bytes_that_are_no_request(shed: Shed, sent: bytes) -> None:
    with socket.create_connection(shed.server.address, timeout=60) as plug:
        plug.sendall(sent)
        plug.shutdown(socket.SHUT_WR)
        plug.recv(1000)
    assert_serves(shed)


def test_headers_that_never_end(shed: Shed) -> None:
    with (
        socket.create_connection(shed.server.address, timeout=60) as plug,
        pytest.raises(ConnectionError),
    ):
        plug.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        for _ in range(100_000):
            plug.sendall(b"x-more: " + b"a" * 1000 + b"\r\n")
    assert_serves(shed)


def test_reports_that_no_agent_sends(shed: Shed, line: Line) -> None:
    for path in ("/agent/v1/nodes/x/facts", "/agent/v1/nodes/a.1.algo-1/facts"):
        for token in ("", "Bearer ", "Bearer x", "Basic eDp4"):
            answer = line.ask("POST", path, {"Authorization": token}, b'{"facts": []}')
            assert answer.status == 401
    assert line.ask("GET", "/agent/v1/nodes/x/facts", {}, b"").status == 405
    assert_serves(shed)

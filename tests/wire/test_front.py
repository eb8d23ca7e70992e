"""The front against boto3's JSON, query and REST-JSON clients."""

import gzip
import http.client
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from tests.wire.toy_server import KEYS, NOON, Server, serving

from trainshed.testing.keys import FixedKeys
from trainshed.wire.front import MOST_BODY, Front
from trainshed.wire.signer import Signer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("toy")) as running:
        yield running


def post(
    server: Server, service: str, headers: dict[str, str], body: bytes, *, path: str = "/"
) -> tuple[int, dict[str, str], bytes]:
    """Send a signed request that no well-behaved client would make."""
    signer = Signer(access_key="AKIATOY", secret=KEYS["AKIATOY"], region="x", service=service)
    signed = signer.sign("POST", server.url + path, headers, body, datetime.now(UTC))
    connection = http.client.HTTPConnection(*server.address, timeout=60)
    try:
        connection.request("POST", path, body=body, headers=signed)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_a_json_operation_is_called_with_what_the_client_meant(server: Server) -> None:
    answer = server.client("sagemaker").list_training_jobs(NameContains="abc", MaxResults=5)
    (job,) = answer["TrainingJobSummaries"]
    assert job["TrainingJobName"] == "abc"
    assert job["CreationTime"] == NOON
    call = server.toy.calls[-1]
    assert (call.service, call.operation) == ("sagemaker", "ListTrainingJobs")
    assert call.params == {"NameContains": "abc", "MaxResults": 5}
    assert (call.region, call.access_key) == ("eu-west-1", "AKIATOY")
    assert call.host == server.url.removeprefix("http://")
    assert call.request_id == answer["ResponseMetadata"]["RequestId"]


def test_an_operation_without_output_answers_with_nothing(server: Server) -> None:
    server.client("sagemaker").stop_training_job(TrainingJobName="a")
    assert server.toy.calls[-1].params == {"TrainingJobName": "a"}


def test_one_port_answers_for_several_services(server: Server) -> None:
    assert server.client("logs").describe_log_groups()["logGroups"] == []
    assert server.client("sts").get_caller_identity()["UserId"] == "AKIATOY"
    answer = server.client("sagemaker-runtime").invoke_endpoint(EndpointName="e", Body=b"abc")
    assert answer["Body"].read() == b"cba"


def test_an_operation_s_refusal_reaches_the_client(server: Server) -> None:
    with pytest.raises(ClientError, match="Requested resource not found") as caught:
        server.client("sagemaker").describe_training_job(TrainingJobName="gone")
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_what_a_store_could_not_do_is_told_and_the_server_goes_on(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    client = server.client("sagemaker")
    with pytest.raises(ClientError, match="nothing was written: the disk is full") as caught:
        client.describe_training_job(TrainingJobName="disk-full")
    assert caught.value.response["Error"]["Code"] == "InternalFailure"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert "a store failed" in caplog.messages
    assert client.list_training_jobs()["TrainingJobSummaries"]


def test_a_bug_is_a_typed_error_a_traceback_in_the_log_and_no_more(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    client = server.client("sagemaker")
    with caplog.at_level(logging.ERROR), pytest.raises(ClientError) as caught:
        client.describe_training_job(TrainingJobName="bug")
    assert caught.value.response["Error"]["Code"] == "InternalFailure"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    (record,) = caplog.records
    assert record.exc_info
    request_id = caught.value.response["ResponseMetadata"]["RequestId"]
    assert vars(record)["request_id"] == request_id
    assert request_id in caught.value.response["Error"]["Message"]
    assert client.list_training_jobs()


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sagemaker", "list_models", "NotImplementedException"),
        ("sagemaker", "list_training_jobs", "InvalidSignatureException"),
        ("sts", "get_caller_identity", "SignatureDoesNotMatch"),
    ],
)
def test_what_is_not_offered_or_not_signed_right_says_so(
    server: Server, service: str, operation: str, code: str
) -> None:
    secret = KEYS["AKIATOY"] if code == "NotImplementedException" else "wrong"
    with pytest.raises(ClientError) as caught:
        getattr(server.client(service, secret=secret), operation)()
    assert caught.value.response["Error"]["Code"] == code


def test_an_operation_the_model_lacks_is_unknown(server: Server) -> None:
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "SageMaker.MakeCoffee",
    }
    status, answered, body = post(server, "sagemaker", headers, b"{}")
    assert status == 400
    assert json.loads(body)["__type"] == "UnknownOperationException"
    assert "x-amzn-requestid" in answered


def test_a_service_nobody_speaks_for_is_told_so(server: Server) -> None:
    status, _, body = post(server, "ec2", {"Content-Type": "application/x-amz-json-1.1"}, b"{}")
    assert status == 400
    assert "ec2" in json.loads(body)["message"]


def test_a_body_over_the_limit_is_refused_in_words(server: Server) -> None:
    client = server.client("sagemaker", parameter_validation=False)
    with pytest.raises(ClientError) as caught:
        client.list_training_jobs(NameContains="a" * 2 * MOST_BODY)
    assert caught.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert client.list_training_jobs()


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"X-Amz-Target": "SageMaker.ListTrainingJobs"}, "MissingAuthenticationTokenException"),
        ({"X-Amz-Target": "SageMaker.X", "Authorization": "x"}, "IncompleteSignatureException"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "MissingAuthenticationToken<"),
        ({"Authorization": "Basic x"}, "AuthorizationHeaderMalformed"),
        ({}, "AccessDenied"),
    ],
)
def test_unsigned_requests_are_refused_in_the_words_of_the_service_they_seem_for(
    server: Server, headers: dict[str, str], code: str
) -> None:
    connection = http.client.HTTPConnection(*server.address, timeout=60)
    connection.request("POST", "/", body=b"{}", headers=headers)
    answer = connection.getresponse()
    assert 400 <= answer.status < 500
    assert code in answer.read().decode()
    connection.close()


def test_a_tampered_body_is_noticed(server: Server) -> None:
    signer = Signer(access_key="AKIATOY", secret=KEYS["AKIATOY"], region="x", service="sagemaker")
    target = {"X-Amz-Target": "SageMaker.StopTrainingJob"}
    body = b'{"TrainingJobName":"a"}'
    signed = signer.sign("POST", server.url + "/", target, body, datetime.now(UTC))
    connection = http.client.HTTPConnection(*server.address, timeout=60)
    connection.request("POST", "/", body=body.replace(b"a", b"b"), headers=signed)
    assert json.loads(connection.getresponse().read())["__type"] == "InvalidSignatureException"
    connection.close()


def test_a_clock_that_is_off_is_told_which_way(tmp_path: Path) -> None:
    hour = timedelta(hours=1)
    with serving(tmp_path, clock=lambda: datetime.now(UTC) + hour) as ahead:
        with pytest.raises(ClientError, match="Signature expired: "):
            ahead.client("sagemaker").list_training_jobs()
        with pytest.raises(ClientError, match="RequestTimeTooSkewed"):
            ahead.client("s3").put_object(Bucket="bkt", Key="k", Body=b"x")
    with (
        serving(tmp_path, clock=lambda: datetime.now(UTC) - hour) as behind,
        pytest.raises(ClientError, match="not yet current"),
    ):
        behind.client("sagemaker").list_training_jobs()


def test_a_compressed_request_is_understood(server: Server) -> None:
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "SageMaker.StopTrainingJob",
        "Content-Encoding": "gzip",
    }
    status, _, _ = post(server, "sagemaker", headers, gzip.compress(b'{"TrainingJobName":"zip"}'))
    assert status == 200
    assert server.toy.calls[-1].params == {"TrainingJobName": "zip"}


def test_a_connection_serves_one_request_after_another(server: Server) -> None:
    signer = Signer(access_key="AKIATOY", secret=KEYS["AKIATOY"], region="x", service="sagemaker")
    connection = http.client.HTTPConnection(*server.address, timeout=60)
    connection.connect()
    socket = connection.sock
    for _ in range(3):
        headers = {"X-Amz-Target": "SageMaker.ListTrainingJobs"}
        signed = signer.sign("POST", server.url + "/", headers, b"{}", datetime.now(UTC))
        connection.request("POST", "/", body=b"{}", headers=signed)
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
        assert connection.sock is socket
    connection.close()


async def nothing(_: object) -> dict[str, object]:
    return {}


@pytest.mark.parametrize("name", [("sagemaker", "MakeCoffee"), ("coffee", "Make")])
def test_an_operation_that_no_model_has_cannot_be_offered(name: tuple[str, str]) -> None:
    with pytest.raises(LookupError):
        Front({name: nothing}, FixedKeys(KEYS), lambda: NOON, "x")

"""AWS JSON, byte by byte where clients look at the bytes."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.wire.botocore_oracle import parsed_by_botocore

from trainshed.domain.errors import NotFound, RequestRejected
from trainshed.wire.errors import not_offered, unknown_operation
from trainshed.wire.message import Reply
from trainshed.wire.model import load
from trainshed.wire.protocols import (
    HttpRequest,
    operation_of,
    parse,
    render,
    render_error,
    streams,
)

SAGEMAKER = load("sagemaker")
NOON = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


def post(target: str, body: bytes = b"") -> HttpRequest:
    return HttpRequest(method="POST", path="/", headers={"x-amz-target": target}, body=body)


def refusal(body: bytes, operation: str = "ListTrainingJobs") -> RequestRejected:
    with pytest.raises(RequestRejected) as caught:
        parse(SAGEMAKER, operation, post(f"SageMaker.{operation}", body))
    return caught.value


@pytest.mark.parametrize(
    ("target", "operation"),
    [
        ("SageMaker.ListTrainingJobs", "ListTrainingJobs"),
        ("SageMaker.Nothing", None),
        ("Logs_20140328.DescribeLogStreams", None),
        ("ListTrainingJobs", None),
        ("", None),
    ],
)
def test_the_target_names_the_operation(target: str, operation: str | None) -> None:
    assert operation_of(SAGEMAKER, post(target)) == operation


def test_an_empty_body_is_an_empty_object() -> None:
    assert parse(SAGEMAKER, "ListTrainingJobs", post("SageMaker.ListTrainingJobs")) == {}


@pytest.mark.parametrize(
    "body", [b"{", b"nothing", b'{"a": NaN}', b'{"a": "\xff"}', b'{"a": "\\ud800"}', b"[" * 99999]
)
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    refused = refusal(body)
    assert refused.code == "SerializationException"
    assert refused.status == 400


def test_a_fault_is_refused_under_the_services_own_name() -> None:
    with pytest.raises(RequestRejected) as caught:
        parse(load("logs"), "DescribeLogStreams", post("", b'{"limit": 0}'))
    assert caught.value.code == "InvalidParameterException"
    assert caught.value.message.startswith("1 validation error detected: Value '0' at 'limit'")


def test_a_result_is_one_object_with_times_as_seconds_and_nothing_unset() -> None:
    result = {"TrainingJobName": "j", "CreationTime": NOON, "FailureReason": None}
    response = render(SAGEMAKER, "DescribeTrainingJob", Reply(result=result), "id-1")
    assert response.status == 200
    assert dict(response.headers) == {
        "x-amzn-RequestId": "id-1",
        "Content-Type": "application/x-amz-json-1.1",
    }
    assert response.body == b'{"TrainingJobName":"j","CreationTime":1767268800.123}'


@pytest.mark.parametrize("operation", ["StopTrainingJob", "DeleteModel", "DeleteEndpoint"])
def test_an_operation_without_output_answers_with_an_empty_body(operation: str) -> None:
    response = render(SAGEMAKER, operation, Reply(result={}), "id-1")
    assert (response.status, response.body) == (200, b"")


def test_an_operation_with_an_output_answers_with_an_object_even_when_it_is_empty() -> None:
    assert render(SAGEMAKER, "DeleteTags", Reply(result={}), "id-1").body == b"{}"


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ("DescribeTrainingJob", {"Nonsense": 1}),
        ("DescribeTrainingJob", {"TrainingJobName": 1}),
        ("DescribeTrainingJob", {"CreationTime": 1767268800}),
        ("DescribeTrainingJob", {"CreationTime": datetime(2026, 1, 1)}),  # noqa: DTZ001
        ("DescribeTrainingJob", {"BillableTimeInSeconds": "5"}),
        ("DescribeTrainingJob", {"EnableManagedSpotTraining": 1}),
        ("DescribeTrainingJob", {"ResourceConfig": {"Nonsense": 1}}),
        ("DescribeTrainingJob", {"SecondaryStatusTransitions": {}}),
        ("StopTrainingJob", {"TrainingJobArn": "a"}),
    ],
)
def test_a_result_that_the_model_does_not_have_is_our_bug(
    operation: str, result: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"model|member|expected|output|time zone|list"):
        render(SAGEMAKER, operation, Reply(result=result), "id-1")


def test_a_reply_may_set_status_and_headers() -> None:
    reply = Reply(result={}, status=202, headers={"x-more": "1"})
    response = render(SAGEMAKER, "ListTrainingJobs", reply, "id-1")
    assert response.status == 202
    assert ("x-more", "1") in response.headers


def test_an_error_carries_its_message_under_both_spellings() -> None:
    response = render_error(SAGEMAKER, NotFound(), "id-1")
    assert isinstance(response.body, bytes)
    assert json.loads(response.body) == {
        "__type": "ValidationException",
        "message": "Requested resource not found.",
        "Message": "Requested resource not found.",
    }
    assert response.status == 400
    assert ("x-amzn-RequestId", "id-1") in response.headers


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (unknown_operation("SageMaker.X"), "UnknownOperationException", 400),
        (not_offered("sagemaker", "CreateDomain"), "NotImplementedException", 501),
        (RequestRejected("ResourceInUse", "taken"), "ResourceInUse", 400),
    ],
)
def test_botocore_reads_our_errors(error: RequestRejected, code: str, status: int) -> None:
    response = render_error(SAGEMAKER, error, "id-1")
    parsed = parsed_by_botocore("sagemaker", "CreateTrainingJob", response)
    assert parsed["Error"]["Code"] == code
    assert parsed["Error"]["Message"] == error.message
    assert parsed["ResponseMetadata"]["HTTPStatusCode"] == status


def test_what_is_not_offered_names_the_operation() -> None:
    assert "sagemaker:CreateDomain" in not_offered("sagemaker", "CreateDomain").message


def test_a_service_that_once_spoke_query_repeats_the_old_name_of_an_error() -> None:
    error = RequestRejected("InvalidParameterValueException", "no")
    response = render_error(load("cloudwatch"), error, "id-1")
    assert ("x-amzn-query-error", "InvalidParameterValue;Sender") in response.headers
    parsed = parsed_by_botocore("cloudwatch", "ListMetrics", response)
    assert parsed["Error"]["Code"] == "InvalidParameterValue"
    assert ("Content-Type", "application/x-amz-json-1.0") in response.headers


def test_an_error_of_no_known_service_is_answered_in_json() -> None:
    response = render_error(None, RequestRejected("AccessDenied", "who?", 403), "id-1")
    assert response.status == 403
    assert isinstance(response.body, bytes)
    assert json.loads(response.body)["__type"] == "AccessDenied"


def test_nothing_streams_in_json() -> None:
    assert not any(streams(SAGEMAKER, name) for name in SAGEMAKER.operations)


def test_a_body_nested_too_deeply_is_refused_where_the_model_allows_any_depth() -> None:
    nested = '{"SubExpressions":[' * 480 + "{}" + "]}" * 480
    body = f'{{"Resource":"TrainingJob","SearchExpression":{nested}}}'.encode()
    assert refusal(body, "Search").code == "SerializationException"

"""Answers of the REST protocols: status, headers and body where the model puts them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.wire.botocore_oracle import answer_by_botocore, parsed_by_botocore

from trainshed.domain.errors import RequestRejected
from trainshed.wire.errors import not_offered, unknown_operation
from trainshed.wire.message import File, Reply
from trainshed.wire.model import load
from trainshed.wire.protocols import (
    HttpRequest,
    HttpResponse,
    operation_of,
    parse,
    render,
    render_error,
)

S3, RUNTIME, METRICS = load("s3"), load("sagemaker-runtime"), load("sagemaker-metrics")
NOON = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


def s3(operation: str, **result: Any) -> HttpResponse:
    return render(S3, operation, Reply(result=result), "id-1")


def test_a_list_of_objects_is_a_document_under_s3s_own_name() -> None:
    contents = [{"Key": "a&b", "LastModified": NOON, "ETag": '"e"', "Size": 3}]
    response = s3("ListObjectsV2", Name="b", Contents=contents, IsTruncated=False)
    assert response.body == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>'
        b"<Contents><Key>a&amp;b</Key><LastModified>2026-01-01T12:00:00.123Z</LastModified>"
        b"<ETag>&quot;e&quot;</ETag><Size>3</Size></Contents>"
        b"<IsTruncated>false</IsTruncated></ListBucketResult>"
    )
    assert dict(response.headers) == {
        "x-amz-request-id": "id-1",
        "Content-Type": "application/xml",
    }


@pytest.mark.parametrize("key", ["a\rb", "a\nb", " a ", "\t", "<&>\"'", "漢🙂\u0085\u2028"])
def test_every_key_that_xml_can_hold_comes_back_as_it_was(key: str) -> None:
    response = s3("ListObjectsV2", Contents=[{"Key": key}])
    assert answer_by_botocore("s3", "ListObjectsV2", response)["Contents"] == [{"Key": key}]


def test_a_buckets_location_is_the_document_itself() -> None:
    response = s3("GetBucketLocation", LocationConstraint="eu-west-1")
    assert response.body == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<LocationConstraint '
        b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-west-1</LocationConstraint>'
    )


def test_an_attribute_stands_in_its_tag() -> None:
    grant = {"Grantee": {"Type": "CanonicalUser", "ID": "i"}, "Permission": "FULL_CONTROL"}
    response = s3("GetBucketAcl", Grants=[grant])
    assert isinstance(response.body, bytes)
    assert (
        b'<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        b'xsi:type="CanonicalUser"><ID>i</ID></Grantee>'
    ) in response.body
    assert answer_by_botocore("s3", "GetBucketAcl", response)["Grants"] == [grant]


def test_an_object_is_described_in_headers() -> None:
    response = s3(
        "HeadObject",
        ContentLength=5,
        LastModified=NOON,
        ETag='"e"',
        Metadata={"one": "1"},
        DeleteMarker=False,
        VersionId=None,
    )
    assert dict(response.headers) == {
        "x-amz-request-id": "id-1",
        "Content-Length": "5",
        "Last-Modified": "Thu, 01 Jan 2026 12:00:00 GMT",
        "ETag": '"e"',
        "x-amz-meta-one": "1",
        "x-amz-delete-marker": "false",
    }
    assert response.body == b""


def test_a_payload_goes_out_as_it_is() -> None:
    file = File(Path("/somewhere"), 0, 5)
    assert s3("GetObject", Body=file).body is file
    assert s3("GetObject", Body=b"bytes").body == b"bytes"


def test_a_payload_may_be_a_document() -> None:
    response = s3("CopyObject", CopyObjectResult={"ETag": '"e"'}, CopySourceVersionId="v")
    assert isinstance(response.body, bytes)
    assert b"<CopyObjectResult xmlns=" in response.body
    assert ("x-amz-copy-source-version-id", "v") in response.headers


@pytest.mark.parametrize(
    ("operation", "result", "status"),
    [
        ("DeleteObject", {}, 204),
        ("PutObject", {"ETag": '"e"'}, 200),
        ("DeleteBucket", {}, 204),
        ("PutBucketVersioning", {}, 200),
    ],
)
def test_the_status_is_the_models(operation: str, result: dict[str, Any], status: int) -> None:
    response = s3(operation, **result)
    assert (response.status, response.body) == (status, b"")


def test_a_part_of_an_object_is_answered_with_the_status_of_the_reply() -> None:
    reply = Reply(result={"Body": b"art"}, status=206, headers={"x-more": "1"})
    response = render(S3, "GetObject", reply, "id-1")
    assert response.status == 206
    assert ("x-more", "1") in response.headers


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ("GetObject", {"Nonsense": 1}),
        ("GetObject", {"ContentLength": "5"}),
        ("DeleteBucket", {"Bucket": "b"}),
        ("ListObjectsV2", {"Contents": {"Key": "a"}}),
        ("ListObjectsV2", {"Contents": [{"Nonsense": 1}]}),
        ("ListObjectsV2", {"Contents": [{"LastModified": "now"}]}),
        ("GetBucketAcl", {"Owner": "me"}),
    ],
)
def test_a_result_that_the_model_does_not_have_is_our_bug(
    operation: str, result: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"member|expected|output|list"):
        s3(operation, **result)


@pytest.mark.parametrize(
    "error",
    [
        RequestRejected("NoSuchKey", "The specified key does not exist.", 404),
        unknown_operation("PATCH /b", "rest-xml"),
        not_offered("s3", "GetBucketCors"),
    ],
)
def test_botocore_reads_s3s_errors(error: RequestRejected) -> None:
    response = render_error(S3, error, "id-1", "/b/a&b")
    assert isinstance(response.body, bytes)
    assert b"<Resource>/b/a&amp;b</Resource><RequestId>id-1</RequestId></Error>" in response.body
    parsed = parsed_by_botocore("s3", "GetObject", response)
    assert parsed["Error"]["Code"] == error.code
    assert parsed["Error"]["Message"] == error.message
    assert parsed["ResponseMetadata"]["HTTPStatusCode"] == error.status
    assert parsed["ResponseMetadata"]["RequestId"] == "id-1"


def test_an_error_of_a_head_has_no_body() -> None:
    error = RequestRejected("NoSuchKey", "The specified key does not exist.", 404)
    response = render_error(S3, error, "id-1", "/b/k", method="HEAD")
    assert (response.status, response.body) == (404, b"")
    assert parsed_by_botocore("s3", "HeadObject", response)["Error"]["Code"] == "404"


def test_an_invocation_takes_and_gives_bytes() -> None:
    request = HttpRequest(
        method="POST",
        path="/endpoints/my-endpoint/invocations",
        headers={"content-type": "text/csv", "x-amzn-sagemaker-target-variant": "v1"},
        body=b"1,2\n",
    )
    assert operation_of(RUNTIME, request) == "InvokeEndpoint"
    assert parse(RUNTIME, "InvokeEndpoint", request) == {
        "EndpointName": "my-endpoint",
        "ContentType": "text/csv",
        "TargetVariant": "v1",
        "Body": b"1,2\n",
    }
    result = {"Body": b"\xff0.5", "ContentType": "text/csv", "InvokedProductionVariant": "v1"}
    response = render(RUNTIME, "InvokeEndpoint", Reply(result=result), "id-1")
    assert response.body == b"\xff0.5"
    assert ("Content-Type", "text/csv") in response.headers
    assert answer_by_botocore("sagemaker-runtime", "InvokeEndpoint", response) == result


def test_metrics_come_as_one_json_object() -> None:
    data = [{"MetricName": "loss", "Timestamp": 1767268800, "Value": 0.5}]
    body = json.dumps({"TrialComponentName": "t", "MetricData": data}).encode()
    request = HttpRequest(method="PUT", path="/BatchPutMetrics", body=body)
    assert operation_of(METRICS, request) == "BatchPutMetrics"
    params = parse(METRICS, "BatchPutMetrics", request)
    assert params["MetricData"] == [
        {"MetricName": "loss", "Timestamp": datetime(2026, 1, 1, 12, tzinfo=UTC), "Value": 0.5}
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"TrialComponentName": "t"}', "ValidationException"),
        (b'{"TrialComponentName": "t", "MetricData": {}}', "SerializationException"),
        (b"[]", "SerializationException"),
        (b"{", "SerializationException"),
    ],
)
def test_metrics_that_do_not_fit_are_refused(body: bytes, code: str) -> None:
    with pytest.raises(RequestRejected) as caught:
        parse(METRICS, "BatchPutMetrics", HttpRequest(method="PUT", path="/", body=body))
    assert caught.value.code == code


def test_botocore_reads_errors_of_rest_json() -> None:
    error = RequestRejected("ModelError", "The container failed.", 424)
    response = render_error(RUNTIME, error, "id-1")
    parsed = parsed_by_botocore("sagemaker-runtime", "InvokeEndpoint", response)
    assert parsed["Error"]["Code"] == "ModelError"
    assert parsed["Error"]["Message"] == "The container failed."
    assert parsed["ResponseMetadata"]["RequestId"] == "id-1"

"""Which service a request is for, and where its bucket is named."""

import pytest

from trainshed.wire.route import path_style, seeming_service, service_of
from trainshed.wire.sigv4 import Sent, read


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("127.0.0.1:7070", "/k"),
        ("localhost", "/k"),
        ("[::1]:80", "/k"),
        ("trainshed.example.com", "/k"),
        ("s3.amazonaws.com", "/k"),
        ("127.0.0.1.nip.io", "/k"),
        ("bkt.localhost:7070", "/bkt/k"),
        ("BKT.localhost", "/bkt/k"),
        ("my.bkt.s3.eu-west-1.amazonaws.com", "/my.bkt/k"),
        ("bkt.s3-website.example", "/bkt/k"),
        ("bkt.127.0.0.1.nip.io:80", "/bkt/k"),
    ],
)
def test_a_bucket_in_the_host_moves_to_the_path(host: str, path: str) -> None:
    assert path_style(host, "/k") == path


@pytest.mark.parametrize(
    ("signing_name", "path", "service"),
    [
        ("sagemaker", "/", "sagemaker"),
        ("sagemaker", "/endpoints/e/invocations", "sagemaker-runtime"),
        ("sagemaker", "/BatchPutMetrics", "sagemaker-metrics"),
        ("monitoring", "/", "cloudwatch"),
        ("trainshed", "/", "trainshed"),
        ("s3", "/endpoints/e", "s3"),
        ("ec2", "/", None),
    ],
)
def test_the_signature_says_which_service(
    signing_name: str, path: str, service: str | None
) -> None:
    headers = {
        "x-amz-date": "20260101T120000Z",
        "authorization": f"AWS4-HMAC-SHA256 Credential=a/20260101/r/{signing_name}/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=00",
    }
    claim = read(Sent(method="POST", path=path, query="", headers=headers))
    assert claim is not None
    assert service_of(claim, path) == service


@pytest.mark.parametrize(
    ("headers", "query", "path", "service"),
    [
        ({"x-amz-target": "Logs_20140328.GetLogEvents"}, "", "/", "logs"),
        ({"x-amz-target": "Trainshed.DescribeQueue"}, "", "/", "trainshed"),
        ({"content-type": "application/x-amz-json-1.1"}, "", "/", "sagemaker"),
        ({"content-type": "application/x-www-form-urlencoded"}, "", "/", "sts"),
        ({}, "Action=GetRole&Version=2010-05-08", "/", "iam"),
        ({}, "", "/endpoints/e/invocations", "sagemaker-runtime"),
        ({}, "list-type=2", "/bkt", "s3"),
    ],
)
def test_an_unsigned_request_seems_to_be_for_a_service(
    headers: dict[str, str], query: str, path: str, service: str
) -> None:
    sent = Sent(method="POST", path=path, query=query, headers=headers)
    assert seeming_service(sent) == service

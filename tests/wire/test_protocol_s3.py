"""REST-XML as S3 speaks it: what is asked for, by method, path, query and headers."""

import pytest

from trainshed.domain.errors import RequestRejected
from trainshed.wire.model import load
from trainshed.wire.protocols import HttpRequest, operation_of, parse, streams

S3 = load("s3")
COPY = {"x-amz-copy-source": "/other/key"}


def ask(
    method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> HttpRequest:
    address, _, query = path.partition("?")
    pairs = tuple(
        (name, text) for name, _, text in (item.partition("=") for item in query.split("&")) if name
    )
    return HttpRequest(method=method, path=address, query=pairs, headers=headers or {}, body=body)


def refusal(operation: str, request: HttpRequest) -> RequestRejected:
    with pytest.raises(RequestRejected) as caught:
        parse(S3, operation, request)
    return caught.value


@pytest.mark.parametrize(
    ("method", "path", "headers", "operation"),
    [
        ("GET", "/", {}, "ListBuckets"),
        ("GET", "/?x-id=ListBuckets", {}, "ListBuckets"),
        ("GET", "/b", {}, "ListObjects"),
        ("GET", "/b/", {}, "ListObjects"),
        ("GET", "/b?prefix=a&delimiter=/", {}, "ListObjects"),
        ("GET", "/b?list-type=2&prefix=a", {}, "ListObjectsV2"),
        ("GET", "/b/?prefix=a&list-type=2", {}, "ListObjectsV2"),
        ("GET", "/b?location", {}, "GetBucketLocation"),
        ("GET", "/b?location=", {}, "GetBucketLocation"),
        ("GET", "/b?uploads", {}, "ListMultipartUploads"),
        ("GET", "/b?versions", {}, "ListObjectVersions"),
        ("GET", "/b?versioning", {}, "GetBucketVersioning"),
        ("GET", "/b?lifecycle", {}, "GetBucketLifecycleConfiguration"),
        ("GET", "/b?notification", {}, "GetBucketNotificationConfiguration"),
        ("GET", "/b?analytics", {}, "ListBucketAnalyticsConfigurations"),
        ("GET", "/b?analytics&id=1", {}, "GetBucketAnalyticsConfiguration"),
        ("HEAD", "/b", {}, "HeadBucket"),
        ("PUT", "/b", {}, "CreateBucket"),
        ("PUT", "/b?versioning", {}, "PutBucketVersioning"),
        ("DELETE", "/b", {}, "DeleteBucket"),
        ("POST", "/b?delete", {}, "DeleteObjects"),
        ("GET", "/b/k", {}, "GetObject"),
        ("GET", "/b/k?x-id=GetObject", {}, "GetObject"),
        ("GET", "/b/k?partNumber=2", {}, "GetObject"),
        ("GET", "/b/k?versionId=v", {}, "GetObject"),
        ("GET", "/b/k?uploadId=u", {}, "ListParts"),
        ("GET", "/b/k?tagging", {}, "GetObjectTagging"),
        ("GET", "/b/k?attributes", {"x-amz-object-attributes": "ETag"}, "GetObjectAttributes"),
        ("GET", "/b//", {}, "GetObject"),
        ("GET", "/b/a/b/", {}, "GetObject"),
        ("HEAD", "/b/k", {}, "HeadObject"),
        ("PUT", "/b/k", {}, "PutObject"),
        ("PUT", "/b/k", COPY, "CopyObject"),
        ("PUT", "/b/k?tagging", {}, "PutObjectTagging"),
        ("PUT", "/b/k?partNumber=1&uploadId=u", {}, "UploadPart"),
        ("PUT", "/b/k?partNumber=1&uploadId=u", COPY, "UploadPartCopy"),
        ("PUT", "/b/k?uploadId=u", {}, "UploadPart"),
        ("POST", "/b/k?uploads", {}, "CreateMultipartUpload"),
        ("POST", "/b/k?uploadId=u", {}, "CompleteMultipartUpload"),
        ("DELETE", "/b/k", {}, "DeleteObject"),
        ("DELETE", "/b/k?uploadId=u", {}, "AbortMultipartUpload"),
        ("DELETE", "/b/k?tagging", {}, "DeleteObjectTagging"),
        ("POST", "/b/k", {}, None),
        ("POST", "/", {}, None),
        ("OPTIONS", "/b", {}, None),
        ("PATCH", "/b/k", {}, None),
    ],
)
def test_the_most_specific_operation_is_asked_for(
    method: str, path: str, headers: dict[str, str], operation: str | None
) -> None:
    assert operation_of(S3, ask(method, path, headers)) == operation


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/b/a/b/c", "a/b/c"),
        ("/b/a%2Fb", "a/b"),
        ("/b/a%252Fb", "a%2Fb"),
        ("/b/a+b%20c", "a+b c"),
        ("/b//a", "/a"),
        ("/b/a/", "a/"),
        ("/b/a//b", "a//b"),
        ("/b/%E6%BC%A2%F0%9F%99%82", "漢🙂"),
        ("/b/a%0Ab", "a\nb"),
        ("/b/../c", "../c"),
    ],
)
def test_a_key_is_decoded_exactly_once(path: str, key: str) -> None:
    assert parse(S3, "GetObject", ask("GET", path)) == {"Bucket": "b", "Key": key}


def test_a_key_that_is_no_utf_8_is_refused() -> None:
    assert refusal("GetObject", ask("GET", "/b/%FF")).code == "InvalidArgument"


def test_headers_of_metadata_become_a_map_in_lower_case() -> None:
    headers = {"x-amz-meta-one": "1", "x-amz-meta-": "", "content-type": "text/csv"}
    params = parse(S3, "PutObject", ask("PUT", "/b/k", headers))
    assert params == {
        "Bucket": "b",
        "Key": "k",
        "ContentType": "text/csv",
        "Metadata": {"one": "1", "": ""},
    }


def test_a_bucket_is_made_with_and_without_a_document() -> None:
    body = (
        b"<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint>"
        b"</CreateBucketConfiguration>"
    )
    assert parse(S3, "CreateBucket", ask("PUT", "/b")) == {"Bucket": "b"}
    assert parse(S3, "CreateBucket", ask("PUT", "/b", body=body)) == {
        "Bucket": "b",
        "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"},
    }


@pytest.mark.parametrize(
    "opening",
    [
        "<CompleteMultipartUpload>",
        '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
        '<?xml version="1.0" encoding="UTF-8"?>\n<CompleteMultipartUpload><!-- note -->',
    ],
)
def test_a_document_is_read_with_and_without_namespace(opening: str) -> None:
    body = (
        f"{opening}<Part><ETag>&quot;e&quot;</ETag><PartNumber> 2 </PartNumber><New/></Part>"
        "</CompleteMultipartUpload>"
    )
    params = parse(
        S3, "CompleteMultipartUpload", ask("POST", "/b/k?uploadId=u", body=body.encode())
    )
    assert params["MultipartUpload"] == {"Parts": [{"ETag": '"e"', "PartNumber": 2}]}


def test_a_prefix_on_every_tag_changes_nothing() -> None:
    body = (
        b'<s:Delete xmlns:s="x"><s:Object><s:Key> a </s:Key></s:Object>'
        b"<s:Quiet>true</s:Quiet></s:Delete>"
    )
    params = parse(S3, "DeleteObjects", ask("POST", "/b?delete", body=body))
    assert params["Delete"] == {"Objects": [{"Key": " a "}], "Quiet": True}


ENTITY = b'<!DOCTYPE d [<!ENTITY a "aaaa">]><Delete><Object><Key>&a;</Key></Object></Delete>'


@pytest.mark.parametrize(
    "body",
    [
        ENTITY,
        ENTITY.decode().encode("utf-16"),
        b"<!DOCTYPE Delete SYSTEM 'file:///etc/passwd'><Delete/>",
        b"<Delete><Object>",
        b"<Delete></Object>",
        b"no xml",
        b"<Other/>",
        b"<Delete>" + b"<Object>" * 1000,
        b"<Delete><Object><Key>&undefined;</Key></Object></Delete>",
        b"<Delete/>",
        b"<Delete><Object><Key>k</Key><Size>big</Size></Object></Delete>",
        b"",
    ],
)
def test_a_document_that_is_broken_or_dangerous_or_incomplete_is_malformed(body: bytes) -> None:
    refused = refusal("DeleteObjects", ask("POST", "/b?delete", body=body))
    assert refused.code == "MalformedXML"
    assert refused.status == 400
    assert refused.message.startswith("The XML you provided was not well-formed or did not")


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("ListObjectsV2", ask("GET", "/b?list-type=2&max-keys=many")),
        ("ListObjectsV2", ask("GET", "/b?list-type=2&max-keys=1_0")),
        ("ListObjectsV2", ask("GET", "/b?list-type=2&max-keys=2147483648")),
        ("ListObjectsV2", ask("GET", "/b?list-type=2&max-keys=" + "9" * 9999)),
        ("ListObjectsV2", ask("GET", "/b?list-type=2&encoding-type=morse")),
        ("GetObject", ask("GET", "/b/k", {"if-modified-since": "yesterday"})),
        ("UploadPart", ask("PUT", "/b/k?uploadId=u")),
        ("PutObject", ask("PUT", "/b/k", {"x-amz-storage-class": "ATTIC"})),
    ],
)
def test_a_wrong_query_or_header_is_an_invalid_argument(
    operation: str, request_: HttpRequest
) -> None:
    assert refusal(operation, request_).code == "InvalidArgument"


def test_uploads_stream_and_documents_do_not() -> None:
    assert streams(S3, "PutObject")
    assert streams(S3, "UploadPart")
    assert not streams(S3, "DeleteObjects")
    assert not streams(S3, "PutBucketPolicy")
    assert not streams(S3, "GetObject")

"""Forms that boto3 presigns, sent as a browser sends them, by either version of the signature."""

import http.client
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.api.s3.served import Served, serving

BOUNDARY = "----browser7MA4YWxk"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("data")) as it:
        it.client().create_bucket(Bucket="bkt")
        yield it


@pytest.fixture
def s3(served: Served) -> Any:
    return served.client()


@pytest.fixture(params=["s3", "s3v4"])
def maker(served: Served, request: pytest.FixtureRequest) -> Any:
    """Who signs forms, by either version."""
    return served.client(signature_version=request.param)


def posted(
    form: dict[str, Any], data: bytes, *, name: str = "a.bin", **fields: str
) -> tuple[int, dict[str, str], bytes]:
    """Send a form, a file last; return status, headers, body."""
    said = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in {**form["fields"], **fields}.items()
    )
    said += (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = said.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
    address = urlsplit(form["url"])
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
    try:
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        connection.request("POST", address.path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_a_form_uploads_a_file_under_its_own_name(s3: Any, maker: Any) -> None:
    said = {"Content-Type": "text/csv", "x-amz-meta-who": "me", "success_action_status": "201"}
    form = maker.generate_presigned_post(
        "bkt", "up/${filename}", Fields=said, Conditions=[{k: v} for k, v in said.items()]
    )
    data = bytes(range(256)) * 12_000
    status, headers, body = posted(form, data, name="C:\\data\\ü a.csv")
    assert status == 201, body
    key = "up/ü a.csv"
    assert f"<Key>{key}</Key>".encode() in body
    got = s3.get_object(Bucket="bkt", Key=key, ChecksumMode="ENABLED")
    assert got["Body"].read() == data
    assert (got["ContentType"], got["Metadata"]) == ("text/csv", {"who": "me"})
    assert (got["ETag"], got["ChecksumType"]) == (headers["etag"], "FULL_OBJECT")


def test_a_form_is_answered_as_it_asks(maker: Any) -> None:
    plain = maker.generate_presigned_post("bkt", "k")
    assert posted(plain, b"1")[0] == 204
    conditions = [["starts-with", "$success_action_status", ""]]
    asked = maker.generate_presigned_post("bkt", "k", Conditions=conditions)
    assert posted(asked, b"1", success_action_status="200")[0] == 200
    to = {"success_action_redirect": "https://example.com/done?a=1"}
    form = maker.generate_presigned_post("bkt", "k", Fields=to, Conditions=[to])
    status, headers, _ = posted(form, b"1")
    assert status == 303
    place = headers["location"]
    assert place.startswith("https://example.com/done?a=1&bucket=bkt&key=k&etag=%22")


@pytest.mark.parametrize("size", [0, 4, 2_000_000])
def test_a_file_outside_the_bounds_is_refused_and_nothing_kept(
    s3: Any, maker: Any, size: int
) -> None:
    conditions = [["content-length-range", 1, 3]]
    form = maker.generate_presigned_post("bkt", "bounded", Conditions=conditions)
    status, _, body = posted(form, b"x" * size)
    assert status == 400
    assert (b"EntityTooLarge" if size else b"EntityTooSmall") in body
    assert s3.list_objects_v2(Bucket="bkt", Prefix="bounded")["KeyCount"] == 0
    assert posted(form, b"123")[0] == 204
    s3.delete_object(Bucket="bkt", Key="bounded")


def test_what_the_policy_does_not_allow_is_refused(s3: Any, maker: Any) -> None:
    form = maker.generate_presigned_post("bkt", "allowed")
    for changed in ({"key": "other"}, {"x-amz-meta-a": "b"}, {"acl": "public-read"}):
        status, _, body = posted({**form, "fields": {**form["fields"], **changed}}, b"1")
        assert (status, b"Invalid according to Policy" in body) == (403, True), changed
    expired = maker.generate_presigned_post("bkt", "allowed", ExpiresIn=-1)
    assert b"Policy expired" in posted(expired, b"1")[2]
    signature = "x-amz-signature" if "x-amz-signature" in form["fields"] else "signature"
    forged = {**form, "fields": {**form["fields"], signature: "AAAA"}}
    status, _, body = posted(forged, b"1")
    assert (status, b"SignatureDoesNotMatch" in body) == (403, True)
    unsigned = {"url": form["url"], "fields": {"key": "allowed"}}
    status, _, body = posted(unsigned, b"1")
    assert (status, b"AccessDenied" in body) == (403, True)
    assert s3.list_objects_v2(Bucket="bkt", Prefix="allowed")["KeyCount"] == 0


def test_a_checksum_in_a_form_is_verified(maker: Any) -> None:
    wrong = {"x-amz-checksum-crc32": "AAAAAA=="}
    form = maker.generate_presigned_post("bkt", "sum", Fields=wrong, Conditions=[wrong])
    status, _, body = posted(form, b"data")
    assert (status, b"BadDigest" in body) == (400, True)
    right = {"x-amz-checksum-crc32": "rfPzYw=="}
    form = maker.generate_presigned_post("bkt", "sum", Fields=right, Conditions=[right])
    assert posted(form, b"data")[0] == 204

"""Listings, buckets and signatures, as boto3 and bare HTTP see them."""

import hashlib
import http.client
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.s3.clients import Access
from tests.s3.refusals import refused


@pytest.fixture
def filled(s3: Any, bucket: str) -> str:
    for key in ("a", "d/1", "d/2", "d/sub/3", "e/4", "f"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


def names(told: dict[str, Any]) -> list[str]:
    keys = [one["Key"] for one in told.get("Contents", [])]
    return sorted(keys + [one["Prefix"] for one in told.get("CommonPrefixes", [])])


def test_pages_follow_one_another_by_token(s3: Any, filled: str) -> None:
    first = s3.list_objects_v2(Bucket=filled, MaxKeys=4)
    assert (names(first), first["IsTruncated"]) == (["a", "d/1", "d/2", "d/sub/3"], True)
    token = first["NextContinuationToken"]
    second = s3.list_objects_v2(Bucket=filled, MaxKeys=4, ContinuationToken=token)
    assert (names(second), second["IsTruncated"]) == (["e/4", "f"], False)
    wrong = {"Bucket": filled, "ContinuationToken": "§"}
    assert refused(s3.list_objects_v2, **wrong) == ("InvalidArgument", 400)


def test_pages_of_prefixes_follow_one_another(s3: Any, filled: str) -> None:
    found, token = [], {}
    while True:
        page = s3.list_objects_v2(Bucket=filled, Delimiter="/", MaxKeys=1, **token)
        assert page["KeyCount"] == 1
        found += names(page)
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert found == ["a", "d/", "e/", "f"]


def test_the_first_version_of_listing_goes_by_markers(s3: Any, filled: str) -> None:
    first = s3.list_objects(Bucket=filled, MaxKeys=2, Delimiter="/")
    assert (names(first), first["NextMarker"]) == (["a", "d/"], "d/")
    second = s3.list_objects(Bucket=filled, Delimiter="/", Marker="d/")
    assert names(second) == ["e/", "f"]
    assert names(s3.list_objects(Bucket=filled, Marker="d/2")) == ["d/sub/3", "e/4", "f"]


def test_a_listing_may_start_after_any_name(s3: Any, filled: str) -> None:
    assert names(s3.list_objects_v2(Bucket=filled, StartAfter="d/15")) == [
        "d/2",
        "d/sub/3",
        "e/4",
        "f",
    ]


def test_a_page_may_have_no_names_and_at_most_a_thousand(s3: Any, filled: str) -> None:
    none = s3.list_objects_v2(Bucket=filled, MaxKeys=0)
    assert (none["KeyCount"], none["IsTruncated"]) == (0, False)
    assert s3.list_objects_v2(Bucket=filled, MaxKeys=5000)["MaxKeys"] == 1000
    assert refused(s3.list_objects_v2, Bucket=filled, MaxKeys=-1) == ("InvalidArgument", 400)


def test_a_delimiter_may_be_any_text(s3: Any, filled: str) -> None:
    assert (
        names(s3.list_objects_v2(Bucket=filled, Delimiter="/s"))
        == [
            "a",
            "d/1",
            "d/2",
            "d/s",
            "e/4",
            "f",
        ]
        or names(s3.list_objects_v2(Bucket=filled, Delimiter="/s"))[3] == "d/s"
    )


def test_names_that_xml_cannot_hold_are_listed(s3: Any, bucket: str) -> None:
    keys = ["a\x01b", "tab\there", "line\nend", "<&>"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    assert names(s3.list_objects_v2(Bucket=bucket)) == sorted(keys)  # boto3 asks for url encoding


def test_a_listing_tells_size_etag_time_and_on_demand_the_owner(s3: Any, filled: str) -> None:
    one = s3.list_objects_v2(Bucket=filled, Prefix="a", FetchOwner=True)["Contents"][0]
    assert (one["Size"], one["StorageClass"]) == (1, "STANDARD")
    assert one["ETag"] == f'"{hashlib.md5(b"a").hexdigest()}"'
    assert abs(datetime.now(UTC) - one["LastModified"]) < timedelta(minutes=5)
    assert one["Owner"]["ID"]
    assert "Owner" not in s3.list_objects_v2(Bucket=filled, Prefix="a")["Contents"][0]


def test_parts_are_listed_page_by_page(s3: Any, bucket: str) -> None:
    named = {"Bucket": bucket, "Key": "k"}
    upload = {**named, "UploadId": s3.create_multipart_upload(**named)["UploadId"]}
    for number in (1, 3, 7):
        s3.upload_part(**upload, PartNumber=number, Body=b"x" * number)
    first = s3.list_parts(**upload, MaxParts=2)
    assert [(one["PartNumber"], one["Size"]) for one in first["Parts"]] == [(1, 1), (3, 3)]
    assert (first["IsTruncated"], first["NextPartNumberMarker"]) == (True, 3)
    rest = s3.list_parts(**upload, PartNumberMarker=3)
    assert [one["PartNumber"] for one in rest["Parts"]] == [7]


def test_uploads_are_listed_page_by_page(s3: Any, bucket: str) -> None:
    for key in ("a", "b", "b", "d/x", "d/y"):
        s3.create_multipart_upload(Bucket=bucket, Key=key)
    pages = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 2}
    )
    found = [one["Key"] for page in pages for one in page.get("Uploads", [])]
    assert found == ["a", "b", "b", "d/x", "d/y"]
    level = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [one["Prefix"] for one in level["CommonPrefixes"]] == ["d/"]
    assert len(level["Uploads"]) == 3


@pytest.mark.parametrize(
    "name", ["AB", "ab", "a_b", "-abc", "abc-", "a..b", "192.168.0.1", "xn--a", "a" * 64]
)
def test_a_bucket_that_s3_would_not_name_so_is_refused(access: Access, name: str) -> None:
    signer = Credentials(*access.keys)
    asked = AWSRequest("PUT", f"{access.url}/{name}", headers={"host": access.url[7:]})
    asked.context["signing"] = {}
    S3SigV4Auth(signer, "s3", "us-east-1").add_auth(asked)
    request = urllib.request.Request(asked.url, method="PUT", headers=dict(asked.headers))
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    with caught.value as answer:
        assert (answer.status, b"InvalidBucketName" in answer.read()) == (400, True)


def test_a_bucket_made_twice_is_told_by_region(access: Access, s3: Any, bucket: str) -> None:
    s3.create_bucket(Bucket=bucket)
    elsewhere = Access(access.url, access.keys, access.home).boto3(region_name="eu-central-1")
    again = {"Bucket": bucket, "CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"}}
    assert refused(elsewhere.create_bucket, **again) == ("BucketAlreadyOwnedByYou", 409)


def test_a_bucket_tells_where_it_is(s3: Any, bucket: str) -> None:
    name = f"{bucket}-eu"
    place = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=place)
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-west-1"
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "eu-west-1"
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None


def test_buckets_keep_no_versions_and_say_so(s3: Any, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)


def test_what_is_not_offered_says_so(s3: Any, bucket: str) -> None:
    assert refused(s3.get_bucket_website, Bucket=bucket) == ("NotImplemented", 501)


def test_a_bucket_with_unfinished_uploads_may_be_removed(s3: Any, bucket: str) -> None:
    s3.create_multipart_upload(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    assert refused(s3.head_bucket, Bucket=bucket) == ("404", 404)


def answer(request: urllib.request.Request | str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(request) as found:
            return found.status, found.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.status, error.read()


def test_an_address_may_be_presigned_for_writing(access: Access, s3: Any, bucket: str) -> None:
    named = {"Bucket": bucket, "Key": "up load"}
    signer = access.boto3(signature_version="s3v4")  # it leaves out the type that urllib adds
    address = signer.generate_presigned_url("put_object", Params=named)
    assert answer(urllib.request.Request(address, b"data", method="PUT"))[0] == 200
    assert s3.get_object(**named)["Body"].read() == b"data"


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_an_address_expires(access: Access, filled: str, version: str) -> None:
    s3 = access.boto3(signature_version=version)
    named = {"Bucket": filled, "Key": "a"}
    address = s3.generate_presigned_url("get_object", Params=named, ExpiresIn=1)
    assert answer(address)[0] == 200
    for _ in range(600):
        status, said = answer(address)
        if status == 403:
            break
        threading.Event().wait(0.05)
    assert (status, b"<Message>Request has expired</Message>" in said) == (403, True)


def test_an_address_made_for_reading_does_not_write(s3: Any, filled: str) -> None:
    named = {"Bucket": filled, "Key": "a"}
    address = s3.generate_presigned_url("get_object", Params=named)
    assert answer(urllib.request.Request(address, b"data", method="PUT"))[0] == 403
    assert s3.get_object(**named)["Body"].read() == b"a"


def test_an_unknown_access_key_is_refused(access: Access, filled: str) -> None:
    stranger = Access(access.url, ("AKIANOBODY", "secret"), access.home).boto3()
    assert refused(stranger.list_objects_v2, Bucket=filled) == ("InvalidAccessKeyId", 403)


def test_a_request_without_signature_is_refused(access: Access, filled: str) -> None:
    status, said = answer(f"{access.url}/{filled}/a")
    assert (status, b"AccessDenied" in said) == (403, True)


def signed(access: Access, bucket: str, *, body: bytes, told: bytes, age: timedelta) -> int:
    """PUT a body under the signature of another; return the status, or raise its error."""
    url = f"{access.url}/{bucket}/bare"
    asked = AWSRequest("PUT", url, data=told, headers={"host": access.url[7:]})
    asked.headers["x-amz-content-sha256"] = hashlib.sha256(told).hexdigest()
    auth = S3SigV4Auth(Credentials(*access.keys), "s3", "us-east-1")
    stamp = (datetime.now(UTC) - age).strftime("%Y%m%dT%H%M%SZ")
    asked.context.update({"timestamp": stamp, "signing": {}})
    asked.headers["X-Amz-Date"] = stamp
    canonical = auth.canonical_request(asked)
    scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
    signature = auth.signature(auth.string_to_sign(asked, canonical), asked)
    names = auth.signed_headers(auth.headers_to_sign(asked))
    asked.headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access.keys[0]}/{scope}, SignedHeaders={names}, "
        f"Signature={signature}"
    )
    status, said = answer(urllib.request.Request(url, body, dict(asked.headers), method="PUT"))
    if status != 200:
        raise AssertionError(said.decode())
    return status


def test_a_body_other_than_the_signed_one_is_refused(access: Access, s3: Any, filled: str) -> None:
    no_age = timedelta()
    assert signed(access, filled, body=b"right", told=b"right", age=no_age) == 200
    with pytest.raises(AssertionError, match="XAmzContentSHA256Mismatch"):
        signed(access, filled, body=b"wrong", told=b"other", age=no_age)
    assert s3.get_object(Bucket=filled, Key="bare")["Body"].read() == b"right"


def test_a_clock_that_is_off_is_told_so(access: Access, filled: str) -> None:
    for age in (timedelta(minutes=16), timedelta(minutes=-16)):
        with pytest.raises(AssertionError, match="RequestTimeTooSkewed"):
            signed(access, filled, body=b"1", told=b"1", age=age)


def test_a_body_that_breaks_off_leaves_nothing(access: Access, s3: Any, filled: str) -> None:
    address = s3.generate_presigned_url("put_object", Params={"Bucket": filled, "Key": "half"})
    connection = http.client.HTTPConnection(access.url[7:], timeout=20)
    connection.putrequest("PUT", address.removeprefix(access.url))
    connection.putheader("Content-Length", "100000")
    connection.endheaders(b"x" * 50_000)
    connection.close()
    assert refused(s3.head_object, Bucket=filled, Key="half") == ("404", 404)

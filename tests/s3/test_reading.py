"""How objects are read, as boto3 sees it: ranges, conditions, what is told beside the bytes."""

import http.client
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.s3.clients import Access
from tests.s3.refusals import refused

DIGITS = b"0123456789"


@pytest.fixture
def k(s3: Any, bucket: str) -> dict[str, str]:
    """Names an object of ten digits."""
    s3.put_object(Bucket=bucket, Key="k", Body=DIGITS)
    return {"Bucket": bucket, "Key": "k"}


def ranged(s3: Any, k: dict[str, str], text: str) -> tuple[int, bytes, str | None]:
    got = s3.get_object(**k, Range=text)
    return (
        got["ResponseMetadata"]["HTTPStatusCode"],
        got["Body"].read(),
        got.get("ContentRange"),
    )


def test_a_range_has_both_ends(s3: Any, k: dict[str, str]) -> None:
    assert ranged(s3, k, "bytes=2-4") == (206, b"234", "bytes 2-4/10")


def test_a_range_may_be_open(s3: Any, k: dict[str, str]) -> None:
    assert ranged(s3, k, "bytes=7-") == (206, b"789", "bytes 7-9/10")


def test_a_range_may_count_from_the_end(s3: Any, k: dict[str, str]) -> None:
    assert ranged(s3, k, "bytes=-2") == (206, b"89", "bytes 8-9/10")
    assert ranged(s3, k, "bytes=-99") == (206, DIGITS, "bytes 0-9/10")


def test_a_range_past_the_end_is_clipped(s3: Any, k: dict[str, str]) -> None:
    assert ranged(s3, k, "bytes=8-99999") == (206, b"89", "bytes 8-9/10")


def test_a_range_outside_is_refused(s3: Any, k: dict[str, str]) -> None:
    assert refused(s3.get_object, **k, Range="bytes=10-") == ("InvalidRange", 416)


def test_what_is_no_range_is_answered_with_everything(s3: Any, k: dict[str, str]) -> None:
    assert ranged(s3, k, "lines=1-2") == (200, DIGITS, None)
    assert ranged(s3, k, "bytes=0-1,3-4") == (200, DIGITS, None)


def test_head_tells_the_length_of_a_range(s3: Any, k: dict[str, str]) -> None:
    told = s3.head_object(**k, Range="bytes=2-4")
    assert (told["ContentLength"], told["AcceptRanges"]) == (3, "bytes")


def test_if_match_is_held_to(s3: Any, k: dict[str, str]) -> None:
    etag = s3.head_object(**k)["ETag"]
    assert s3.get_object(**k, IfMatch=etag)["Body"].read() == DIGITS
    assert refused(s3.get_object, **k, IfMatch='"other"') == ("PreconditionFailed", 412)


def test_if_none_match_saves_the_bytes(s3: Any, k: dict[str, str]) -> None:
    etag = s3.head_object(**k)["ETag"]
    assert refused(s3.get_object, **k, IfNoneMatch=etag) == ("304", 304)
    assert s3.get_object(**k, IfNoneMatch='"other"')["Body"].read() == DIGITS


def test_dates_are_conditions_too(s3: Any, k: dict[str, str]) -> None:
    future, past = (datetime.now(UTC) + timedelta(hours=hours) for hours in (1, -1))
    assert refused(s3.get_object, **k, IfModifiedSince=future) == ("304", 304)
    assert s3.get_object(**k, IfModifiedSince=past)["Body"].read() == DIGITS
    old = refused(s3.get_object, **k, IfUnmodifiedSince=past)
    assert old == ("PreconditionFailed", 412)


def test_answers_headers_may_be_overridden(s3: Any, k: dict[str, str]) -> None:
    expires = datetime(2030, 1, 1, tzinfo=UTC)
    said = {
        "ContentType": "x/y",
        "CacheControl": "no-cache",
        "ContentDisposition": 'attachment; filename="a.bin"',
        "ContentEncoding": "identity",
        "ContentLanguage": "de",
    }
    asked = {f"Response{name}": value for name, value in said.items()}
    got = s3.get_object(**k, **asked, ResponseExpires=expires)
    assert {name: got[name] for name in said} == said
    assert got["ExpiresString"] == "Tue, 01 Jan 2030 00:00:00 GMT"


def test_what_was_said_about_an_object_is_told_again(s3: Any, k: dict[str, str]) -> None:
    said = {
        "ContentType": "text/csv",
        "CacheControl": "max-age=5",
        "ContentDisposition": "inline",
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "ExpiresString": "Tue, 01 Jan 2030 00:00:00 GMT",
        "Metadata": {"a": "1", "b-c": "x y"},
        "StorageClass": "STANDARD_IA",
        "ServerSideEncryption": "AES256",
    }
    given = {name.removesuffix("String"): value for name, value in said.items()}
    s3.put_object(**k, Body=b"", **given)
    for ask in (s3.get_object, s3.head_object):
        told = ask(**k)
        assert {name: told[name] for name in said} == said


def test_metadata_may_be_empty_or_long(s3: Any, k: dict[str, str]) -> None:
    s3.put_object(**k, Body=b"", Metadata={"empty": "", "long": "x" * 1900})
    assert s3.head_object(**k)["Metadata"] == {"empty": "", "long": "x" * 1900}


def test_a_checksum_is_told_only_when_it_is_asked_for(s3: Any, k: dict[str, str]) -> None:
    assert "ChecksumCRC32" not in s3.head_object(**k)
    assert s3.head_object(**k, ChecksumMode="ENABLED")["ChecksumCRC32"]


def test_a_checksum_is_never_told_with_a_range(s3: Any, k: dict[str, str]) -> None:
    got = s3.get_object(**k, Range="bytes=0-3", ChecksumMode="ENABLED")
    assert "ChecksumCRC32" not in got
    assert got["Body"].read() == b"0123"


def test_a_part_is_read_by_its_number(s3: Any, bucket: str) -> None:
    named = {"Bucket": bucket, "Key": "parts"}
    upload = s3.create_multipart_upload(**named, ChecksumAlgorithm="CRC32")["UploadId"]
    parts, sizes = [], (5 << 20, 10)
    for number, size in enumerate(sizes, 1):
        body = bytes([number]) * size
        sent = s3.upload_part(**named, UploadId=upload, PartNumber=number, Body=body)
        known = {"ETag": sent["ETag"], "ChecksumCRC32": sent["ChecksumCRC32"]}
        parts.append({"PartNumber": number, **known})
    s3.complete_multipart_upload(**named, UploadId=upload, MultipartUpload={"Parts": parts})
    got = s3.get_object(**named, PartNumber=2, ChecksumMode="ENABLED")
    assert got["Body"].read() == b"\x02" * 10
    assert (got["PartsCount"], got["ContentRange"]) == (
        2,
        f"bytes {5 << 20}-{(5 << 20) + 9}/{sum(sizes)}",
    )
    assert got["ChecksumCRC32"] == parts[1]["ChecksumCRC32"]
    outside = refused(s3.get_object, **named, PartNumber=3)
    assert outside == ("InvalidPartNumber", 416)
    told = s3.get_object_attributes(**named, ObjectAttributes=["ObjectParts", "Checksum"])
    assert [one["Size"] for one in told["ObjectParts"]["Parts"]] == list(sizes)
    assert told["Checksum"]["ChecksumType"] == "COMPOSITE"


def test_attributes_are_told_without_the_bytes(s3: Any, k: dict[str, str]) -> None:
    names = ["ETag", "Checksum", "ObjectSize", "StorageClass", "ObjectParts"]
    told = s3.get_object_attributes(**k, ObjectAttributes=names)
    assert (told["ObjectSize"], told["StorageClass"]) == (10, "STANDARD")
    assert told["ETag"] == s3.head_object(**k)["ETag"].strip('"')
    assert told["Checksum"]["ChecksumCRC32"]
    assert "ObjectParts" not in told
    missing = refused(s3.get_object_attributes, **{**k, "Key": "no"}, ObjectAttributes=["ETag"])
    assert missing == ("NoSuchKey", 404)


def test_a_missing_key_and_a_missing_bucket_have_names(s3: Any, k: dict[str, str]) -> None:
    assert refused(s3.get_object, **{**k, "Key": "no"}) == ("NoSuchKey", 404)
    assert refused(s3.get_object, Bucket="never-made", Key="k") == ("NoSuchBucket", 404)
    assert refused(s3.head_object, **{**k, "Key": "no"}) == ("404", 404)
    assert refused(s3.head_bucket, Bucket="never-made") == ("404", 404)


def test_a_version_is_not_there(s3: Any, k: dict[str, str]) -> None:
    assert refused(s3.get_object, **k, VersionId="abc") == ("NoSuchVersion", 404)
    assert s3.get_object(**k, VersionId="null")["Body"].read() == DIGITS


def test_virtual_host_and_path_style_name_the_same_object(access: Any, k: dict[str, str]) -> None:
    local = Access(access.url.replace("127.0.0.1", "localhost"), access.keys, access.home)
    s3 = local.boto3(s3={"addressing_style": "virtual"}, signature_version="s3v4")
    address = urlsplit(s3.generate_presigned_url("get_object", Params=k))
    assert address.netloc.startswith(k["Bucket"])
    connection = http.client.HTTPConnection(access.url.removeprefix("http://"), timeout=20)
    target = f"{address.path}?{address.query}"
    connection.request("GET", target, headers={"Host": address.netloc})
    assert connection.getresponse().read() == DIGITS
    connection.close()

"""How objects are written, as boto3 sees it: copies, conditions, parts, what cannot be."""

import base64
import hashlib
from typing import Any

import pytest
from tests.s3.refusals import refused

PART = 5 << 20
WRONG = base64.b64encode(b"\0" * 4).decode()


@pytest.fixture
def k(s3: Any, bucket: str) -> dict[str, str]:
    return {"Bucket": bucket, "Key": "k"}


def test_the_default_checksum_is_crc64nvme(access: Any, k: dict[str, str]) -> None:
    s3 = access.boto3(request_checksum_calculation="when_required")
    put = s3.put_object(**k, Body=b"data")
    told = s3.head_object(**k, ChecksumMode="ENABLED")
    assert put["ChecksumCRC64NVME"] == told["ChecksumCRC64NVME"]
    assert told["ChecksumType"] == "FULL_OBJECT"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ChecksumCRC32", WRONG),
        ("ChecksumCRC32C", WRONG),
        ("ChecksumCRC64NVME", base64.b64encode(b"\0" * 8).decode()),
        ("ChecksumSHA1", base64.b64encode(b"\0" * 20).decode()),
        ("ChecksumSHA256", base64.b64encode(b"\0" * 32).decode()),
        ("ContentMD5", base64.b64encode(b"\0" * 16).decode()),
    ],
)
def test_a_wrong_checksum_is_refused_and_the_old_object_stays(
    s3: Any, k: dict[str, str], name: str, value: str
) -> None:
    s3.put_object(**k, Body=b"old")
    assert refused(s3.put_object, **k, Body=b"new", **{name: value}) == ("BadDigest", 400)
    assert s3.get_object(**k)["Body"].read() == b"old"


def test_a_checksum_that_cannot_be_one_is_refused(s3: Any, k: dict[str, str]) -> None:
    assert refused(s3.put_object, **k, Body=b"", ChecksumCRC32="x") == ("InvalidRequest", 400)
    assert refused(s3.put_object, **k, Body=b"", ContentMD5="x") == ("InvalidDigest", 400)


def test_a_wrong_checksum_of_a_part_is_refused(s3: Any, k: dict[str, str]) -> None:
    upload = {**k, "UploadId": s3.create_multipart_upload(**k)["UploadId"]}
    part = {**upload, "PartNumber": 1, "Body": b"data"}
    assert refused(s3.upload_part, **part, ChecksumCRC32=WRONG) == ("BadDigest", 400)
    assert "Parts" not in s3.list_parts(**upload)


def completed(s3: Any, k: dict[str, str], **said: Any) -> dict[str, Any]:
    """Upload two parts and complete them."""
    began = {name: said[name] for name in ("ChecksumAlgorithm", "ChecksumType") if name in said}
    upload = {**k, "UploadId": s3.create_multipart_upload(**k, **began)["UploadId"]}
    parts = []
    for number, body in ((1, b"a" * PART), (2, b"b")):
        sent = s3.upload_part(**upload, PartNumber=number, Body=body)
        sums = {name: value for name, value in sent.items() if name.startswith("Checksum")}
        sums.pop("ChecksumType", None)
        parts.append({"PartNumber": number, "ETag": sent["ETag"], **sums})
    end = {name: value for name, value in said.items() if name not in began}
    done: dict[str, Any] = s3.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": parts}, **end
    )
    return done


def test_an_object_of_parts_has_an_etag_of_its_own_kind(s3: Any, k: dict[str, str]) -> None:
    digests = [hashlib.md5(body).digest() for body in (b"a" * PART, b"b")]
    expected = f'"{hashlib.md5(b"".join(digests)).hexdigest()}-2"'
    assert completed(s3, k)["ETag"] == s3.head_object(**k)["ETag"] == expected


def test_an_object_of_parts_gets_the_default_checksum_too(access: Any, k: dict[str, str]) -> None:
    s3 = access.boto3(request_checksum_calculation="when_required")
    done = completed(s3, k)
    s3.put_object(**{**k, "Key": "whole"}, Body=b"a" * PART + b"b")
    whole = s3.head_object(**{**k, "Key": "whole"}, ChecksumMode="ENABLED")
    assert done["ChecksumCRC64NVME"] == whole["ChecksumCRC64NVME"]
    assert s3.get_object(**k)["Body"].read() == b"a" * PART + b"b"


def test_a_checksum_of_the_whole_is_verified_at_the_end(s3: Any, k: dict[str, str]) -> None:
    whole = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
    assert refused(completed, s3=s3, k=k, **whole, ChecksumCRC32=WRONG) == ("BadDigest", 400)
    assert refused(s3.head_object, **k) == ("404", 404)
    done = completed(s3, k, **whole)
    assert completed(s3, k, **whole, ChecksumCRC32=done["ChecksumCRC32"])["ETag"] == done["ETag"]


def test_the_size_of_the_whole_is_verified_at_the_end(s3: Any, k: dict[str, str]) -> None:
    assert refused(completed, s3=s3, k=k, MpuObjectSize=3) == ("InvalidRequest", 400)
    completed(s3, k, MpuObjectSize=PART + 1)


def test_parts_that_cannot_be_joined_are_refused(s3: Any, k: dict[str, str]) -> None:
    upload = {**k, "UploadId": s3.create_multipart_upload(**k)["UploadId"]}
    one, two = (
        {"PartNumber": n, "ETag": s3.upload_part(**upload, PartNumber=n, Body=b"x")["ETag"]}
        for n in (1, 2)
    )
    for parts, code in (
        ([two, one], "InvalidPartOrder"),
        ([{**one, "ETag": '"other"'}], "InvalidPart"),
        ([{**one, "PartNumber": 3}], "InvalidPart"),
        ([one, two], "EntityTooSmall"),
    ):
        asked = {**upload, "MultipartUpload": {"Parts": parts}}
        assert refused(s3.complete_multipart_upload, **asked) == (code, 400)
    assert len(s3.list_parts(**upload)["Parts"]) == 2


def test_completing_again_answers_the_same(s3: Any, k: dict[str, str]) -> None:
    upload = {**k, "UploadId": s3.create_multipart_upload(**k)["UploadId"]}
    part = s3.upload_part(**upload, PartNumber=1, Body=b"x")
    asked = {**upload, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}}
    first = s3.complete_multipart_upload(**asked)
    assert s3.complete_multipart_upload(**asked)["ETag"] == first["ETag"]
    s3.delete_object(**k)
    assert refused(s3.complete_multipart_upload, **asked) == ("NoSuchUpload", 404)


def test_a_part_number_has_bounds(s3: Any, k: dict[str, str]) -> None:
    upload = {**k, "UploadId": s3.create_multipart_upload(**k)["UploadId"]}
    for number in (0, 10_001):
        asked = {**upload, "PartNumber": number, "Body": b""}
        assert refused(s3.upload_part, **asked) == ("InvalidArgument", 400)


def test_a_part_is_copied_from_an_object(s3: Any, k: dict[str, str]) -> None:
    source = {"Bucket": k["Bucket"], "Key": "source +ü"}
    s3.put_object(**source, Body=b"0123456789")
    upload = {**k, "UploadId": s3.create_multipart_upload(**k)["UploadId"]}
    copied = s3.upload_part_copy(
        **upload, PartNumber=1, CopySource=source, CopySourceRange="bytes=2-5"
    )["CopyPartResult"]
    parts = [{"PartNumber": 1, "ETag": copied["ETag"]}]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(**k)["Body"].read() == b"2345"


def test_a_part_is_not_copied_from_outside_an_object(s3: Any, k: dict[str, str]) -> None:
    s3.put_object(**k, Body=b"0123456789")
    upload = {**k, "UploadId": s3.create_multipart_upload(**k)["UploadId"]}
    asked = {**upload, "PartNumber": 1, "CopySource": k, "CopySourceRange": "bytes=5-10"}
    assert refused(s3.upload_part_copy, **asked) == ("InvalidArgument", 400)


def test_a_copy_keeps_metadata_or_replaces_it(s3: Any, k: dict[str, str]) -> None:
    s3.put_object(**k, Body=b"1", Metadata={"a": "1"}, ContentType="x/y")
    target = {**k, "Key": "copy"}
    s3.copy_object(**target, CopySource=k)
    told = s3.head_object(**target)
    assert (told["Metadata"], told["ContentType"]) == ({"a": "1"}, "x/y")
    s3.copy_object(**target, CopySource=k, MetadataDirective="REPLACE", Metadata={"b": "2"})
    assert s3.head_object(**target)["Metadata"] == {"b": "2"}


def test_a_copy_onto_itself_must_change_something(s3: Any, k: dict[str, str]) -> None:
    s3.put_object(**k, Body=b"1")
    assert refused(s3.copy_object, **k, CopySource=k) == ("InvalidRequest", 400)
    s3.copy_object(**k, CopySource=k, MetadataDirective="REPLACE", Metadata={"a": "1"})
    assert s3.get_object(**k)["Metadata"] == {"a": "1"}


def test_a_copy_may_depend_on_its_source(s3: Any, k: dict[str, str]) -> None:
    etag = s3.put_object(**k, Body=b"1")["ETag"]
    target = {**k, "Key": "copy", "CopySource": k}
    s3.copy_object(**target, CopySourceIfMatch=etag)
    other = refused(s3.copy_object, **target, CopySourceIfNoneMatch=etag)
    assert other == ("PreconditionFailed", 412)
    missing = {**target, "CopySource": {**k, "Key": "no"}}
    assert refused(s3.copy_object, **missing) == ("NoSuchKey", 404)


def test_a_copy_may_be_given_another_checksum(s3: Any, k: dict[str, str]) -> None:
    s3.put_object(**k, Body=b"1")
    target = {**k, "Key": "copy"}
    copied = s3.copy_object(**target, CopySource=k, ChecksumAlgorithm="SHA256")
    sha256 = base64.b64encode(hashlib.sha256(b"1").digest()).decode()
    assert copied["CopyObjectResult"]["ChecksumSHA256"] == sha256


def test_a_write_may_depend_on_what_is_there(s3: Any, k: dict[str, str]) -> None:
    etag = s3.put_object(**k, Body=b"1")["ETag"]
    stale = refused(s3.put_object, **k, Body=b"2", IfMatch='"other"')
    assert stale == ("PreconditionFailed", 412)
    s3.put_object(**k, Body=b"2", IfMatch=etag)
    absent = {**k, "Key": "no", "Body": b""}
    assert refused(s3.put_object, **absent, IfMatch=etag) == ("NoSuchKey", 404)
    assert refused(s3.delete_object, **k, IfMatch=etag) == ("PreconditionFailed", 412)


def test_what_no_object_can_be_is_refused(s3: Any, k: dict[str, str]) -> None:
    long = {**k, "Key": "x" * 1025}
    assert refused(s3.put_object, **long, Body=b"") == ("KeyTooLongError", 400)
    large = {"a": "x" * 2100}
    assert refused(s3.put_object, **k, Body=b"", Metadata=large) == ("MetadataTooLarge", 400)
    tags = "&".join(f"t{n}=1" for n in range(11))
    assert refused(s3.put_object, **k, Body=b"", Tagging=tags) == ("BadRequest", 400)


def test_what_could_not_be_kept_is_refused_honestly(s3: Any, k: dict[str, str]) -> None:
    lock = {"ObjectLockLegalHoldStatus": "ON"}
    assert refused(s3.put_object, **k, Body=b"", **lock) == ("NotImplemented", 501)


def test_several_objects_are_removed_by_one_request(s3: Any, bucket: str) -> None:
    for key in ("a", "b/ü <&>", "c"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    named = {"Objects": [{"Key": "a"}, {"Key": "b/ü <&>"}, {"Key": "never there"}]}
    told = s3.delete_objects(Bucket=bucket, Delete=named)
    assert [one["Key"] for one in told["Deleted"]] == ["a", "b/ü <&>", "never there"]
    quiet = {"Objects": [{"Key": "c"}], "Quiet": True}
    assert "Deleted" not in s3.delete_objects(Bucket=bucket, Delete=quiet)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_chunked_framing_is_not_kept_as_the_encoding(s3: Any, k: dict[str, str]) -> None:
    s3.put_object(**k, Body=b"1", ContentEncoding="aws-chunked,gzip")
    assert s3.head_object(**k)["ContentEncoding"] == "gzip"

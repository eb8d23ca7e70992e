"""Operations that copy objects and parts."""

from datetime import timedelta
from typing import Any

import pytest
from tests.api.s3.calls import Caller, checksum

from trainshed.api.s3.copies import copy_source

CRC32 = checksum("CRC32", b"0123456789")
NEW = {"Bucket": "bkt", "Key": "new", "CopySource": "bkt/k"}


@pytest.fixture
async def filled(s3: Caller) -> Caller:
    await s3(
        "PutObject",
        Bucket="bkt",
        Key="k",
        Body=b"0123456789",
        ContentType="text/csv",
        Metadata={"m": "old"},
        Tagging="t=old",
        ChecksumCRC32=CRC32,
        ServerSideEncryption="aws:kms",
        StorageClass="GLACIER_IR",
    )
    return s3


async def test_a_copy_keeps_what_was_said_but_not_storage_and_encryption(filled: Caller) -> None:
    answer = await filled("CopyObject", **NEW)
    old = await filled("HeadObject", Bucket="bkt", Key="k", ChecksumMode="ENABLED")
    new = await filled("HeadObject", Bucket="bkt", Key="new", ChecksumMode="ENABLED")
    same = {"ETag", "ContentType", "Metadata", "TagCount", "ChecksumCRC32", "ContentLength"}
    assert {name: new[name] for name in same} == {name: old[name] for name in same}
    assert new.keys().isdisjoint({"StorageClass", "ServerSideEncryption"})
    assert answer["CopyObjectResult"]["ETag"] == old["ETag"]
    assert answer["CopyObjectResult"]["LastModified"] == new["LastModified"] > old["LastModified"]
    assert await filled.content(Bucket="bkt", Key="new") == b"0123456789"


async def test_a_copy_may_be_described_anew(filled: Caller) -> None:
    said: dict[str, Any] = {
        "MetadataDirective": "REPLACE",
        "TaggingDirective": "REPLACE",
        "Metadata": {"m": "new"},
        "Tagging": "a=1&b=2",
        "ContentType": "text/plain",
        "ServerSideEncryption": "AES256",
        "StorageClass": "STANDARD_IA",
    }
    answer = await filled("CopyObject", **NEW, **said)
    new = await filled("HeadObject", Bucket="bkt", Key="new", ChecksumMode="ENABLED")
    assert (new["Metadata"], new["TagCount"]) == ({"m": "new"}, 2)
    assert (new["ContentType"], new["StorageClass"]) == ("text/plain", "STANDARD_IA")
    assert new["ServerSideEncryption"] == answer["ServerSideEncryption"] == "AES256"
    assert new["ChecksumCRC32"] == CRC32


async def test_metadata_without_directive_is_not_taken(filled: Caller) -> None:
    await filled("CopyObject", **NEW, Metadata={"m": "new"}, ContentType="text/plain")
    new = await filled("HeadObject", Bucket="bkt", Key="new")
    assert (new["Metadata"], new["ContentType"]) == ({"m": "old"}, "text/csv")


async def test_an_object_copied_to_itself_must_change(filled: Caller) -> None:
    itself = {"Bucket": "bkt", "Key": "k", "CopySource": "/bkt/k"}
    assert await filled.refused("CopyObject", **itself) == ("InvalidRequest", 400)
    await filled("CopyObject", **itself, MetadataDirective="REPLACE", Metadata={"m": "new"})
    assert (await filled("HeadObject", Bucket="bkt", Key="k"))["Metadata"] == {"m": "new"}
    assert await filled.content(Bucket="bkt", Key="k") == b"0123456789"


async def test_conditions_on_the_source_and_on_the_target(filled: Caller) -> None:
    modified = (await filled("HeadObject", Bucket="bkt", Key="k"))["LastModified"]
    failed = ("PreconditionFailed", 412)
    for condition in (
        {"CopySourceIfMatch": '"other"'},
        {"CopySourceIfNoneMatch": "*"},
        {"CopySourceIfModifiedSince": modified},
        {"CopySourceIfUnmodifiedSince": modified - timedelta(hours=1)},
    ):
        assert await filled.refused("CopyObject", **NEW, **condition) == failed
    await filled("CopyObject", **NEW, IfNoneMatch="*")
    assert await filled.refused("CopyObject", **NEW, IfNoneMatch="*") == failed


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("bkt/k", ("bkt", "k")),
        ("/bkt/a/b", ("bkt", "a/b")),
        ("bkt%2Fa%2Fb", ("bkt", "a/b")),
        ("bkt//a", ("bkt", "/a")),
        ("bkt/a%20b+c%2B%3FversionId%3D1", ("bkt", "a b c+?versionId=1")),
        ("bkt/%C3%BC?versionId=null", ("bkt", "ü")),
        ("bkt/../../etc/passwd", ("bkt", "../../etc/passwd")),
    ],
)
def test_copy_sources_are_percent_encoded(text: str, source: tuple[str, str]) -> None:
    assert copy_source(text) == source


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "InvalidArgument"),
        ("bkt", "InvalidArgument"),
        ("bkt/", "InvalidArgument"),
        ("bkt/k?versionId=1", "NoSuchVersion"),
        ("bkt/gone", "NoSuchKey"),
        ("gone/k", "NoSuchBucket"),
    ],
)
async def test_what_names_no_source_is_refused(filled: Caller, text: str, code: str) -> None:
    refused = await filled.refused("CopyObject", Bucket="bkt", Key="new", CopySource=text)
    assert refused[0] == code


async def test_parts_are_copied_whole_or_by_range(filled: Caller) -> None:
    large = b"x" * (5 * 1024 * 1024)
    await filled("PutObject", Bucket="bkt", Key="large", Body=large)
    upload = await filled("CreateMultipartUpload", Bucket="bkt", Key="made")
    part = {"Bucket": "bkt", "Key": "made", "UploadId": upload["UploadId"]}
    one = await filled("UploadPartCopy", **part, PartNumber=1, CopySource="bkt/large")
    two = await filled(
        "UploadPartCopy", **part, PartNumber=2, CopySource="bkt/k", CopySourceRange="bytes=2-4"
    )
    parts = [
        {"PartNumber": n, "ETag": answer["CopyPartResult"]["ETag"]}
        for n, answer in ((1, one), (2, two))
    ]
    await filled("CompleteMultipartUpload", **part, MultipartUpload={"Parts": parts})
    assert await filled.content(Bucket="bkt", Key="made") == large + b"234"
    for text in ("bytes=2-10", "bytes=2-", "bytes=-3", "2-4", "bytes=x-y"):
        upload = await filled("CreateMultipartUpload", Bucket="bkt", Key="made")
        refused = await filled.refused(
            "UploadPartCopy",
            Bucket="bkt",
            Key="made",
            UploadId=upload["UploadId"],
            PartNumber=1,
            CopySource="bkt/k",
            CopySourceRange=text,
        )
        assert refused == ("InvalidArgument", 400), text


async def test_a_copy_may_be_given_another_checksum(filled: Caller) -> None:
    answer = await filled("CopyObject", **NEW, ChecksumAlgorithm="SHA256")
    sha256 = checksum("SHA256", b"0123456789")
    assert answer["CopyObjectResult"]["ChecksumSHA256"] == sha256
    new = await filled("HeadObject", Bucket="bkt", Key="new", ChecksumMode="ENABLED")
    assert (new["ChecksumSHA256"], new["ChecksumType"]) == (sha256, "FULL_OBJECT")
    assert "ChecksumCRC32" not in new

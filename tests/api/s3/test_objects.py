"""Operations that read, write and remove objects."""

import base64
import hashlib
from datetime import timedelta
from typing import Any

import pytest
from tests.api.s3.calls import Caller, checksum, payload

from trainshed.domain.digests import SIZES

MD5 = base64.b64encode(hashlib.md5(b"data").digest()).decode()
ETAG = f'"{hashlib.md5(b"data").hexdigest()}"'


async def test_what_was_said_about_an_object_is_told_again(s3: Caller) -> None:
    expires = "Tue, 01 Jan 2030 00:00:00 GMT"
    said: dict[str, Any] = {
        "ContentType": "text/csv",
        "CacheControl": "no-cache",
        "ContentDisposition": "attachment",
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "Expires": expires,
        "Metadata": {"Kind": "weights", "who": "ä"},
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "key-1",
        "BucketKeyEnabled": True,
        "StorageClass": "STANDARD_IA",
    }
    put = await s3("PutObject", Bucket="bkt", Key="k", Body=b"data", Tagging="a=1&b=", **said)
    assert put["ETag"] == ETAG
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", "key-1")
    for operation in ("GetObject", "HeadObject"):
        told = await s3(operation, Bucket="bkt", Key="k")
        assert {name: told[name] for name in said if name != "Metadata"} == {
            name: value for name, value in said.items() if name != "Metadata"
        }
        assert told["Metadata"] == {"kind": "weights", "who": "ä"}
        assert (told["ContentLength"], told["ETag"], told["TagCount"]) == (4, ETAG, 2)
        assert "ChecksumCRC32" not in told
    assert await s3.content(Bucket="bkt", Key="k") == b"data"


async def test_an_object_nothing_was_said_about_has_s3s_defaults(s3: Caller) -> None:
    await s3("PutObject", Bucket="bkt", Key="k")
    told = await s3("HeadObject", Bucket="bkt", Key="k")
    assert told["ContentType"] == "binary/octet-stream"
    assert told["ContentLength"] == 0
    assert told.keys().isdisjoint({"StorageClass", "ServerSideEncryption", "TagCount", "Expires"})
    assert await s3.content(Bucket="bkt", Key="k") == b""


async def test_a_reader_may_ask_for_other_headers(s3: Caller) -> None:
    await s3("PutObject", Bucket="bkt", Key="k", Body=b"", ContentType="text/csv")
    told = await s3("GetObject", Bucket="bkt", Key="k", ResponseContentType="text/plain")
    assert told["ContentType"] == "text/plain"


async def test_the_way_a_payload_travelled_is_no_content_encoding(s3: Caller) -> None:
    await s3("PutObject", Bucket="bkt", Key="a", Body=b"", ContentEncoding="aws-chunked")
    await s3("PutObject", Bucket="bkt", Key="b", Body=b"", ContentEncoding="gzip,aws-chunked")
    assert "ContentEncoding" not in await s3("HeadObject", Bucket="bkt", Key="a")
    assert (await s3("HeadObject", Bucket="bkt", Key="b"))["ContentEncoding"] == "gzip"


RANGES = [
    ("bytes=0-3", b"0123", "bytes 0-3/10"),
    ("bytes=8-", b"89", "bytes 8-9/10"),
    ("bytes=-3", b"789", "bytes 7-9/10"),
    ("bytes=-30", b"0123456789", "bytes 0-9/10"),
    ("bytes=5-100", b"56789", "bytes 5-9/10"),
    ("bytes=0-0", b"0", "bytes 0-0/10"),
]


@pytest.mark.parametrize(("text", "part", "header"), RANGES)
async def test_a_range_is_answered_with_that_part(
    s3: Caller, text: str, part: bytes, header: str
) -> None:
    await s3(
        "PutObject",
        Bucket="bkt",
        Key="k",
        Body=b"0123456789",
        ChecksumCRC32=checksum("CRC32", b"0123456789"),
    )
    for operation in ("GetObject", "HeadObject"):
        reply = await s3.reply(operation, Bucket="bkt", Key="k", Range=text, ChecksumMode="ENABLED")
        assert reply.status == 206
        assert reply.result["ContentRange"] == header
        assert reply.result["ContentLength"] == len(part)
        assert "ChecksumCRC32" not in reply.result
    assert await s3.content(Bucket="bkt", Key="k", Range=text) == part


@pytest.mark.parametrize("text", ["bytes=3-1", "bytes=-", "lines=1-2", "bytes=0-1,3-4", "bytes=a-"])
async def test_what_is_no_range_is_answered_with_everything(s3: Caller, text: str) -> None:
    await s3("PutObject", Bucket="bkt", Key="k", Body=b"0123456789")
    reply = await s3.reply("GetObject", Bucket="bkt", Key="k", Range=text)
    assert reply.status is None
    assert "ContentRange" not in reply.result
    assert reply.result["ContentLength"] == 10


@pytest.mark.parametrize(
    ("body", "text"), [(b"0123", "bytes=4-"), (b"", "bytes=0-"), (b"0", "bytes=-0")]
)
async def test_a_range_outside_is_refused(s3: Caller, body: bytes, text: str) -> None:
    await s3("PutObject", Bucket="bkt", Key="k", Body=body)
    refused = await s3.refused("GetObject", Bucket="bkt", Key="k", Range=text)
    assert refused == ("InvalidRange", 416)


async def test_conditions_of_a_reader(s3: Caller) -> None:
    await s3(
        "PutObject", Bucket="bkt", Key="k", Body=b"data", ChecksumCRC32=checksum("CRC32", b"data")
    )
    modified = (await s3("HeadObject", Bucket="bkt", Key="k"))["LastModified"]
    before, after = modified - timedelta(hours=1), modified + timedelta(hours=1)
    cases: list[tuple[dict[str, Any], int | None]] = [
        ({"IfMatch": ETAG}, None),
        ({"IfMatch": f'"other", {ETAG}'}, None),
        ({"IfMatch": "*"}, None),
        ({"IfMatch": '"other"'}, 412),
        ({"IfMatch": ETAG, "IfUnmodifiedSince": before}, None),
        ({"IfUnmodifiedSince": before}, 412),
        ({"IfUnmodifiedSince": after}, None),
        ({"IfNoneMatch": ETAG}, 304),
        ({"IfNoneMatch": "*"}, 304),
        ({"IfNoneMatch": '"other"'}, None),
        ({"IfNoneMatch": '"other"', "IfModifiedSince": after}, None),
        ({"IfModifiedSince": modified}, 304),
        ({"IfModifiedSince": before}, None),
    ]
    for params, status in cases:
        for operation in ("GetObject", "HeadObject"):
            asked = {"Bucket": "bkt", "Key": "k", "ChecksumMode": "ENABLED", **params}
            if status == 412:
                refused = await s3.refused(operation, **asked)
                assert refused == ("PreconditionFailed", 412), params
                continue
            reply = await s3.reply(operation, **asked)
            assert reply.status == status, params
            assert ("ChecksumCRC32" in reply.result) is (status is None)
            assert reply.result["ETag"] == ETAG


async def test_conditions_of_a_writer(s3: Caller) -> None:
    new = {"Bucket": "bkt", "Key": "k", "Body": b"data"}
    assert await s3.refused("PutObject", **new, IfMatch=ETAG) == ("NoSuchKey", 404)
    await s3("PutObject", **new, IfNoneMatch="*")
    taken = await s3.refused("PutObject", **new, IfNoneMatch="*")
    assert taken == ("PreconditionFailed", 412)
    other = await s3.refused("PutObject", **new, IfMatch='"other"')
    assert other == ("PreconditionFailed", 412)
    assert await s3.refused("PutObject", **new, IfNoneMatch=ETAG) == ("NotImplemented", 501)
    await s3("PutObject", **new, IfMatch=ETAG)
    kept = await s3.refused("DeleteObject", Bucket="bkt", Key="k", IfMatch='"other"')
    assert kept == ("PreconditionFailed", 412)
    await s3("DeleteObject", Bucket="bkt", Key="k", IfMatch=ETAG)
    assert await s3.refused("HeadObject", Bucket="bkt", Key="k") == ("NoSuchKey", 404)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("algorithm", list(SIZES))
async def test_checksums_are_kept_and_told_when_asked_for(
    s3: Caller, late: bool, algorithm: str
) -> None:
    value = checksum(algorithm, b"data")
    name = f"Checksum{algorithm}"
    body = payload(b"data", {}, {f"x-amz-checksum-{algorithm.lower()}": value}) if late else b"data"
    given = {} if late else {name: value}
    put = await s3("PutObject", Bucket="bkt", Key="k", Body=body, **given)
    assert (put[name], put["ChecksumType"]) == (value, "FULL_OBJECT")
    told = await s3("HeadObject", Bucket="bkt", Key="k", ChecksumMode="ENABLED")
    assert (told[name], told["ChecksumType"]) == (value, "FULL_OBJECT")
    assert name not in await s3("HeadObject", Bucket="bkt", Key="k")


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("algorithm", list(SIZES))
async def test_a_checksum_of_other_bytes_is_refused_and_nothing_kept(
    s3: Caller, late: bool, algorithm: str
) -> None:
    value = checksum(algorithm, b"other")
    trailers = {f"x-amz-checksum-{algorithm.lower()}": value} if late else {}
    body = payload(b"data", {} if late else {f"Checksum{algorithm}": value}, trailers)
    refused = await s3.refused("PutObject", Bucket="bkt", Key="k", Body=body)
    assert refused == ("BadDigest", 400)
    assert await s3.refused("HeadObject", Bucket="bkt", Key="k") == ("NoSuchKey", 404)


async def test_an_object_without_a_checksum_gets_the_default_one(s3: Caller) -> None:
    put = await s3("PutObject", Bucket="bkt", Key="k", Body=b"data")
    assert put["ChecksumCRC64NVME"] == checksum("CRC64NVME", b"data")
    assert put["ChecksumType"] == "FULL_OBJECT"
    promised = {"Bucket": "bkt", "Key": "k", "Body": b"data", "ChecksumAlgorithm": "SHA1"}
    assert await s3.refused("PutObject", **promised) == ("InvalidRequest", 400)


async def test_a_payload_that_is_not_the_one_meant_is_not_kept(s3: Caller) -> None:
    await s3("PutObject", Bucket="bkt", Key="k", Body=b"data", ContentMD5=MD5)
    new = {"Bucket": "bkt", "Key": "k", "Body": b"other"}
    assert await s3.refused("PutObject", **new, ContentMD5=MD5) == ("BadDigest", 400)
    assert await s3.refused("PutObject", **new, ChecksumMD5=MD5) == ("BadDigest", 400)
    assert await s3.refused("PutObject", **new, ContentMD5="x") == ("InvalidDigest", 400)
    assert await s3.content(Bucket="bkt", Key="k") == b"data"


async def test_what_no_object_can_be_is_refused(s3: Caller) -> None:
    new: dict[str, Any] = {"Bucket": "bkt", "Body": b"x"}
    assert await s3.refused("PutObject", Key="é" * 513, **new) == ("KeyTooLongError", 400)
    new["Key"] = "k"
    large = {"a": "x" * 2048}
    assert await s3.refused("PutObject", Metadata=large, **new) == ("MetadataTooLarge", 400)
    assert await s3.refused("PutObject", Tagging="a=1&a=2", **new) == ("InvalidTag", 400)
    tags = "&".join(f"k{n}=v" for n in range(11))
    assert await s3.refused("PutObject", Tagging=tags, **new) == ("BadRequest", 400)
    own_key = await s3.refused("PutObject", SSECustomerAlgorithm="AES256", **new)
    assert own_key == ("NotImplemented", 501)
    version = await s3.refused("GetObject", Bucket="bkt", Key="k", VersionId="v1")
    assert version == ("NoSuchVersion", 404)


async def test_several_objects_are_removed_at_once(s3: Caller) -> None:
    for key in ("a", "b", "c"):
        await s3("PutObject", Bucket="bkt", Key=key, Body=b"data")
    wanted = [
        {"Key": "a"},
        {"Key": "gone"},
        {"Key": "b", "ETag": '"x"'},
        {"Key": "c", "ETag": ETAG},
        {"Key": "b", "VersionId": "another"},
    ]
    answer = await s3("DeleteObjects", Bucket="bkt", Delete={"Objects": wanted})
    assert answer["Deleted"] == [{"Key": "a"}, {"Key": "gone"}, {"Key": "c"}]
    assert [(e["Key"], e["Code"]) for e in answer["Errors"]] == [
        ("b", "PreconditionFailed"),
        ("b", "NoSuchVersion"),
    ]
    quiet = {"Objects": [{"Key": "b"}], "Quiet": True}
    assert await s3("DeleteObjects", Bucket="bkt", Delete=quiet) == {}
    await s3("DeleteBucket", Bucket="bkt")


@pytest.mark.parametrize("count", [0, 1001])
async def test_none_or_too_many_to_remove_is_refused(s3: Caller, count: int) -> None:
    wanted = {"Objects": [{"Key": str(n)} for n in range(count)]}
    refused = await s3.refused("DeleteObjects", Bucket="bkt", Delete=wanted)
    assert refused == ("MalformedXML", 400)


async def test_tags_are_read_replaced_and_removed(s3: Caller) -> None:
    here = {"Bucket": "bkt", "Key": "k"}
    await s3("PutObject", **here, Body=b"", Tagging="a=1&b=2")
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    assert await s3("GetObjectTagging", **here) == {"TagSet": tags}
    await s3("PutObjectTagging", **here, Tagging={"TagSet": [{"Key": "c", "Value": "ü"}]})
    assert await s3("GetObjectTagging", **here) == {"TagSet": [{"Key": "c", "Value": "ü"}]}
    await s3("DeleteObjectTagging", **here)
    assert await s3("GetObjectTagging", **here) == {"TagSet": []}


@pytest.mark.parametrize("tag", [("", "1"), ("k" * 129, "1"), ("k", "v" * 257)])
async def test_tags_have_bounds(s3: Caller, tag: tuple[str, str]) -> None:
    await s3("PutObject", Bucket="bkt", Key="k", Body=b"")
    tags = {"TagSet": [{"Key": tag[0], "Value": tag[1]}]}
    refused = await s3.refused("PutObjectTagging", Bucket="bkt", Key="k", Tagging=tags)
    assert refused == ("InvalidTag", 400)

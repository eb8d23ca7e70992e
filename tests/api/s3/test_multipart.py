"""Operations of multipart uploads."""

import asyncio
import base64
import hashlib
import zlib
from typing import Any

import pytest
from tests.api.s3.calls import Caller

MIB = 1024 * 1024
FIRST, LAST = b"a" * (5 * MIB), b"b" * 10


def crc(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4)).decode()


async def begun(s3: Caller, **params: Any) -> dict[str, Any]:
    answer = await s3("CreateMultipartUpload", Bucket="bkt", Key="k", **params)
    return {"Bucket": "bkt", "Key": "k", "UploadId": answer["UploadId"]}


async def sent(
    s3: Caller, upload: dict[str, Any], n: int, data: bytes, **more: Any
) -> dict[str, Any]:
    answer = await s3("UploadPart", **upload, PartNumber=n, Body=data, **more)
    return {"PartNumber": n, "ETag": answer["ETag"]}


def listed(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"Parts": list(parts)}


async def test_an_object_of_two_parts(s3: Caller) -> None:
    upload = await begun(
        s3, Metadata={"m": "1"}, ServerSideEncryption="aws:kms", Tagging="a=1", ContentType="x/y"
    )
    last = await sent(s3, upload, 9, LAST)
    first = await sent(s3, upload, 2, FIRST)
    done = await s3("CompleteMultipartUpload", **upload, MultipartUpload=listed(first, last))
    digests = hashlib.md5(FIRST).digest() + hashlib.md5(LAST).digest()
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'
    assert done["Location"] == "http://127.0.0.1:9/bkt/k"
    assert done["ServerSideEncryption"] == "aws:kms"
    told = await s3("HeadObject", Bucket="bkt", Key="k")
    assert told["Metadata"] == {"m": "1"}
    assert (told["ContentType"], told["TagCount"], told["ETag"]) == ("x/y", 1, done["ETag"])
    assert await s3.content(Bucket="bkt", Key="k") == FIRST + LAST
    assert await s3.refused("ListParts", **upload) == ("NoSuchUpload", 404)


async def test_a_part_of_the_finished_object_can_be_read_by_number(s3: Caller) -> None:
    upload = await begun(s3)
    parts = [await sent(s3, upload, n, data) for n, data in ((1, FIRST), (2, LAST))]
    await s3("CompleteMultipartUpload", **upload, MultipartUpload=listed(*parts))
    reply = await s3.reply("HeadObject", Bucket="bkt", Key="k", PartNumber=2)
    assert (reply.status, reply.result["PartsCount"]) == (206, 2)
    assert reply.result["ContentRange"] == f"bytes {5 * MIB}-{5 * MIB + 9}/{5 * MIB + 10}"
    assert await s3.content(Bucket="bkt", Key="k", PartNumber=2) == LAST
    beyond = await s3.refused("GetObject", Bucket="bkt", Key="k", PartNumber=3)
    assert beyond == ("InvalidPartNumber", 416)


async def test_completing_twice_is_answered_twice_alike(s3: Caller) -> None:
    upload = await begun(s3)
    part = await sent(s3, upload, 1, LAST)
    done = await s3("CompleteMultipartUpload", **upload, MultipartUpload=listed(part))
    again = await s3("CompleteMultipartUpload", **upload, MultipartUpload=listed(part))
    assert again == done
    await s3("PutObject", Bucket="bkt", Key="k", Body=b"other")
    late = await s3.refused("CompleteMultipartUpload", **upload, MultipartUpload=listed(part))
    assert late == ("NoSuchUpload", 404)


async def test_completing_again_meanwhile_is_answered_alike(s3: Caller) -> None:
    upload = await begun(s3)
    parts = [await sent(s3, upload, n, data) for n, data in ((1, FIRST), (2, LAST))]
    asked = {**upload, "MultipartUpload": listed(*parts)}
    one, two = await asyncio.gather(*(s3("CompleteMultipartUpload", **asked) for _ in range(2)))
    assert one == two
    assert await s3.content(Bucket="bkt", Key="k") == FIRST + LAST


async def test_wrong_lists_of_parts_are_refused_and_the_upload_stays(s3: Caller) -> None:
    upload = await begun(s3)
    one = await sent(s3, upload, 1, FIRST)
    two = await sent(s3, upload, 2, LAST)
    three = await sent(s3, upload, 3, LAST)
    etag = one["ETag"]
    cases: list[tuple[list[dict[str, Any]], str]] = [
        ([], "MalformedXML"),
        ([two, one], "InvalidPartOrder"),
        ([one, one], "InvalidPartOrder"),
        ([one, {"PartNumber": 4, "ETag": etag}], "InvalidPart"),
        ([{"PartNumber": 2, "ETag": etag}], "InvalidPart"),
        ([{"PartNumber": 1}], "InvalidPart"),
        ([one, two, three], "EntityTooSmall"),
    ]
    for parts, code in cases:
        refused = await s3.refused(
            "CompleteMultipartUpload", **upload, MultipartUpload=listed(*parts)
        )
        assert refused == (code, 400)
    wrong_size = await s3.refused(
        "CompleteMultipartUpload", **upload, MultipartUpload=listed(one, two), MpuObjectSize=1
    )
    assert wrong_size == ("InvalidRequest", 400)
    bare = {"PartNumber": 1, "ETag": one["ETag"].strip('"')}
    await s3("CompleteMultipartUpload", **upload, MultipartUpload=listed(bare, two))
    assert await s3.content(Bucket="bkt", Key="k") == FIRST + LAST


@pytest.mark.parametrize("number", [0, -1, 10_001])
async def test_part_numbers_have_bounds(s3: Caller, number: int) -> None:
    upload = await begun(s3)
    refused = await s3.refused("UploadPart", **upload, PartNumber=number, Body=b"")
    assert refused == ("InvalidArgument", 400)


@pytest.mark.parametrize("kind", ["COMPOSITE", "FULL_OBJECT"])
async def test_checksums_of_parts_become_the_objects(s3: Caller, kind: str) -> None:
    upload = await begun(s3, ChecksumAlgorithm="CRC32", ChecksumType=kind)
    parts = [
        {**await sent(s3, upload, n, data, ChecksumCRC32=crc(data)), "ChecksumCRC32": crc(data)}
        for n, data in ((1, FIRST), (2, LAST))
    ]
    shown = await s3("ListParts", **upload)
    assert [part["ChecksumCRC32"] for part in shown["Parts"]] == [crc(FIRST), crc(LAST)]
    wrong = await s3.refused(
        "CompleteMultipartUpload",
        **upload,
        MultipartUpload=listed({**parts[0], "ChecksumCRC32": crc(b"")}, parts[1]),
    )
    assert wrong == ("InvalidPart", 400)
    wrong_whole = await s3.refused(
        "CompleteMultipartUpload",
        **upload,
        MultipartUpload=listed(*parts),
        ChecksumCRC32=crc(b"") + ("-2" if kind == "COMPOSITE" else ""),
    )
    assert wrong_whole == ("BadDigest", 400)
    done = await s3("CompleteMultipartUpload", **upload, MultipartUpload=listed(*parts))
    both = zlib.crc32(FIRST).to_bytes(4) + zlib.crc32(LAST).to_bytes(4)
    expected = crc(FIRST + LAST) if kind == "FULL_OBJECT" else f"{crc(both)}-2"
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (expected, kind)
    told = await s3("HeadObject", Bucket="bkt", Key="k", ChecksumMode="ENABLED")
    assert (told["ChecksumCRC32"], told["ChecksumType"]) == (expected, kind)


async def test_parts_are_listed_page_by_page(s3: Caller) -> None:
    upload = await begun(s3)
    for n in (5, 1, 3):
        await sent(s3, upload, n, b"x" * n)
    first = await s3("ListParts", **upload, MaxParts=2)
    assert [(part["PartNumber"], part["Size"]) for part in first["Parts"]] == [(1, 1), (3, 3)]
    assert (first["IsTruncated"], first["NextPartNumberMarker"]) == (True, 3)
    rest = await s3("ListParts", **upload, PartNumberMarker=3)
    assert [part["PartNumber"] for part in rest["Parts"]] == [5]
    assert rest["IsTruncated"] is False


async def test_uploads_are_listed_by_prefix_delimiter_and_page(s3: Caller) -> None:
    for key in ("a/1", "a/2", "b", "b", "c d"):
        await s3("CreateMultipartUpload", Bucket="bkt", Key=key)
    every = await s3("ListMultipartUploads", Bucket="bkt", EncodingType="url")
    assert [u["Key"] for u in every["Uploads"]] == ["a/1", "a/2", "b", "b", "c%20d"]
    gathered = await s3("ListMultipartUploads", Bucket="bkt", Delimiter="/")
    assert gathered["CommonPrefixes"] == [{"Prefix": "a/"}]
    assert [u["Key"] for u in gathered["Uploads"]] == ["b", "b", "c d"]
    below = await s3("ListMultipartUploads", Bucket="bkt", Prefix="a/")
    assert [u["Key"] for u in below["Uploads"]] == ["a/1", "a/2"]
    found: list[str] = []
    more: dict[str, Any] = {}
    while True:
        page = await s3("ListMultipartUploads", Bucket="bkt", MaxUploads=1, **more)
        found += [u["UploadId"] for u in page["Uploads"]]
        if not page["IsTruncated"]:
            break
        more = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
    assert found == [u["UploadId"] for u in every["Uploads"]]


async def test_an_aborted_upload_is_gone(s3: Caller) -> None:
    upload = await begun(s3)
    part = await sent(s3, upload, 1, LAST)
    await s3("AbortMultipartUpload", **upload)
    gone = ("NoSuchUpload", 404)
    assert await s3.refused("AbortMultipartUpload", **upload) == gone
    assert await s3.refused("UploadPart", **upload, PartNumber=1, Body=b"") == gone
    done = await s3.refused("CompleteMultipartUpload", **upload, MultipartUpload=listed(part))
    assert done == gone
    elsewhere = {**upload, "Key": "other"}
    assert await s3.refused("ListParts", **elsewhere) == gone


async def test_an_upload_may_demand_to_be_the_first(s3: Caller) -> None:
    upload = await begun(s3)
    part = await sent(s3, upload, 1, LAST)
    await s3("PutObject", Bucket="bkt", Key="k", Body=b"first")
    refused = await s3.refused(
        "CompleteMultipartUpload", **upload, MultipartUpload=listed(part), IfNoneMatch="*"
    )
    assert refused == ("PreconditionFailed", 412)
    assert await s3.content(Bucket="bkt", Key="k") == b"first"

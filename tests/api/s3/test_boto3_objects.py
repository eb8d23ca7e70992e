"""boto3, with its own defaults, against the real server: single objects."""

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from tests.api.s3.served import Served, serving

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("data")) as it:
        it.client().create_bucket(Bucket="bkt")
        yield it


@pytest.fixture
def s3(served: Served) -> Any:
    return served.client()


def status(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("size", [0, 1, 8 * MIB - 1, 8 * MIB, 20 * MIB + 3])
def test_files_of_every_size_go_up_and_come_down(s3: Any, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "up").write_bytes(data)
    s3.upload_file(str(tmp_path / "up"), "bkt", f"file-{size}", ExtraArgs={"Metadata": {"a": "b"}})
    s3.download_file("bkt", f"file-{size}", str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == data
    told = s3.head_object(Bucket="bkt", Key=f"file-{size}", ChecksumMode="ENABLED")
    assert (told["ContentLength"], told["Metadata"]) == (size, {"a": "b"})
    assert told["ChecksumCRC32"]
    single = s3.get_object(Bucket="bkt", Key=f"file-{size}")  # boto3 compares the checksum
    assert single["Body"].read() == data
    if size < 8 * MIB:
        assert told["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    else:
        assert told["ETag"].endswith(f'-{-(-size // (8 * MIB))}"')


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "CRC32"])
def test_checksums_of_other_algorithms_are_verified_by_both_sides(s3: Any, algorithm: str) -> None:
    s3.put_object(Bucket="bkt", Key="sum", Body=b"data", ChecksumAlgorithm=algorithm)
    answer = s3.get_object(Bucket="bkt", Key="sum", ChecksumMode="ENABLED")
    assert answer["Body"].read() == b"data"
    assert answer[f"Checksum{algorithm}"]
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket="bkt", Key="sum2", Body=b"data", ChecksumSHA256="A" * 43 + "=")
    assert status(refused) == ("BadDigest", 400)
    with pytest.raises(ClientError) as missing:
        s3.head_object(Bucket="bkt", Key="sum2")
    assert status(missing) == ("404", 404)


def test_ranges(s3: Any) -> None:
    s3.put_object(Bucket="bkt", Key="digits", Body=b"0123456789")
    for text, part, told in (
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=7-99", b"789", "bytes 7-9/10"),
    ):
        answer = s3.get_object(Bucket="bkt", Key="digits", Range=text)
        assert answer["Body"].read() == part
        assert answer["ContentRange"] == told
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket="bkt", Key="digits", Range="bytes=10-")
    assert status(refused) == ("InvalidRange", 416)


def test_conditions(s3: Any) -> None:
    etag = s3.put_object(Bucket="bkt", Key="if", Body=b"x")["ETag"]
    modified = s3.head_object(Bucket="bkt", Key="if")["LastModified"]
    for condition in ({"IfNoneMatch": etag}, {"IfModifiedSince": modified}):
        for ask in (s3.get_object, s3.head_object):
            with pytest.raises(ClientError) as unchanged:
                ask(Bucket="bkt", Key="if", **condition)
            assert status(unchanged) == ("304", 304)
    for ask, code in ((s3.get_object, "PreconditionFailed"), (s3.head_object, "412")):
        with pytest.raises(ClientError) as failed:
            ask(Bucket="bkt", Key="if", IfUnmodifiedSince=modified - timedelta(hours=1))
        assert status(failed) == (code, 412)
    with pytest.raises(ClientError) as taken:
        s3.put_object(Bucket="bkt", Key="if", Body=b"y", IfNoneMatch="*")
    assert status(taken) == ("PreconditionFailed", 412)
    s3.put_object(Bucket="bkt", Key="if", Body=b"y", IfMatch=etag)
    assert s3.get_object(Bucket="bkt", Key="if", IfMatch="*")["Body"].read() == b"y"


def test_what_is_missing_is_told_in_s3s_words(s3: Any) -> None:
    with pytest.raises(ClientError, match="The specified key does not exist") as missing:
        s3.get_object(Bucket="bkt", Key="gone")
    assert status(missing) == ("NoSuchKey", 404)
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="bkt", Key="gone")
    with pytest.raises(ClientError, match=r"\(404\) when calling the HeadObject.*: Not Found"):
        s3.head_object(Bucket="bkt", Key="gone")
    with pytest.raises(ClientError, match=r"\(404\) when calling the HeadBucket.*: Not Found"):
        s3.head_bucket(Bucket="gone")
    with pytest.raises(s3.exceptions.NoSuchBucket, match="The specified bucket does not exist"):
        s3.list_objects_v2(Bucket="gone")
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.put_object(Bucket="gone", Key="k", Body=b"x" * MIB)


def test_what_an_sdk_says_about_an_object_comes_back(s3: Any) -> None:
    said = {
        "ContentType": "application/x-tar",
        "ContentEncoding": "gzip",
        "CacheControl": "max-age=1",
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "arn:aws:kms:us-east-1:000000000000:key/1",
        "StorageClass": "STANDARD_IA",
        "Metadata": {"spaces": "a b", "slash": "x/y"},
    }
    s3.put_object(Bucket="bkt", Key="said", Body=b"x", Tagging="a=1", ACL="private", **said)
    told = s3.head_object(Bucket="bkt", Key="said")
    assert {name: told[name] for name in said} == said
    assert s3.get_object_tagging(Bucket="bkt", Key="said")["TagSet"] == [{"Key": "a", "Value": "1"}]
    s3.put_object_tagging(Bucket="bkt", Key="said", Tagging={"TagSet": [{"Key": "é", "Value": ""}]})
    assert s3.get_object_tagging(Bucket="bkt", Key="said")["TagSet"] == [{"Key": "é", "Value": ""}]


def test_presigned_addresses_work_without_any_sdk(served: Served) -> None:
    s3 = served.client(signature_version="s3v4")
    params = {"Bucket": "bkt", "Key": "a b/ü"}
    put = s3.generate_presigned_url("put_object", Params=params)
    request = urllib.request.Request(put, data=b"by hand", method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    get = s3.generate_presigned_url("get_object", Params=params)
    with urllib.request.urlopen(get) as answer:
        assert answer.read() == b"by hand"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(get.replace("X-Amz-Expires=3600", "X-Amz-Expires=3601"))
    assert refused.value.code == 403
    refused.value.close()


def test_copies(s3: Any) -> None:
    s3.put_object(Bucket="bkt", Key="src ü?+", Body=b"data", Metadata={"a": "1"}, ContentType="x/y")
    source = {"Bucket": "bkt", "Key": "src ü?+"}
    s3.copy_object(Bucket="bkt", Key="dst", CopySource=source)
    told = s3.get_object(Bucket="bkt", Key="dst")
    assert (told["Body"].read(), told["Metadata"], told["ContentType"]) == (
        b"data",
        {"a": "1"},
        "x/y",
    )
    s3.copy_object(
        Bucket="bkt", Key="dst", CopySource=source, MetadataDirective="REPLACE", Metadata={"a": "2"}
    )
    assert s3.head_object(Bucket="bkt", Key="dst")["Metadata"] == {"a": "2"}
    s3.copy(source, "bkt", "managed")
    assert s3.get_object(Bucket="bkt", Key="managed")["Body"].read() == b"data"


def test_large_copies_go_part_by_part(s3: Any) -> None:
    data = os.urandom(17 * MIB)
    s3.put_object(Bucket="bkt", Key="large", Body=data)
    by_parts = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB)
    s3.copy({"Bucket": "bkt", "Key": "large"}, "bkt", "large2", Config=by_parts)
    answer = s3.get_object(Bucket="bkt", Key="large2")
    assert answer["Body"].read() == data
    assert answer["ETag"].endswith('-3"')


@pytest.mark.parametrize("kind", ["COMPOSITE", "FULL_OBJECT"])
def test_a_multipart_upload_by_hand(s3: Any, kind: str) -> None:
    here = {"Bucket": "bkt", "Key": f"by-hand-{kind}"}
    data = [os.urandom(5 * MIB), b"tail"]
    upload = s3.create_multipart_upload(**here, ChecksumAlgorithm="CRC32", ChecksumType=kind)
    here["UploadId"] = upload["UploadId"]
    parts = []
    for n, body in enumerate(data, 1):
        answer = s3.upload_part(**here, PartNumber=n, Body=body, ChecksumAlgorithm="CRC32")
        parts.append(
            {"PartNumber": n, "ETag": answer["ETag"], "ChecksumCRC32": answer["ChecksumCRC32"]}
        )
    shown = s3.list_parts(**here)
    assert [(part["PartNumber"], part["Size"]) for part in shown["Parts"]] == [(1, 5 * MIB), (2, 4)]
    uploads = s3.list_multipart_uploads(Bucket="bkt")["Uploads"]
    assert [found["Key"] for found in uploads] == [here["Key"]]
    with pytest.raises(ClientError) as disorder:
        s3.complete_multipart_upload(**here, MultipartUpload={"Parts": parts[::-1]})
    assert status(disorder) == ("InvalidPartOrder", 400)
    done = s3.complete_multipart_upload(**here, MultipartUpload={"Parts": parts})
    assert done["ChecksumType"] == kind
    assert s3.get_object(Bucket="bkt", Key=here["Key"])["Body"].read() == b"".join(data)
    with pytest.raises(s3.exceptions.NoSuchUpload):
        s3.abort_multipart_upload(**here)


def test_the_region_decides_how_a_second_create_is_answered(served: Served) -> None:
    served.client().create_bucket(Bucket="bkt")
    elsewhere = served.client(region="eu-west-1")
    place = {"LocationConstraint": "eu-west-1"}
    elsewhere.create_bucket(Bucket="far", CreateBucketConfiguration=place)
    with pytest.raises(elsewhere.exceptions.BucketAlreadyOwnedByYou):
        elsewhere.create_bucket(Bucket="far", CreateBucketConfiguration=place)
    assert elsewhere.get_bucket_location(Bucket="far")["LocationConstraint"] == "eu-west-1"
    assert elsewhere.get_bucket_location(Bucket="bkt")["LocationConstraint"] is None
    assert served.client().head_bucket(Bucket="far")["BucketRegion"] == "eu-west-1"
    assert "Status" not in elsewhere.get_bucket_versioning(Bucket="far")
    assert {b["Name"] for b in served.client().list_buckets()["Buckets"]} >= {"bkt", "far"}
    elsewhere.delete_bucket(Bucket="far")
    with pytest.raises(ClientError) as full:
        s3 = served.client()
        s3.put_object(Bucket="bkt", Key="k", Body=b"")
        s3.delete_bucket(Bucket="bkt")
    assert status(full) == ("BucketNotEmpty", 409)


def test_an_upload_that_is_asked_for_again_by_the_same_call_is_the_same(s3: Any) -> None:
    calls = iter(["one", "one", "one", "two"])

    def name(params: Any, **_: Any) -> None:
        params["context"].setdefault("retries", {})["invocation-id"] = next(calls)

    s3.meta.events.register("before-call.s3.CreateMultipartUpload", name)
    first, again, elsewhere, other = (
        s3.create_multipart_upload(Bucket="bkt", Key=key)["UploadId"]
        for key in ("k", "k", "elsewhere", "k")
    )
    assert first == again
    assert len({first, elsewhere, other}) == 3
    listed = s3.list_multipart_uploads(Bucket="bkt")["Uploads"]
    assert sorted(each["UploadId"] for each in listed) == sorted([first, elsewhere, other])
    part = s3.upload_part(Bucket="bkt", Key="k", UploadId=again, PartNumber=1, Body=b"1")
    named = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket="bkt", Key="k", UploadId=first, MultipartUpload=named)
    assert s3.get_object(Bucket="bkt", Key="k")["Body"].read() == b"1"

"""What outlives the server, however it ends."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.s3.clients import Access

from trainshed.testing.server import Server

PART = 5 << 20


@pytest.fixture(params=["stopped", "killed"])
def restarted(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Server, Any]]:
    """A server with a bucket, and how to end and start it again."""

    def again() -> Any:
        server.stop() if request.param == "stopped" else server.kill()
        server.start()
        return Access(server.url, server.keys, tmp_path).boto3()

    with Server(tmp_path / "data") as server:
        Access(server.url, server.keys, tmp_path).boto3().create_bucket(Bucket="bkt")
        yield server, again


def test_everything_that_was_answered_outlives_the_server(
    restarted: tuple[Server, Any], tmp_path: Path
) -> None:
    server, again = restarted
    s3 = Access(server.url, server.keys, tmp_path).boto3()
    said = {"Metadata": {"a": "1"}, "ContentType": "x/y", "Tagging": "t=1"}
    first = s3.put_object(Bucket="bkt", Key="k", Body=b"data", **said)
    s3.put_object(Bucket="bkt", Key="gone", Body=b"")
    s3.delete_object(Bucket="bkt", Key="gone")
    half = {"Bucket": "bkt", "Key": "half"}
    upload = {**half, "UploadId": s3.create_multipart_upload(**half)["UploadId"]}
    one = s3.upload_part(**upload, PartNumber=1, Body=b"a" * PART)
    s3 = again()
    got = s3.get_object(Bucket="bkt", Key="k", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got["ETag"]) == (b"data", first["ETag"])
    assert (got["Metadata"], got["ContentType"], got["TagCount"]) == ({"a": "1"}, "x/y", 1)
    assert got["ChecksumCRC32"] == first["ChecksumCRC32"]
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="bkt")["Contents"]] == ["k"]
    assert [each["PartNumber"] for each in s3.list_parts(**upload)["Parts"]] == [1]
    two = s3.upload_part(**upload, PartNumber=2, Body=b"b")
    parts = [{"PartNumber": n, "ETag": part["ETag"]} for n, part in ((1, one), (2, two))]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    s3 = again()
    assert s3.get_object(**half)["Body"].read() == b"a" * PART + b"b"


def test_an_upload_that_nobody_finished_in_time_is_gone_and_its_room_is_free(
    tmp_path: Path,
) -> None:
    eight_days = 8 * 86400
    with Server(tmp_path / "data", '[objects]\nlimit = "12m"\n') as server:
        s3 = Access(server.url, server.keys, tmp_path).boto3()
        s3.create_bucket(Bucket="bkt")
        for key in ("old", "new"):
            upload = s3.create_multipart_upload(Bucket="bkt", Key=key)["UploadId"]
            s3.upload_part(Bucket="bkt", Key=key, UploadId=upload, PartNumber=1, Body=b"a" * PART)
        server.kill()
        with sqlite3.connect(server.data / "trainshed.db") as records:
            records.execute(
                "UPDATE uploads SET started = ? WHERE key = ?", (time.time() - eight_days, b"old")
            )
        records.close()
        server.start()
        s3 = Access(server.url, server.keys, tmp_path).boto3()
        until = time.monotonic() + 20
        while len(found := s3.list_multipart_uploads(Bucket="bkt")["Uploads"]) > 1:
            assert time.monotonic() < until
        assert [each["Key"] for each in found] == ["new"]
        s3.put_object(Bucket="bkt", Key="fits", Body=b"a" * PART)

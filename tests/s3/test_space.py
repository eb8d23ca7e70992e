"""A store that is full says so, keeps what it has, and takes more once there is room."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.s3.clients import Access

from trainshed.testing.server import Server

MIB = 1 << 20
SETTINGS = '[objects]\nlimit = "{limit}"\nreserve = "{reserve}"\n'


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A store that may hold 4 MiB."""
    folder = tmp_path_factory.mktemp("limited")
    with Server(folder / "data", SETTINGS.format(limit="4m", reserve="1m")) as server:
        yield Access(server.url, server.keys, folder).boto3()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    """A store on a disk of 24 MiB that keeps nothing free, and its folder."""
    folder = tmp_path_factory.mktemp("small")
    objects = folder / "data" / "objects"
    objects.mkdir(parents=True)
    bwrap = shutil.which("bwrap") or "bwrap"
    disk = ["--size", str(24 * MIB), "--tmpfs", str(objects)]
    within = [bwrap, "--die-with-parent", "--dev-bind", "/", "/", *disk]
    with Server(folder / "data", SETTINGS.format(limit="", reserve="0"), within) as server:
        yield Access(server.url, server.keys, folder).boto3(), objects


def refused(s3: Any, **members: Any) -> str:
    with pytest.raises(ClientError) as caught:
        s3.put_object(**members)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 507
    assert answer["Error"]["Code"] == "InsufficientStorage"
    message: str = answer["Error"]["Message"]
    return message


def emptied(s3: Any, bucket: str) -> None:
    s3.create_bucket(Bucket=bucket)
    for one in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=one["Key"])


def test_more_than_the_limit_is_refused_and_the_old_object_stays(limited: Any) -> None:
    emptied(limited, "bkt")
    named = {"Bucket": "bkt", "Key": "k"}
    limited.put_object(**named, Body=b"x" * 3 * MIB)
    said = refused(limited, **named, Body=b"y" * 2 * MIB)
    assert "2 MiB more" in said
    assert "3 MiB of the 4 MiB" in said
    assert "objects.limit" in said
    assert limited.get_object(**named)["Body"].read() == b"x" * 3 * MIB
    limited.delete_object(**named)
    limited.put_object(**named, Body=b"y" * 4 * MIB)


def test_copies_take_no_room_and_what_they_share_goes_with_the_last(limited: Any) -> None:
    emptied(limited, "bkt")
    named = {"Bucket": "bkt", "Key": "k"}
    limited.put_object(**named, Body=b"x" * 3 * MIB)
    for number in range(3):
        limited.copy_object(Bucket="bkt", Key=f"copy-{number}", CopySource=named)
    limited.delete_object(**named)
    limited.delete_object(Bucket="bkt", Key="copy-0")
    refused(limited, Bucket="bkt", Key="new", Body=b"y" * 2 * MIB)
    limited.delete_objects(Bucket="bkt", Delete={"Objects": [{"Key": "copy-1"}, {"Key": "copy-2"}]})
    limited.put_object(Bucket="bkt", Key="new", Body=b"y" * 2 * MIB)


def test_parts_of_unfinished_uploads_take_room_until_they_go(limited: Any) -> None:
    emptied(limited, "bkt")
    named = {"Bucket": "bkt", "Key": "k"}
    upload = {**named, "UploadId": limited.create_multipart_upload(**named)["UploadId"]}
    limited.upload_part(**upload, PartNumber=1, Body=b"x" * 3 * MIB)
    refused(limited, **named, Body=b"y" * 2 * MIB)
    limited.upload_part(**upload, PartNumber=1, Body=b"x" * MIB)
    limited.put_object(**named, Body=b"y" * 3 * MIB)
    limited.abort_multipart_upload(**upload)
    limited.put_object(**{**named, "Key": "other"}, Body=b"y" * MIB)


def test_a_disk_that_is_full_is_told_before_the_payload_comes(small: tuple[Any, Path]) -> None:
    s3, _ = small
    emptied(s3, "early")
    said = refused(s3, Bucket="early", Key="k", Body=b"x" * 40 * MIB)
    assert "40 MiB more" in said
    assert "objects.reserve" in said


def test_a_disk_that_fills_while_bytes_come_leaves_the_old_object(
    small: tuple[Any, Path],
) -> None:
    """Two writers are each promised room; parts of unknown length get none in advance."""
    s3, _ = small
    emptied(s3, "late")
    s3.put_object(Bucket="late", Key="k", Body=b"old")
    told: list[str] = []

    def write(number: int) -> None:
        try:
            s3.put_object(Bucket="late", Key=f"{number}", Body=bytes([number]) * 9 * MIB)
        except ClientError as error:
            told.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(told) == {"InsufficientStorage"}
    kept = [one["Key"] for one in s3.list_objects_v2(Bucket="late")["Contents"]]
    assert "k" in kept
    assert len(kept) + len(told) == 5
    for key in kept[:-1]:
        assert s3.get_object(Bucket="late", Key=key)["Body"].read() == bytes([int(key)]) * 9 * MIB
        s3.delete_object(Bucket="late", Key=key)
    assert s3.get_object(Bucket="late", Key="k")["Body"].read() == b"old"

"""Input data that no job can have: each reason, and that nothing of it is left."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.journeys.conftest import settings
from tests.journeys.shed import BUCKET, ROLE, Shed, channel, until

from trainshed.testing.server import Server

DOWNLOAD = "ClientError: Data download failed:"
SLASHES = " has an illegal char sub-sequence '//' in it"
NAMED = " (the manifest s3://{b}/m/out names it)"
NODES_DISK = 48 << 20


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    """Serve with the nodes' folders on a small disk."""
    folder = tmp_path_factory.mktemp("bad-data")
    nodes = folder / "data" / "nodes"
    nodes.mkdir(parents=True)
    (folder / "data").chmod(0o700)
    options = f"size={NODES_DISK},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", nodes], check=True)
    try:
        with Server(folder / "data", settings(folder)) as server:
            yield Shed(server, folder)
    finally:
        subprocess.run(["umount", "-l", nodes], check=True)


def asked(prefix: str, kind: str = "S3Prefix", **more: Any) -> dict[str, Any]:
    found = channel("train", prefix)
    found["DataSource"]["S3DataSource"]["S3DataType"] = kind
    return {**found, **more}


def left(shed: Shed) -> list[Path]:
    """Return the folders of nodes that are still there."""
    return list((shed.server.data / "nodes").iterdir())


@pytest.mark.parametrize(
    ("key", "body", "uri", "kind", "reason"),
    [
        ("slashes/a//b", b"x", "slashes/", "S3Prefix",
         "Failed to download data. S3 key: s3://{b}/slashes/a//b" + SLASHES),
        ("up/../x", b"x", "up/", "S3Prefix",
         "S3 key: s3://{b}/up/../x would lie outside the folder of its channel as '../x'"),
        ("marked/", b"", "marked/", "S3Prefix", "S3 key: s3://{b}/marked/ matched no files on s3"),
        ("full/x/", b"content", "full/", "S3Prefix",
         "S3 key: s3://{b}/full/x/ has content, but the name of a folder"),
        ("m/empty", b"", "m/empty", "ManifestFile",
         "the manifest s3://{b}/m/empty is not valid JSON: parse error: premature EOF"),
        ("m/none", b"[]", "m/none", "ManifestFile", "the manifest s3://{b}/m/none is empty"),
        ("m/alone", b'[{"prefix": "s3://{b}/p/"}]', "m/alone", "ManifestFile",
         "the manifest s3://{b}/m/alone has a prefix, but names no object"),
        ("m/gone", b'[{"prefix": "s3://{b}/p/"}, "gone"]', "m/gone", "ManifestFile",
         "the manifest s3://{b}/m/gone names s3://{b}/p/gone, which does not exist"),
        ("m/out", b'[{"prefix": "s3://{b}/p/"}, "../x"]', "m/out", "ManifestFile",
         "S3 key: s3://{b}/p/../x would lie outside the folder of its channel as '../x'" + NAMED),
        ("m/far", b'[{"prefix": "s3://no-such-bucket/"}, "x"]', "m/far", "ManifestFile",
         "the manifest s3://{b}/m/far names s3://no-such-bucket/x, which does not exist"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_brought_fails_the_job_with_the_reason(
    shed: Shed, key: str, body: bytes, uri: str, kind: str, reason: str
) -> None:
    shed.s3.put_object(Bucket=BUCKET, Key=key, Body=body.replace(b"{b}", BUCKET.encode()))
    name = shed.create("print('never')", InputDataConfig=[asked(uri, kind)])
    assert shed.failed(name) == DOWNLOAD + reason.replace("{b}", BUCKET)
    until(lambda: left(shed) == [], lambda: str(left(shed)))


def test_a_prefix_where_nothing_is_is_refused_at_once(shed: Shed) -> None:
    uri = f"s3://{BUCKET}/nothing/here"
    with pytest.raises(ClientError) as refused:
        shed.create("print('never')", InputDataConfig=[asked("nothing/here")])
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert refused.value.response["Error"]["Message"] == (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that '
        "the bucket exists in the selected region (us-east-1), that objects exist under that S3 "
        f'prefix, and that the role "{ROLE}" has "s3:ListBucket" permissions on bucket "{BUCKET}".'
    )


def test_an_augmented_manifest_outside_pipe_mode_is_refused_at_once(shed: Shed) -> None:
    shed.put({"some/data": "x"})
    with pytest.raises(ClientError, match="AugmentedManifestFile needs InputMode Pipe, not File"):
        shed.create("1", InputDataConfig=[asked("some/", kind="AugmentedManifestFile")])


def test_a_full_disk_is_told_with_what_was_needed_and_what_was_there(shed: Shed) -> None:
    for number in range(80):
        shed.s3.put_object(Bucket=BUCKET, Key=f"large/{number:02}", Body=bytes(1 << 20))
    name = shed.create("print('never')", InputDataConfig=[asked("large/")])
    reason = shed.failed(name)
    start = f'{DOWNLOAD}No space left on device: the channel "train" takes at least '
    assert reason.startswith(start)
    assert f"but the disk of {shed.server.data}/nodes/" in reason
    assert reason.endswith("or have the server's data directory on a larger disk")
    assert float(reason.removeprefix(start).split()[0]) * 1e6 > 40 << 20
    until(lambda: left(shed) == [], lambda: str(left(shed)))
    # And the next job, which fits, runs.
    shed.put({"m/two": json.dumps([{"prefix": f"s3://{BUCKET}/large/"}, "00", "01"])})
    fits = asked("m/two", "ManifestFile")
    ended = shed.ended(shed.create("print('fits')", InputDataConfig=[fits]))
    assert ended["TrainingJobStatus"] == "Completed"


def test_nothing_is_left_of_the_nodes(shed: Shed) -> None:
    until(lambda: left(shed) == [] and not shed.server.agents(), lambda: str(left(shed)))

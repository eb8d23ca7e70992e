"""Results on their way to a bucket: keys, encryption, a store that is full, gone, or refuses."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.conftest import settings
from tests.journeys.shed import BUCKET, Shed, until

from trainshed.testing.server import Server

MAKES = """
import os
for name in {names!r}:
    path = os.path.join(b"/opt/ml/model", os.fsencode(name))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", errors="surrogateescape") as file:
        file.write(name)
with open("/opt/ml/output/data/report", "w") as file:
    file.write("r")
"""
NAMES = ("deep/er", "größe 日本", "a+b c%20d", "q?x=1&y#z", "~*'()!$,;:@=[]{}|^`\\<>\"", ".hidden")
WRITES = """
import os
with open("/opt/ml/model/w", "wb") as file:
    file.write(os.urandom({size}))
"""


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    folder = tmp_path_factory.mktemp("outputs")
    (folder / "shared").mkdir()
    with Server(folder / "data", f'{settings(folder)}\n[objects]\nlimit = "200m"\n') as server:
        yield Shed(server, folder)


def to(folder: str, **more: Any) -> dict[str, Any]:
    return {"OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/{folder}", **more}}


def uploading(told: dict[str, Any]) -> str:
    return "".join(
        each["StatusMessage"]
        for each in told["SecondaryStatusTransitions"]
        if each["Status"] == "Uploading"
    )


def test_files_as_they_are_keep_their_names_whatever_they_are(shed: Shed) -> None:
    script = MAKES.format(names=NAMES)
    name = shed.create(script, **to("plain", CompressionType="NONE"))
    told = shed.ended(name)
    base = f"plain/{name}/output"
    assert told["TrainingJobStatus"] == "Completed", told
    assert told["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/{base}/model/"
    assert sorted(shed.keys(base)) == sorted(
        [f"{base}/data/report", *(f"{base}/model/{each}" for each in NAMES)]
    )
    for each in NAMES:
        body = shed.s3.get_object(Bucket=BUCKET, Key=f"{base}/model/{each}")["Body"].read()
        assert body.decode() == each


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ("new\nline", "one has control characters"),
        ("not \udcff utf-8", "one is not UTF-8"),
        ("ö/" * 300 + "x" * 250, "where 1024 are allowed"),
    ],
)
def test_a_name_that_no_object_can_have_is_refused_and_all_is_kept(
    shed: Shed, odd: str, why: str
) -> None:
    name = shed.create(MAKES.format(names=[odd, "good"]), **to("odd", CompressionType="NONE"))
    reason = shed.failed(name)
    assert reason.startswith("ClientError: Artifact upload failed:with CompressionType NONE")
    assert why in reason
    kept = Path(reason.rpartition(" in ")[2])
    assert (kept / "model/good").exists()
    assert shed.keys(f"odd/{name}/") == []


@pytest.mark.parametrize("compression", ["GZIP", "NONE"])
def test_the_key_that_encrypts_goes_along_with_every_object(shed: Shed, compression: str) -> None:
    key = f"arn:aws:kms:us-east-1:123456789012:key/{uuid.uuid4()}"
    name = shed.create(
        MAKES.format(names=["w"]), **to("kms", CompressionType=compression, KmsKeyId=key)
    )
    told = shed.ended(name)
    assert told["TrainingJobStatus"] == "Completed", told
    assert told["OutputDataConfig"]["KmsKeyId"] == key
    objects = shed.keys(f"kms/{name}/")
    assert len(objects) == 2
    for each in objects:
        head = shed.s3.head_object(Bucket=BUCKET, Key=each)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_without_a_key_none_is_told(shed: Shed) -> None:
    name = shed.create(MAKES.format(names=["w"]))
    assert shed.ended(name)["OutputDataConfig"]["KmsKeyId"] == ""
    for each in shed.keys(f"output/{name}/"):
        assert "SSEKMSKeyId" not in shed.s3.head_object(Bucket=BUCKET, Key=each)


def test_a_full_store_is_waited_for_and_the_status_says_so(shed: Shed) -> None:
    filler = {"Bucket": BUCKET, "Key": "filler"}
    shed.s3.put_object(**filler, Body=b"\0" * (190 << 20))
    name = shed.create(WRITES.format(size=30 << 20))
    until(lambda: "The results wait" in uploading(shed.describe(name)))
    assert "full, and waited for until somebody makes room" in uploading(shed.describe(name))
    assert shed.describe(name)["TrainingJobStatus"] == "InProgress"
    shed.s3.delete_object(**filler)
    told = shed.ended(name)
    assert told["TrainingJobStatus"] == "Completed"
    assert uploading(told) == "Uploading generated training model"
    assert len(shed.archive(name)["w"]) == 30 << 20
    said = [line for line in shed.lines(name) if "the results wait on this node" in line]
    assert len(said) == 1


def test_the_results_of_a_job_whose_bucket_is_gone_are_kept(shed: Shed) -> None:
    shed.s3.create_bucket(Bucket="going")
    script = "import os, time\nwhile not os.path.exists({!r}): time.sleep(0.02)\n{}"
    mark = shed.folder / "gone"
    output = {"S3OutputPath": "s3://going/out"}
    name = shed.create(script.format(str(mark), WRITES.format(size=9)), OutputDataConfig=output)
    until(lambda: shed.describe(name)["SecondaryStatus"] == "Training")
    shed.s3.delete_bucket(Bucket="going")
    mark.touch()
    reason = shed.failed(name)
    assert reason.startswith("ClientError: Artifact upload failed:")
    kept = Path(reason.rpartition(" in ")[2])
    assert kept.is_relative_to(shed.folder / "data/unsent" / name)
    assert len((kept / "model/w").read_bytes()) == 9
    until(lambda: not shed.server.remains())
    assert len((kept / "model/w").read_bytes()) == 9


def test_files_of_one_name_are_told_in_the_status(shed: Shed) -> None:
    script = "import socket\nopen('/opt/ml/model/same', 'w').write(socket.gethostname())"
    name = shed.create(script, nodes=2)
    assert uploading(shed.ended(name)).endswith("of these was kept: same (algo-2's)")
    assert shed.archive(name) == {"same": b"algo-2"}


def test_a_server_that_is_killed_while_results_arrive_has_them_once(shed: Shed) -> None:
    name = shed.create(WRITES.format(size=60 << 20))
    until(lambda: shed.describe(name)["SecondaryStatus"] == "Uploading")
    shed.server.kill()
    shed.server.start()
    shed.connect()
    assert shed.ended(name)["TrainingJobStatus"] == "Completed"
    assert len(shed.archive(name)["w"]) == 60 << 20
    assert shed.keys(f"output/{name}/") == [f"output/{name}/output/model.tar.gz"]
    assert "Uploads" not in shed.s3.list_multipart_uploads(Bucket=BUCKET)

"""A running server, and a bucket to work in, for clients that know nothing of us."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from tests.clients.running import ROOT

from trainshed.testing.server import Server

BUCKET = "client-bucket"
TRAIN = """#!/bin/sh
set -e
for name in training evaluation checkpoint config; do
  test "$(cat /opt/ml/input/data/$name/$name.zip)" = "$name"
done
test "$FOO$BAR" = barfoo
cp /opt/ml/input/config/hyperparameters.json /opt/ml/model/
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The exported environment of a server that runs as long as the module's tests.

    The image ``own-model`` stands for one that brings its own program ``train``.
    """
    image = tmp_path_factory.mktemp("own-model")
    train = image / "bin" / "train"
    train.parent.mkdir()
    train.write_text(TRAIN)
    train.chmod(0o755)
    settings = f'[backends.local.images]\n"*/own-model" = "{image}"\n"*" = "python"\n'
    with Server(tmp_path_factory.mktemp("data"), settings) as server:
        yield server.exported()


@pytest.fixture(scope="module")
def bucket(environment: dict[str, str]) -> str:
    s3 = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )
    s3.create_bucket(Bucket=BUCKET)
    for name in ("training", "evaluation", "checkpoint", "config"):
        s3.put_object(Bucket=BUCKET, Key=f"converts/{name}/{name}.zip", Body=name.encode())
    return BUCKET


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a user has it: ``code/train.py`` and ``data/points.csv`` (y = 3 x)."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "code").mkdir()
    (folder / "data").mkdir()
    source = ROOT / "tests" / "clients" / "programs" / "train.py"
    (folder / "code" / "train.py").write_text(source.read_text())
    (folder / "data" / "points.csv").write_text("".join(f"{x},{3 * x}\n" for x in (1, 2, 3)))
    return folder

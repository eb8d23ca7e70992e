"""A running server, and a bucket to work in, for clients that know nothing of us."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from tests.clients.running import ROOT

TRAINSHED = Path(sys.executable).with_name("trainshed")
BUCKET = "client-bucket"


def exported(data: Path) -> dict[str, str]:
    """Return the environment after ``eval "$(trainshed aws-env)"``, as a shell makes it."""
    script = f'eval "$({TRAINSHED} aws-env --data-dir {shlex.quote(str(data))})" && env -0'
    told = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True)
    pairs = (line.split("=", 1) for line in told.stdout.decode().split("\0") if line)
    return dict(pairs)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The exported environment of a server that runs as long as the module's tests."""
    data = tmp_path_factory.mktemp("data")
    server = subprocess.Popen(
        [TRAINSHED, "up", "--port", "0", "--data-dir", data], stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    assert server.stdout.readline(), "the server did not start"
    try:
        yield exported(data)
    finally:
        server.terminate()
        server.wait(30)
        server.stdout.close()


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

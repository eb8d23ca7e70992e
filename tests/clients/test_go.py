"""The AWS SDK for Go, as Debian packages it."""

import os
import subprocess
from pathlib import Path

import pytest
from tests.clients.running import ROOT, run

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled client."""
    built = tmp_path_factory.mktemp("go") / "training"
    source = ROOT / "tests" / "clients" / "programs" / "training.go"
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOPATH": "/usr/share/gocode",
        "GOCACHE": str(built.parent / "cache"),
        "GOFLAGS": "-p=2",
    }
    subprocess.run(["go", "build", "-o", built, source], env=environment, check=True)
    return built


def test_a_go_program_trains_an_image_with_a_program_of_its_own(
    environment: dict[str, str], bucket: str, program: Path
) -> None:
    said = run([program, bucket], environment)
    assert "status=Completed" in said, said
    assert f"model=s3://{bucket}/outputs/training-" in said

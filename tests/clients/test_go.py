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


def test_a_go_program_with_four_channels_completes(
    environment: dict[str, str], bucket: str, program: Path, tmp_path: Path
) -> None:
    script = tmp_path / "entrypoint.sh"
    script.write_text(
        "set -e\n"
        "for name in training evaluation checkpoint config; do\n"
        '  test "$(cat /opt/ml/input/data/$name/$name.zip)" = "$name"\n'
        "done\n"
        'test "$FOO" = bar\n'
        "cp /opt/ml/input/config/hyperparameters.json /opt/ml/model/\n"
    )
    said = run([program, bucket, script], environment)
    assert "status=Completed" in said, said
    assert f"model=s3://{bucket}/outputs/training-" in said

"""SageMaker Python SDK v2, unchanged, with nothing but the exported environment."""

from pathlib import Path

import pytest
from tests.clients.running import ROOT, run

pytestmark = pytest.mark.clients


def test_estimator_fit_streams_logs_and_ends_with_a_model(
    environment: dict[str, str], bucket: str, project: Path
) -> None:
    program = ROOT / "tests" / "clients" / "programs" / "sdk2_fit.py"
    said = run([ROOT / ".venv-sdk2" / "bin" / "python", program, bucket, project], environment)
    assert "epoch=29 loss=0.000000" in said
    assert "Training job completed" in said or "Completed" in said
    assert f"model_data=s3://{bucket}/models/" in said
    assert "attached=True" in said


def test_an_estimator_that_keeps_its_nodes_warm_gets_them_again(
    environment: dict[str, str], bucket: str, tmp_path: Path
) -> None:
    program = ROOT / "tests" / "clients" / "programs" / "sdk2_warm.py"
    said = run([ROOT / ".venv-sdk2" / "bin" / "python", program, bucket, tmp_path], environment)
    assert "reused = True" in said
    assert "terminated = True" in said

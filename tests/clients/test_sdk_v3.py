"""SageMaker Python SDK v3, unchanged, with nothing but the exported environment."""

from pathlib import Path

import pytest
from tests.clients.running import ROOT, run

pytestmark = pytest.mark.clients


def test_model_trainer_runs_its_own_driver_script(
    environment: dict[str, str], bucket: str, project: Path
) -> None:
    program = ROOT / "tests" / "clients" / "programs" / "sdk3_train.py"
    said = run([ROOT / ".venv-sdk3" / "bin" / "python", program, bucket, project], environment)
    assert "epoch=29 loss=0.000000" in said
    assert "status=Completed" in said
    assert f"model_data=s3://{bucket}/models3/" in said

"""Script mode, end to end: the code archive, the toolkit, the user's script."""

import io
import json
import os
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agent.conftest import Agent

MakeAgent = Callable[..., Agent]
SCRIPT = """
import os, sys
print(sys.argv[1:], os.getcwd(), os.environ["SM_MODEL_DIR"], sys.executable)
open(os.path.join(os.environ["SM_MODEL_DIR"], "w"), "w").write("1")
"""


@pytest.fixture
def code(tmp_path: Path) -> dict[str, str]:
    """Return the hyperparameters of a job whose script is an archive, as the SDK does."""
    path = tmp_path / "source/sourcedir.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("train.py")
        member.size = len(SCRIPT)
        tar.addfile(member, io.BytesIO(SCRIPT.encode()))
    return {
        "sagemaker_program": json.dumps("train.py"),
        "sagemaker_submit_directory": json.dumps(f"file://{path}"),
        "lr": "0.1",
    }


def test_a_script_runs_with_its_arguments(
    agent: MakeAgent, code: dict[str, str], tmp_path: Path
) -> None:
    node = agent(entrypoint=None, script_mode=True, hyperparameters=code)
    node.start().wait()
    assert node.ended() == ("completed", "")
    python = node.plan.environment_path + "/bin/python"
    assert f"['--lr', '0.1'] /opt/ml/code /opt/ml/model {python}" in node.lines()
    assert (tmp_path / "out/job-1/output/model.tar.gz").exists()


def test_a_script_runs_where_there_are_no_namespaces(
    agent: MakeAgent, code: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/bwrap").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin/bwrap").chmod(0o755)
    node = agent(entrypoint=None, script_mode=True, hyperparameters=code)
    node.start(PATH=f"{tmp_path}/bin:{os.environ['PATH']}").wait()
    assert node.ended() == ("completed", "")
    ml = node.folder / "ml"
    assert any(f"{ml}/code {ml}/model {sys.prefix}" in line for line in node.lines())


def test_code_that_cannot_be_fetched_fails_the_job(
    agent: MakeAgent, code: dict[str, str], tmp_path: Path
) -> None:
    code["sagemaker_submit_directory"] = f"file://{tmp_path}/none.tar.gz"
    node = agent(entrypoint=None, script_mode=True, hyperparameters=code)
    node.start().wait()
    assert node.ended()[0] == "failed"
    assert "none.tar.gz does not exist" in node.ended()[1]


def test_a_script_without_an_environment_is_refused(agent: MakeAgent, code: dict[str, str]) -> None:
    node = agent(entrypoint=None, script_mode=True, hyperparameters=code, environment_path="")
    node.start().wait()
    assert node.ended()[0] == "failed"
    assert node.ended()[1].startswith('ClientError: the image "img" is mapped to no Python')

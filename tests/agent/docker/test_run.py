"""A container's run on an engine, from the outside: facts, lines, outcome, what is left."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agent.docker.conftest import DockerAgent

from trainshed.domain.facts import Kind

pytestmark = pytest.mark.docker
MakeAgent = Callable[..., DockerAgent]
MakeImage = Callable[[str], str]


def test_a_script_that_succeeds_completes_and_its_model_is_delivered(
    agent: MakeAgent, tmp_path: Path
) -> None:
    node = agent("echo hello; echo 42 >/opt/ml/model/w; echo 1 >/opt/ml/output/data/d")
    node.start().wait()
    assert node.kinds() == ["started", "image", "training", "exited", "uploading", "ended"]
    assert node.ended() == ("completed", "")
    assert node.lines()[-1] == "hello"
    with tarfile.open(tmp_path / "out/job-1/output/model.tar.gz") as tar:
        assert tar.getnames() == ["w"]
    with tarfile.open(tmp_path / "out/job-1/output/output.tar.gz") as tar:
        assert tar.getnames() == ["d"]
    image = node.fact(Kind.IMAGE)
    assert image is not None
    assert image.detail["id"].startswith("sha256:")


def test_a_failure_has_its_exit_code_and_its_last_words(agent: MakeAgent) -> None:
    node = agent("echo out; echo no data >&2; exit 3").start()
    node.wait()
    assert node.ended() == ("failed", "AlgorithmError: no data, exit code: 3")

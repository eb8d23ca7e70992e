"""A container on a node that is taken away: it outlives agents, and saves before it goes."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agent.docker.conftest import DockerAgent

from trainshed.domain.facts import Kind
from trainshed.domain.notice import Notice

pytestmark = pytest.mark.docker
MakeAgent = Callable[..., DockerAgent]
SAVING = (
    "trap 'echo saving; sleep 1; echo 7 >/opt/ml/checkpoints/7; exit 1' TERM; echo up; "
    "while :; do sleep 0.05; done"
)


def _give(node: DockerAgent) -> None:
    notice = Notice(at=time.time(), deadline=time.time() + 3600.0, reason="a drill")
    (node.folder / "notice").write_bytes(notice.to_bytes())


def _saving(agent: MakeAgent, tmp_path: Path) -> DockerAgent:
    kept = {"CheckpointConfig": {"S3Uri": f"file://{tmp_path}/kept"}}
    node = agent(SAVING, grace=60.0, request=kept).start()
    node.wait_for_line("up")
    return node


def _saved(node: DockerAgent, tmp_path: Path) -> None:
    node.wait()
    assert node.ended() == ("interrupted", "a drill")
    assert (tmp_path / "kept/7").read_text() == "7\n"
    assert not (tmp_path / "out").exists()
    assert node.lines().count("up") == 1


def test_an_agent_that_dies_while_the_program_saves_is_followed_by_one_that_waits_for_it(
    agent: MakeAgent, tmp_path: Path
) -> None:
    node = _saving(agent, tmp_path)
    _give(node)
    node.signal(signal.SIGTERM)
    node.wait_for_line("saving")
    node.kill()
    node.start()
    _saved(node, tmp_path)


def test_a_notice_that_comes_while_no_agent_lives_is_heeded_by_the_next(
    agent: MakeAgent, tmp_path: Path
) -> None:
    node = _saving(agent, tmp_path)
    node.kill()
    _give(node)
    node.start()
    _saved(node, tmp_path)
    assert node.kinds().count("notice") == 1
    stopping = node.fact(Kind.STOPPING)
    assert stopping is not None
    assert stopping.detail == {"reason": "notice"}

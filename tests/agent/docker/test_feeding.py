"""Pipes into a container that goes on while its agent is killed."""

import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agent.docker.conftest import DockerAgent
from tests.agent.feeding.conftest import feeder, working_for
from tests.agent.test_inputs import channel

pytestmark = pytest.mark.docker
MakeAgent = Callable[..., DockerAgent]
SLOWLY = """
cd /opt/ml/input/data
( head -c 1000000; echo some >&2; sleep 1
  head -c 20000000; echo more >&2; sleep 1
  cat ) <train_0 | sha256sum
until [ -p train_1 ]; do sleep 0.01; done
sha256sum <train_1
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for n in range(3):
        (tmp_path / f"data/{n}").write_bytes(os.urandom(20 << 20))
    return tmp_path / "data"


def piped(data: Path) -> dict[str, object]:
    return channel(f"file://{data}", InputMode="Pipe")


def test_a_stream_goes_on_while_its_agent_is_killed(agent: MakeAgent, data: Path) -> None:
    node = agent(SLOWLY, channels=[piped(data)]).start()
    for line in ("some", "more"):
        node.wait_for_line(line)
        node.kill()
        node.start()
    node.wait()
    assert node.ended() == ("completed", "")
    content = b"".join((data / str(n)).read_bytes() for n in range(3))
    whole = hashlib.sha256(content).hexdigest()
    assert node.lines().count(f"{whole}  -") == 2
    assert working_for(node) == []
    assert node.left() == ""


@pytest.mark.parametrize("first", ["agent", "feeding"])
def test_a_container_whose_stream_broke_while_nobody_watched_is_ended(
    agent: MakeAgent, data: Path, first: str
) -> None:
    node = agent(f"{SLOWLY}\nsleep 600", channels=[piped(data)]).start()
    node.wait_for_line("some")
    pid = feeder(node)
    if first == "agent":
        node.kill()
        os.kill(pid, signal.SIGKILL)
    else:
        node.signal(signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        node.kill()
    node.start().wait()
    outcome, reason = node.ended()
    assert outcome == "lost"
    assert reason.startswith("InternalServerError: the process that feeds the channels of algo-1")
    assert working_for(node) == []
    assert node.left() == ""


def test_a_container_whose_stream_breaks_is_ended(agent: MakeAgent, data: Path) -> None:
    node = agent(SLOWLY, channels=[piped(data)]).start()
    node.wait_for_line("some")
    os.kill(feeder(node), signal.SIGKILL)
    node.wait()
    outcome, reason = node.ended()
    assert outcome == "lost"
    assert reason.startswith("InternalServerError: the process that feeds the channels of algo-1")
    assert node.left() == ""

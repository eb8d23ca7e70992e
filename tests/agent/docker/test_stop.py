"""A container that is asked to stop, or runs too long."""

import signal
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agent.docker.conftest import DockerAgent

from trainshed.domain.facts import Kind

pytestmark = pytest.mark.docker
MakeAgent = Callable[..., DockerAgent]
MakeImage = Callable[[str], str]
SAVING = (
    "trap 'echo saving; echo 7 >/opt/ml/model/w; exit 0' {}; echo up; while :; do sleep 0.01; done"
)
DEAF = "trap '' TERM; echo 7 >/opt/ml/model/w; echo up; while :; do sleep 0.1; done"


def _exit_code(node: DockerAgent) -> int:
    exited = node.fact(Kind.EXITED)
    assert exited is not None
    assert exited.detail["oom"] is False
    return int(exited.detail["exit_code"])


def test_a_script_may_save_its_model_when_it_is_stopped(agent: MakeAgent, tmp_path: Path) -> None:
    node = agent(SAVING.format("TERM"), grace=60.0).start()
    node.wait_for_line("up")
    node.signal(signal.SIGTERM)
    node.wait()
    assert node.ended() == ("stopped", "")
    assert node.lines()[-1] == "saving"
    assert _exit_code(node) == 0
    with tarfile.open(tmp_path / "out/job-1/output/model.tar.gz") as tar:
        assert tar.getnames() == ["w"]


def test_an_image_names_the_signal_that_stops_it(agent: MakeAgent, image: MakeImage) -> None:
    node = agent(SAVING.format("USR1"), grace=60.0, image=image("STOPSIGNAL SIGUSR1")).start()
    node.wait_for_line("up")
    node.signal(signal.SIGTERM)
    node.wait()
    assert node.ended() == ("stopped", "")
    assert node.lines()[-1] == "saving"


def test_a_script_that_ignores_the_signal_is_killed_after_the_grace(
    agent: MakeAgent, tmp_path: Path
) -> None:
    node = agent(DEAF, grace=0.3).start()
    node.wait_for_line("up")
    node.signal(signal.SIGTERM)
    node.wait()
    assert node.ended() == ("stopped", "")
    assert _exit_code(node) == 137
    assert (tmp_path / "out/job-1/output/model.tar.gz").exists()


def test_a_second_wish_ends_the_grace(agent: MakeAgent) -> None:
    node = agent(DEAF, grace=3600.0).start()
    node.wait_for_line("up")
    node.signal(signal.SIGTERM)
    node.reports.wait_for(lambda: node.fact(Kind.STOPPING))
    node.signal(signal.SIGTERM)
    node.wait()
    assert node.ended() == ("stopped", "")


def test_max_runtime_stops_the_script_as_a_user_would(agent: MakeAgent) -> None:
    node = agent(SAVING.format("TERM"), grace=60.0, max_runtime=3.0).start()
    node.wait()
    stopping = node.fact(Kind.STOPPING)
    assert stopping is not None
    assert stopping.detail == {"reason": "max_runtime"}
    assert node.ended() == ("stopped", "")


def test_a_wish_that_came_before_the_agent_starts_nothing(agent: MakeAgent) -> None:
    node = agent("echo never")
    node.folder.mkdir(parents=True)
    (node.folder / "stop").write_text("1")
    node.start().wait()
    assert node.ended() == ("stopped", "")
    assert node.fact(Kind.TRAINING) is None

"""Containers that read a view, and whose agent, feeding process or file system goes away."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.agent.docker.conftest import DockerAgent, docker
from tests.agent.feeding.conftest import feeder
from tests.agent.feeding.test_fastfile import fast
from tests.agent.feeding.test_fastfile_crash import removed
from tests.agent.test_file_systems import ID, file_system

from trainshed.agent.feeding import mounting
from trainshed.drivers.local.left_over import end_left_over

pytestmark = pytest.mark.docker
MakeAgent = Callable[..., DockerAgent]
READING = (
    "cd /opt/ml/input/data/train; i=0; while [ ! -e /opt/ml/model/stop ]; do i=$((i+1)); "
    "cat a >/dev/null || exit 9; echo read $i; sleep 0.05; done; cat a"
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a").write_text("content\n")
    return tmp_path / "data"


@pytest.fixture
def reading(agent: MakeAgent, data: Path) -> Iterator[DockerAgent]:
    """A container that reads its view until it finds model/stop."""
    node = agent(READING, channels=(fast(data),)).start()
    node.wait_for_line("read 2")
    yield node
    end_left_over(node.folder)
    mounting.unmount_below(node.folder)


def test_a_container_reads_on_while_its_agent_is_killed_and_started_again(
    reading: DockerAgent,
) -> None:
    reading.kill()
    begun = len(reading.lines())
    reading.start().wait_for_line(f"read {begun + 5}")
    (reading.folder / "ml/model/stop").touch()
    reading.wait()
    assert reading.ended() == ("completed", "")
    assert reading.lines()[-1] == "content"
    assert mounting.mounted_below(str(reading.folder)) == []


def test_a_container_whose_view_dies_is_killed_and_its_job_told_why(reading: DockerAgent) -> None:
    os.kill(feeder(reading), signal.SIGKILL)
    reading.wait()
    outcome, reason = reading.ended()
    assert outcome == "lost"
    assert reason.startswith("InternalServerError: ")
    assert mounting.mounted_below(str(reading.folder)) == []


@pytest.mark.parametrize("first", ["agent", "feeder"])
def test_removing_a_node_takes_its_container_and_its_view(reading: DockerAgent, first: str) -> None:
    feeding = feeder(reading)
    if first == "agent":
        reading.kill()
    os.kill(feeding, signal.SIGKILL)
    if first == "feeder":
        reading.kill()
    removed(reading)
    assert not reading.folder.exists()
    assert mounting.mounted_below(str(reading.folder.parent)) == []
    assert reading.left() == ""


def test_an_nfs_server_that_cannot_be_had_is_the_reason_and_leaves_no_volume(
    agent: MakeAgent,
) -> None:
    node = agent(
        "true", channels=(file_system("/a"),), file_systems={ID: "nfs://127.0.0.1:9/export"}
    )
    node.start().wait()
    outcome, reason = node.ended()
    assert outcome == "lost"
    assert reason.startswith("InternalServerError: ")
    assert ":/export/a" in reason
    label = f"label=trainshed.node={node.plan.node_id}"
    assert docker("volume", "ls", "-q", "--filter", label) == ""

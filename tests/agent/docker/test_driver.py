"""What a dead agent left in an engine goes with its node."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agent.docker.conftest import DockerAgent, docker

from trainshed.app.clock import now
from trainshed.domain.errors import DriverError
from trainshed.drivers.base import Capabilities, Handle
from trainshed.drivers.local.driver import LocalDriver

pytestmark = pytest.mark.docker
MakeAgent = Callable[..., DockerAgent]


def _driver(root: Path) -> LocalDriver:
    return LocalDriver(
        name="docker",
        root=root,
        capabilities=Capabilities(max_nodes=4),
        environment={},
        clock=now,
        spare=("--wait", "docker"),
    )


async def test_a_warm_spare_takes_a_docker_plan_and_its_removal_leaves_nothing(
    agent: MakeAgent,
) -> None:
    node = agent("echo up; sleep 600")
    driver = _driver(node.folder.parent)
    driver.get_ready()
    handle = await driver.launch(node.plan)
    node.wait_for_line("up")
    assert (node.folder / "to-clean").exists()
    await driver.remove(handle)
    driver.close()
    assert not node.folder.exists()
    assert node.left() == ""


async def test_a_node_whose_agent_was_killed_is_removed_with_its_container(
    agent: MakeAgent,
) -> None:
    node = agent("echo up; sleep 600").start()
    node.wait_for_line("up")
    node.kill()
    await _driver(node.folder.parent).remove(Handle("docker", str(node.folder)))
    assert not node.folder.exists()
    assert node.left() == ""


async def test_a_node_is_not_forgotten_while_its_engine_is_away(
    agent: MakeAgent, tmp_path: Path
) -> None:
    node = agent("echo up; sleep 600").start()
    node.wait_for_line("up")
    node.kill()
    to_clean = node.folder / "to-clean"
    there = to_clean.read_text()
    to_clean.write_text(there.replace("/var/run/docker.sock", f"{tmp_path}/none.sock"))
    handle = Handle("docker", str(node.folder))
    with pytest.raises(DriverError, match=r"cannot be removed: .*none\.sock does not answer"):
        await _driver(node.folder.parent).remove(handle)
    assert docker("ps", "-q", "--filter", f"name=^{node.container}$")
    to_clean.write_text(there)
    await _driver(node.folder.parent).remove(handle)
    assert node.left() == ""

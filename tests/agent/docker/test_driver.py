"""What a dead agent left in an engine goes with its node."""

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent.docker.conftest import BASE, DockerAgent, docker

from trainshed.app.clock import now
from trainshed.domain.errors import DriverError
from trainshed.domain.plan import NodePlan
from trainshed.drivers.base import Capabilities, Handle, NodeState
from trainshed.drivers.local.driver import LocalDriver
from trainshed.testing.driver_suite import DEAF, DriverSuite, Place, become, said
from trainshed.testing.plans import node_plan
from trainshed.testing.reports import Reports

pytestmark = pytest.mark.docker
MakeAgent = Callable[..., DockerAgent]


def _driver(root: Path) -> LocalDriver:
    return LocalDriver(
        name="docker",
        root=root,
        capabilities=Capabilities(max_nodes=4, runtime="docker"),
        environment={},
        clock=now,
    )


@pytest.fixture
def place(tmp_path: Path, reports: Reports) -> Iterator[Place]:
    made: list[LocalDriver] = []
    job = uuid.uuid4().hex[:12]

    def driver() -> LocalDriver:
        made.append(_driver(tmp_path / "nodes"))
        return made[-1]

    def plan(node_id: str = "job-1.1.algo-1", **changes: Any) -> NodePlan:
        return node_plan(
            tmp_path,
            server_url=reports.url,
            token=reports.token,
            **{
                "node_id": f"{job}-{node_id}",
                "image": BASE,
                "environment_path": "",
                "runtime": "docker",
                "cache": str(tmp_path / "cache"),
                **changes,
            },
        )

    yield Place(driver=driver(), restarted=driver, reports=reports, plan=plan)
    for each in made:
        each.close()
    assert not docker("ps", "-aq", "--filter", f"name=trainshed-{job}")


class TestContainers(DriverSuite):
    """The promise, kept where containers outlive their agents."""

    @pytest.fixture
    def place(self, place: Place) -> Place:
        return place


async def test_a_container_whose_agent_died_is_taken_at_its_nodes_deadline(place: Place) -> None:
    plan = place.plan(entrypoint=DEAF, grace=3600.0)
    handle = await place.driver.launch(plan)
    await said(place, plan, "running")
    os.kill(int((Path(handle.state) / "agent.lock").read_text().split()[0]), signal.SIGKILL)
    await become(place.driver, handle, NodeState.VANISHED)
    assert docker("ps", "-q", "--filter", f"name=trainshed-{plan.node_id}")
    await place.driver.interrupt(handle, notice=0.5, reason="a drill")
    await become(place.driver, handle, NodeState.TAKEN)
    assert not docker("ps", "-aq", "--filter", f"name=trainshed-{plan.node_id}")
    await place.driver.remove(handle)


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

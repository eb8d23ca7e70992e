"""Two server processes that share the nodes of a machine, one of which stands still at times."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainshed.app.clock import now
from trainshed.domain.plan import NodePlan
from trainshed.drivers.base import Capabilities, Handle, NodeState
from trainshed.drivers.local.driver import LocalDriver
from trainshed.testing.driver_suite import RUNS_LONG, seen
from trainshed.testing.plans import node_plan
from trainshed.testing.reports import Reports

OTHER = """
import asyncio, os, sys
from pathlib import Path
from trainshed.app.clock import now
from trainshed.domain.errors import NodeTaken
from trainshed.domain.plan import NodePlan
from trainshed.drivers.base import Capabilities
from trainshed.drivers.local.driver import LocalDriver

async def main():
    driver = LocalDriver(name="local", root=Path(sys.argv[1]), clock=now, environment=os.environ,
                         capabilities=Capabilities(max_nodes=1))
    plan = NodePlan.from_json(Path(sys.argv[2]).read_text())
    handle = await driver.launch(plan)
    print("launched", flush=True)
    sys.stdin.readline()
    print((await driver.observe([handle]))[handle].state.value, flush=True)
    try:
        await driver.launch(plan)
    except NodeTaken:
        print("refused", flush=True)
    driver.close()

asyncio.run(main())
"""


def on(folder: Path) -> LocalDriver:
    return LocalDriver(
        name="local",
        root=folder / "nodes",
        capabilities=Capabilities(max_nodes=1),
        environment=os.environ,
        clock=now,
    )


@pytest.fixture
def reports() -> Iterator[Reports]:
    server = Reports()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def other(tmp_path: Path, reports: Reports) -> Iterator["subprocess.Popen[str]"]:
    """A server of its own that launches a node, and launches it again once it is told to."""
    plan: NodePlan = node_plan(
        tmp_path, server_url=reports.url, token=reports.token, entrypoint=RUNS_LONG
    )
    (tmp_path / "plan.json").write_text(plan.to_json())
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path / "nodes"), str(tmp_path / "plan.json")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "launched\n"
    reports.wait_for(lambda: "running" in reports.lines(plan.node_id))
    yield process
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.communicate()


async def test_a_server_that_stood_still_does_not_bring_back_what_another_removed(
    other: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    driver = on(tmp_path)
    handle = Handle("local", str(tmp_path / "nodes/job-1.1.algo-1"))
    assert await seen(driver, handle) is NodeState.LIVES
    other.send_signal(signal.SIGSTOP)
    await driver.remove(handle)
    assert not Path(handle.state).exists()
    other.send_signal(signal.SIGCONT)
    told, _ = await asyncio.to_thread(other.communicate, "go on\n", 30)
    assert told.split() == ["taken", "refused"]
    assert list((tmp_path / "nodes").iterdir()) == []
    driver.close()


async def test_a_deadline_outlives_the_server_that_gave_the_notice(
    other: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    handle = Handle("local", str(tmp_path / "nodes/job-1.1.algo-1"))
    gives, keeps = on(tmp_path), on(tmp_path)
    await gives.interrupt(handle, notice=0.5, reason="a drill")
    gives.close()
    async with asyncio.timeout(30):
        while await seen(keeps, handle) is not NodeState.TAKEN:
            await keeps.changed()
    await keeps.remove(handle)
    keeps.close()

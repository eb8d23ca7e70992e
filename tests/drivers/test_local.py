"""The local driver, held to the promise of all drivers, and what is its own."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from trainshed.app.clock import now
from trainshed.domain.errors import DriverError, NodeTaken
from trainshed.domain.facts import Kind
from trainshed.domain.names import NODE_VARIABLE
from trainshed.domain.notice import Notice
from trainshed.domain.plan import NodePlan
from trainshed.drivers import registry
from trainshed.drivers.base import Capabilities, Handle, NodeState, Sight
from trainshed.drivers.local.driver import LocalDriver
from trainshed.drivers.local.spare import Child, Spare
from trainshed.testing.driver_suite import (
    DEAF,
    RUNS_LONG,
    DriverSuite,
    Place,
    become,
    gone,
    hinted,
    said,
    seen,
    told,
)
from trainshed.testing.plans import node_plan
from trainshed.testing.reports import Reports


@dataclass
class Local:
    """Drivers on one folder; all their spare agents go in the end."""

    root: Path
    made: list[LocalDriver] = field(default_factory=list)

    def driver(self) -> LocalDriver:
        driver = LocalDriver(
            name="local",
            root=self.root / "nodes",
            capabilities=Capabilities(max_nodes=4),
            environment=os.environ,
            clock=now,
        )
        self.made.append(driver)
        return driver


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    local = Local(tmp_path)
    reports = Reports()
    reports.start()

    def plan(**changes: object) -> NodePlan:
        return node_plan(tmp_path, server_url=reports.url, token=reports.token, **changes)

    yield Place(driver=local.driver(), restarted=local.driver, reports=reports, plan=plan)
    for driver in local.made:
        driver.close()
    reports.stop()


class TestLocalDriver(DriverSuite):
    """The promise, kept."""

    @pytest.fixture
    def place(self, place: Place) -> Place:
        return place


async def test_an_agent_killed_while_its_container_ran_tells_of_the_loss_when_launched_again(
    place: Place,
) -> None:
    plan = place.plan(entrypoint=RUNS_LONG)
    handle = await place.driver.launch(plan)
    await said(place, plan, "running")
    pid = int((Path(handle.state) / "agent.lock").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    await gone(place.driver, handle)
    assert await place.driver.launch(plan) == handle
    await told(place, plan, Kind.ENDED)
    ended = place.reports.fact(plan.node_id, Kind.ENDED)
    assert ended is not None
    assert ended.detail["outcome"] == "lost"
    assert place.reports.lines(plan.node_id).count("running") == 1
    await place.driver.remove(handle)


async def test_removing_leaves_no_folder(place: Place, tmp_path: Path) -> None:
    plan = place.plan(
        entrypoint=("/bin/sh", "-c", "mkdir -p /opt/ml/model/x; chmod 0 /opt/ml/model/x")
    )
    handle = await place.driver.launch(plan)
    await told(place, plan, Kind.ENDED)
    await place.driver.remove(handle)
    assert list((tmp_path / "nodes").iterdir()) == []


async def test_a_warm_spare_takes_the_next_node(place: Place) -> None:
    place.driver.get_ready()
    plan = place.plan()
    handle = await place.driver.launch(plan)
    await told(place, plan, Kind.ENDED)
    await place.driver.remove(handle)


async def test_a_plan_is_for_its_owner_only_because_it_holds_keys(place: Place) -> None:
    handle = await place.driver.launch(place.plan(entrypoint=RUNS_LONG))
    assert (Path(handle.state) / "plan.json").stat().st_mode & 0o777 == 0o600
    await place.driver.remove(handle)


async def test_results_that_no_store_takes_outlive_their_node(place: Place, tmp_path: Path) -> None:
    made = ("/bin/sh", "-c", "echo w >/opt/ml/model/w")
    plan = place.plan(entrypoint=made, output_path="file:///nowhere/out")
    handle = await place.driver.launch(plan)
    await told(place, plan, Kind.ENDED)
    await place.driver.remove(handle)
    assert (tmp_path / "unsent/job-1" / plan.node_id / "model/w").read_text() == "w\n"


async def test_a_node_that_could_not_be_started_leaves_no_folder(tmp_path: Path) -> None:
    root = tmp_path
    while len(str(root)) < 3900:
        root /= "x" * 100
    name = "n" * (4085 - len(str(root)))
    driver = LocalDriver(
        name="local",
        root=root,
        capabilities=Capabilities(max_nodes=1),
        environment=os.environ,
        clock=now,
    )
    plan = replace(node_plan(tmp_path, server_url="http://127.0.0.1:1", token="t"), node_id=name)
    with pytest.raises(DriverError, match="too long"):
        await driver.launch(plan)
    assert list(root.iterdir()) == []


async def test_links_that_a_job_made_lead_nobody_out_of_its_folder(
    place: Place, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    handle = await place.driver.launch(place.plan(entrypoint=RUNS_LONG))
    (Path(handle.state) / "link").symlink_to(outside)
    await place.driver.remove(handle)
    assert outside.stat().st_mode & 0o777 == 0o755


def test_a_spare_that_died_is_replaced_and_leaves_no_zombie(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    os.mkfifo(told)
    spare = Spare(("/bin/sh", "-c", f"echo $$ > {told}"), os.environ)
    spare.prepare()
    died = int(told.read_text())
    os.waitid(os.P_PID, died, os.WEXITED | os.WNOWAIT)
    taken = spare.take(Path("/nowhere"))
    taken.kill()
    taken.reap()
    with pytest.raises(ChildProcessError):
        os.waitpid(died, 0)


def test_a_child_that_somebody_else_reaped_has_ended() -> None:
    child = Child(("/bin/true",), os.environ)
    os.waitpid(child.pid, 0)
    assert child.ended()
    child.dismiss()


async def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path, place: Place) -> None:
    (tmp_path / "nodes").write_text("in the way")
    with pytest.raises(DriverError, match="nodes"):
        await place.driver.launch(place.plan())


def test_the_registry_finds_every_driver_it_names() -> None:
    assert registry.find("local") is LocalDriver
    assert all(callable(registry.find(kind)) for kind in registry.DRIVERS)


def sleeper(folder: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sleep", "600"], env={**os.environ, NODE_VARIABLE: folder})


async def test_a_wish_to_stop_needs_no_room_on_the_disk_and_outlives_a_launch(place: Place) -> None:
    plan = place.plan(entrypoint=RUNS_LONG)
    handle = await place.driver.launch(plan)
    wish = Path(handle.state) / "stop"
    before = wish.stat()
    await place.driver.stop(handle)
    after = wish.stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
    await gone(place.driver, handle)
    await place.driver.launch(plan)
    assert wish.read_text() == "1"
    await place.driver.remove(handle)


async def test_removing_ends_what_outlived_its_agent(place: Place) -> None:
    plan = place.plan()
    handle = await place.driver.launch(plan)
    await told(place, plan, Kind.ENDED)
    left_over = sleeper(handle.state)
    of_another_node = sleeper(handle.state + "0")
    await place.driver.remove(handle)
    assert await asyncio.to_thread(left_over.wait, 30) == -signal.SIGKILL
    assert of_another_node.poll() is None
    of_another_node.kill()
    of_another_node.wait()


async def test_everything_a_node_runs_carries_its_folder(place: Place) -> None:
    plan = place.plan(entrypoint=("/bin/sh", "-c", f"echo ${NODE_VARIABLE}"))
    handle = await place.driver.launch(plan)
    await told(place, plan, Kind.ENDED)
    assert handle.state in place.reports.lines(plan.node_id)
    await place.driver.remove(handle)


async def test_a_killed_agent_is_seen_at_once_by_every_server_that_has_looked(place: Place) -> None:
    plan = place.plan(entrypoint=RUNS_LONG)
    handle = await place.driver.launch(plan)
    await said(place, plan, "running")
    other = place.restarted()
    assert await seen(other, handle) is NodeState.LIVES
    os.kill(int((Path(handle.state) / "agent.lock").read_text().split()[0]), signal.SIGKILL)
    for driver in (place.driver, other):
        await hinted(driver, handle)
        assert await seen(driver, handle) is NodeState.VANISHED
    await other.remove(handle)


async def test_nodes_are_stopped_and_removed_by_a_server_that_did_not_launch_them(
    place: Place,
) -> None:
    plans = [place.plan(node_id=f"job.{n}.algo-1", entrypoint=RUNS_LONG) for n in (1, 2)]
    first, second = [await place.driver.launch(plan) for plan in plans]
    for plan in plans:
        await said(place, plan, "running")
    other = place.restarted()
    await other.stop(first)
    await told(place, plans[0], Kind.ENDED)
    for handle in (first, second):
        await other.remove(handle)
        assert not Path(handle.state).exists()
        assert await seen(place.driver, handle) is NodeState.TAKEN


def at_work(nodes: Path) -> list[str]:
    """Return the journals that some agent holds, deleted ones too."""
    found = []
    for each in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if (held := str(each.readlink())).startswith(f"{nodes}/") and "journal" in held:
                found.append(held)
    return found


async def test_no_launch_outruns_a_removal_in_another_server(place: Place, tmp_path: Path) -> None:
    def launch(plan: NodePlan) -> None:
        with contextlib.suppress(NodeTaken):
            asyncio.run(place.restarted().launch(plan))

    for n in range(8):
        plan = place.plan(node_id=f"raced-{n}.1.algo-1", entrypoint=RUNS_LONG)
        handle = Handle("local", str(tmp_path / "nodes" / plan.node_id))
        launching = [asyncio.create_task(asyncio.to_thread(launch, plan)) for _ in range(2)]
        await asyncio.sleep(0.002 * n)
        await place.driver.remove(handle)
        await asyncio.gather(*launching)
        with pytest.raises(NodeTaken):
            await place.driver.launch(plan)
        assert at_work(tmp_path / "nodes") == []
        await gone(place.driver, handle)
        await place.driver.remove(handle)  # what a launch in the middle of its lines has left
    assert list((tmp_path / "nodes").iterdir()) == []
    assert at_work(tmp_path / "nodes") == []


async def test_an_agent_that_was_started_before_its_node_was_removed_does_not_begin(
    place: Place, tmp_path: Path
) -> None:
    plan = place.plan()
    folder = tmp_path / "nodes" / plan.node_id
    stone = tmp_path / "removed" / plan.node_id
    for mark, lies in ((folder / "taken", "1"), (stone, "")):
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text(replace(plan, removed=str(stone)).to_json())
        mark.parent.mkdir(exist_ok=True)
        mark.write_text(lies)
        command = [sys.executable, "-I", "-m", "trainshed.agent", str(folder)]
        ran = await asyncio.to_thread(subprocess.run, command, check=False)
        assert ran.returncode == 0
        assert not (folder / "journal.jsonl").exists()
        shutil.rmtree(folder)
        ran = await asyncio.to_thread(subprocess.run, command, check=False)
        assert ran.returncode == 0
        assert not folder.exists()


async def test_what_a_launch_that_came_too_late_left_is_removed_again(place: Place) -> None:
    plan = place.plan()
    handle = await place.driver.launch(plan)
    await told(place, plan, Kind.ENDED)
    await place.driver.remove(handle)
    late = Path(handle.state)
    late.mkdir()
    (late / "plan.json").write_text(plan.to_json())
    with pytest.raises(NodeTaken):
        await place.driver.launch(plan)
    await place.driver.remove(handle)
    assert not late.exists()


async def test_a_deadline_is_kept_by_whichever_server_looks_next(place: Place) -> None:
    plan = place.plan(entrypoint=DEAF, grace=3600.0)
    handle = await place.driver.launch(plan)
    await said(place, plan, "running")
    died = place.restarted()
    await died.interrupt(handle, notice=1.0, reason="a drill")
    died.close()
    async with asyncio.timeout(30):
        while await seen(place.driver, handle) is not NodeState.TAKEN:
            await place.driver.changed()
    with pytest.raises(NodeTaken):
        await place.driver.launch(plan)
    await place.driver.remove(handle)


async def test_a_launch_after_the_deadline_starts_nothing(place: Place) -> None:
    plan = place.plan(entrypoint=RUNS_LONG)
    handle = await place.driver.launch(plan)
    await said(place, plan, "running")
    os.kill(int((Path(handle.state) / "agent.lock").read_text().split()[0]), signal.SIGKILL)
    await hinted(place.driver, handle)
    notice = Notice(at=1.0, deadline=2.0, reason="long ago")
    (Path(handle.state) / "notice").write_bytes(notice.to_bytes())
    with pytest.raises(NodeTaken):
        await place.restarted().launch(plan)
    await become(place.driver, handle, NodeState.TAKEN)
    sights = await place.restarted().observe([handle])
    assert sights == {handle: Sight(NodeState.TAKEN, "long ago")}
    await place.driver.remove(handle)


async def test_marks_need_no_room_on_the_disk(place: Place) -> None:
    handle = await place.driver.launch(place.plan(entrypoint=RUNS_LONG))
    folder = Path(handle.state)
    before = {name: (folder / name).stat() for name in ("notice", "taken")}
    await place.driver.interrupt(handle, notice=3600.0, reason="\x00" * 9999)
    await place.driver.interrupt(handle, notice=None, reason="leaves more time, so it says nothing")
    await place.driver.interrupt(handle, notice=0.0, reason="now")
    for name, was in before.items():
        now_is = (folder / name).stat()
        assert (now_is.st_ino, now_is.st_size) == (was.st_ino, was.st_size)
    notice = Notice.parse((folder / "notice").read_bytes())
    assert notice is not None
    assert notice.deadline - notice.at == pytest.approx(3600)
    await place.driver.remove(handle)

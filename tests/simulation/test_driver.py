"""A simulated driver is held to what every driver promises, on virtual time."""

import asyncio
import contextlib
import random
import sqlite3
from pathlib import Path

import pytest
from tests.simulation.scene import KEEPS, Scene, plan, played

from trainshed.domain.errors import DriverError, NoCapacity, NodeTaken
from trainshed.domain.facts import Kind
from trainshed.drivers.base import Handle, NodeState, Sight
from trainshed.testing.simulation.options import Messages
from trainshed.testing.simulation.script import Script

NODE = "job.1.algo-1"


def test_a_launched_node_runs_reports_and_leaves() -> None:
    async def script(scene: Scene) -> None:
        async with scene.listening() as hints:
            handle = await scene.driver.launch(plan(duration=3600, upload=60))
            assert await scene.state() is NodeState.LIVES
            await asyncio.sleep(3700)
            assert hints == [frozenset([handle])]
            assert await scene.state() is NodeState.VANISHED
            await scene.driver.remove(handle)

    assert played(script).end() == (3660, "completed")


def test_a_plan_launched_twice_runs_once() -> None:
    async def script(scene: Scene) -> None:
        async with scene.listening():
            first = await scene.driver.launch(plan(duration=10))
            await asyncio.sleep(5)
            assert await scene.driver.launch(plan(duration=10)) == first
            await asyncio.sleep(10)
            assert await scene.driver.launch(plan(duration=10)) == first

    assert played(script).end() == (10, "completed")


def test_a_server_that_was_killed_finds_its_nodes_where_they_are_by_now(tmp_path: Path) -> None:
    async def script(scene: Scene) -> None:
        async with scene.listening():
            handle = await scene.driver.launch(plan(download=5, duration=100, upload=5))
            await asyncio.sleep(7)
        scene.start()  # nothing of the old one was closed, or written at its end
        await asyncio.sleep(200)
        assert scene.kinds()[-1] is Kind.TRAINING
        async with scene.listening():
            assert await scene.state() is NodeState.LIVES
            await asyncio.sleep(1)
            assert await scene.state() is NodeState.VANISHED
        await scene.driver.stop(handle)

    assert played(script, tmp_path / "nodes.db").end() == (110, "completed")


def test_facts_that_nobody_took_are_told_again_until_somebody_does() -> None:
    async def script(scene: Scene) -> None:
        scene.away = True
        async with scene.listening():
            await scene.driver.launch(plan(duration=10))
            await asyncio.sleep(60)
            assert await scene.state() is NodeState.LIVES
            scene.away = False
            await asyncio.sleep(2)

    scene = played(script)
    assert scene.end() == (10, "completed")
    assert scene.reports > 50


def test_an_agent_whose_job_is_gone_leaves() -> None:
    async def script(scene: Scene) -> None:
        scene.unknown.add(NODE)
        async with scene.listening():
            await scene.driver.launch(plan(duration=1000))
            await asyncio.sleep(1)
            assert await scene.state() is NodeState.VANISHED

    assert played(script).heard == {}


@pytest.mark.parametrize("wait", [0.0, 3.0, 50.0])
def test_stopping_reaches_the_container_at_whatever_moment_it_comes(wait: float) -> None:
    async def script(scene: Scene) -> None:
        async with scene.listening():
            handle = await scene.driver.launch(plan(download=5, duration=100, stop=2, upload=1))
            await asyncio.sleep(wait)
            await scene.driver.stop(handle)
            await scene.driver.stop(handle)
            await asyncio.sleep(20)
            assert await scene.state() is NodeState.VANISHED

    assert played(script).end() == ((wait, "stopped") if wait < 5 else (53, "stopped"))


def test_stopping_at_once_waits_for_no_grace() -> None:
    async def script(scene: Scene) -> None:
        async with scene.listening():
            handle = await scene.driver.launch(plan(duration=1000, stop=1000))
            await asyncio.sleep(5)
            await scene.driver.stop(handle)
            await asyncio.sleep(5)
            await scene.driver.stop(handle, at_once=True)
            await asyncio.sleep(1)

    assert played(script).end() == (10, "stopped")


def test_a_notice_is_told_and_the_node_is_gone_when_it_said() -> None:
    async def script(scene: Scene) -> None:
        async with scene.listening() as hints:
            handle = await scene.driver.launch(plan(duration=1000, stop=10))
            await asyncio.sleep(50)
            await scene.driver.interrupt(handle, notice=120.0, reason="drill")
            await scene.driver.interrupt(handle, notice=1.0, reason="again")
            await asyncio.sleep(60)
            assert hints == [frozenset([handle])]
            assert await scene.state() is NodeState.VANISHED
            await asyncio.sleep(61)
            assert await scene.state() is NodeState.TAKEN
            with pytest.raises(NodeTaken):
                await scene.driver.launch(plan(duration=1000))

    scene = played(script)
    assert scene.end() == (60, "interrupted")
    (notice,) = scene.told(Kind.NOTICE)
    assert notice.detail["reason"] == "drill"
    assert round(notice.detail["deadline"] - scene.began, 3) == 170


def test_without_notice_a_node_is_taken_at_once_and_tells_nothing_more() -> None:
    async def script(scene: Scene) -> None:
        async with scene.listening() as hints:
            handle = await scene.driver.launch(plan(duration=1000))
            await asyncio.sleep(50)
            await scene.driver.interrupt(handle, notice=0.0, reason="drill")
            await asyncio.sleep(1)
            assert hints == [frozenset([handle])]
            assert await scene.state() is NodeState.TAKEN
            await asyncio.sleep(1000)

    assert played(script).kinds() == [Kind.STARTED, Kind.DOWNLOADING, Kind.TRAINING]


def test_a_node_that_is_given_up_waits_for_its_checkpoints_alone() -> None:
    async def script(scene: Scene) -> None:
        async with scene.listening():
            handle = await scene.driver.launch(
                plan(request=KEEPS, duration=1000, checkpoint_every=100, stop=30)
            )
            await asyncio.sleep(250)
            await scene.driver.interrupt(handle, notice=None, reason="another job")
            await asyncio.sleep(100)
            assert await scene.state() is NodeState.VANISHED
            await scene.driver.remove(handle)
            await scene.driver.launch(plan("job.2.algo-1", KEEPS, duration=1000))
            await asyncio.sleep(1000)

    scene = played(script)
    assert scene.end() == (280, "interrupted")
    assert scene.end("job.2.algo-1") == (1100, "completed")


def test_removing_is_final_whenever_a_launch_comes() -> None:
    async def script(scene: Scene) -> None:
        async with scene.listening():
            handle = await scene.driver.launch(plan(duration=1000))
            await asyncio.sleep(5)
            for _ in range(2):
                await scene.driver.remove(handle)
                await scene.driver.stop(handle)
                await scene.driver.interrupt(handle, notice=0.0, reason="late")
            assert await scene.state() is not NodeState.LIVES
            with pytest.raises(NodeTaken):
                await scene.driver.launch(plan(duration=1000))
            await asyncio.sleep(5000)

    assert played(script).kinds()[-1] is Kind.TRAINING


def test_what_was_never_launched_can_be_stopped_and_removed() -> None:
    async def script(scene: Scene) -> None:
        await scene.driver.stop(Handle("sim", "nobody"))
        await scene.driver.remove(Handle("sim", "nobody"))
        assert await scene.state("nobody") is NodeState.VANISHED

    played(script)


def test_a_lost_node_is_told_at_once_and_after_a_launch_knows_that_it_is_lost() -> None:
    async def script(scene: Scene) -> None:
        async with scene.listening() as hints:
            handle = await scene.driver.launch(plan(duration=1000, lost_after=30))
            await asyncio.sleep(31)
            assert hints == [frozenset([handle])]
            assert await scene.state() is NodeState.VANISHED
            await scene.driver.launch(plan(duration=1000, lost_after=30))
            assert await scene.state() is NodeState.LIVES
            await asyncio.sleep(1)

    assert played(script).end() == (31, "lost")


def test_an_interrupted_job_goes_on_from_its_last_checkpoint_only() -> None:
    async def script(scene: Scene) -> None:
        asked = {"request": KEEPS, "duration": 1000, "checkpoint_every": 100, "taken_after": 350}
        async with scene.listening():
            handle = await scene.driver.launch(plan(**asked))
            await asyncio.sleep(400)
            await scene.driver.remove(handle)
            await scene.driver.launch(plan("job.2.algo-1", **asked))
            await asyncio.sleep(1000)

    assert played(script).end("job.2.algo-1") == (1100, "completed")


def test_the_place_has_what_its_stock_has_at_the_moment() -> None:
    async def script(scene: Scene) -> None:
        first = await scene.driver.launch(plan("a.1.algo-1"))
        await scene.driver.launch(plan("b.1.algo-1"))
        with pytest.raises(NoCapacity):
            await scene.driver.launch(plan("c.1.algo-1"))
        await scene.driver.remove(first)
        await scene.driver.launch(plan("c.1.algo-1"))
        await asyncio.sleep(600)
        with pytest.raises(NoCapacity):
            await scene.driver.launch(plan("d.1.algo-1"))
        await asyncio.sleep(600)
        with pytest.raises(NoCapacity):  # the two are still in use
            await scene.driver.launch(plan("d.1.algo-1"))

    played(script, stock={"ml.m5.*": [2, 0]}, stock_seconds=600)


def test_chance_is_the_same_for_the_same_seed() -> None:
    def fates(seed: int) -> list[tuple[float, str]]:
        async def script(scene: Scene) -> None:
            async with scene.listening():
                for n in range(40):
                    spot = {"EnableManagedSpotTraining": True}
                    await scene.driver.launch(plan(f"{n}.1.algo-1", spot, duration=3600))
                await asyncio.sleep(7200)

        scene = played(script, seed=seed, interruptions_per_hour=1.0, job=Script(notice=60))
        return [scene.end(f"{n}.1.algo-1") for n in range(40)]

    first = fates(1)
    assert first == fates(1) != fates(2)
    interrupted = [at for at, outcome in first if outcome == "interrupted"]
    assert 15 < len(interrupted) < 35  # 1 - 1/e of 40 are 25


def test_messages_that_are_lost_doubled_and_late_end_as_the_same_facts() -> None:
    async def script(scene: Scene) -> None:
        async with scene.listening():
            for n in range(50):
                await scene.driver.launch(plan(f"{n}.1.algo-1", pull=1, download=1, duration=9))
            await asyncio.sleep(300)

    bad = played(script, messages=Messages(lost=0.4, doubled=0.3, delay=4.0))
    good = played(script)
    assert bad.heard == good.heard
    assert bad.reports > good.reports


def test_two_servers_on_one_file_tell_one_story(tmp_path: Path) -> None:
    """Both play the agents; one asks what the other does not hear of but from the file."""

    async def script(scene: Scene) -> None:
        chance = random.Random(7)
        ids = [f"{n}.1.algo-1" for n in range(60)]
        first = scene.driver
        async with scene.listening():
            for node_id in ids:
                await first.launch(plan(node_id, duration=20, upload=3, stop=2))
            second = scene.start()
            async with scene.listening():
                for node_id in chance.sample(ids, 40):
                    await asyncio.sleep(chance.random())
                    driver = chance.choice([first, second])
                    await driver.observe([Handle("sim", node_id)])
                    if chance.random() < 0.5:
                        await driver.stop(Handle("sim", node_id))
                    else:
                        await driver.interrupt(Handle("sim", node_id), notice=10.0, reason="drill")
                await asyncio.sleep(60)
        first.close()

    scene = played(script, tmp_path / "nodes.db")
    outcomes = {scene.end(node_id)[1] for node_id in scene.heard if scene.told(Kind.ENDED, node_id)}
    assert outcomes == {"completed", "stopped", "interrupted"}


def test_a_sudden_loss_leaves_no_time_for_a_last_checkpoint() -> None:
    async def script(scene: Scene) -> None:
        asked = {"request": KEEPS, "duration": 1000, "checkpoint_every": 100}
        async with scene.listening():
            handle = await scene.driver.launch(plan(**asked))
            await asyncio.sleep(350)
            await scene.driver.interrupt(handle, notice=0.0, reason="drill")
            await asyncio.sleep(1)
            await scene.driver.remove(handle)
            await scene.driver.launch(plan("job.2.algo-1", **asked))
            await asyncio.sleep(1000)

    scene = played(script)
    assert scene.end("job.2.algo-1")[0] == pytest.approx(351 + 700)
    (restored,) = scene.told(Kind.RESTORED, "job.2.algo-1")
    assert restored.detail["newest"] == scene.began + 300


def test_what_was_removed_before_it_came_is_never_launched(tmp_path: Path) -> None:
    async def script(scene: Scene) -> None:
        await scene.driver.remove(await scene.driver.find(NODE))
        for driver in (scene.driver, scene.start()):
            with pytest.raises(NodeTaken):
                await driver.launch(plan())
        assert await scene.state() is not NodeState.LIVES

    played(script, tmp_path / "nodes.db")


def test_every_server_hears_of_a_node_that_it_has_looked_at(tmp_path: Path) -> None:
    async def script(scene: Scene) -> None:
        async with scene.listening() as first:
            handle = await scene.driver.launch(plan(duration=100))
            scene.start()
            async with scene.listening() as second:
                assert await scene.state() is NodeState.LIVES
                await asyncio.sleep(50)
                await scene.driver.interrupt(handle, notice=10.0, reason="drill")
                await asyncio.sleep(60)
        assert frozenset([handle]) in first
        assert frozenset([handle]) in second

    assert played(script, tmp_path / "nodes.db").end() == (50, "interrupted")


def test_one_look_tells_of_nodes_in_every_state() -> None:
    async def script(scene: Scene) -> None:
        async with scene.listening():
            states = [NodeState.LIVES, NodeState.VANISHED, NodeState.VANISHED, NodeState.TAKEN]
            asked = [{}, {"duration": 5}, {"lost_after": 5}, {"taken_after": 5}]
            handles = [
                await scene.driver.launch(plan(f"{n}.1.algo-1", **{"duration": 100, **each}))
                for n, each in enumerate(asked)
            ]
            await asyncio.sleep(10)
            seen = await scene.driver.observe(handles)
            assert [seen[handle] for handle in handles] == [Sight(state) for state in states]

    played(script)


def test_while_the_file_is_held_by_another_nothing_is_seen_and_later_all_goes_on(
    tmp_path: Path,
) -> None:
    file = tmp_path / "nodes.db"

    async def script(scene: Scene) -> None:
        async with scene.listening():
            handle = await scene.driver.launch(plan(duration=10))
            with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(DriverError, match="can't be reached"):
                    await scene.driver.stop(handle)
            await asyncio.sleep(60)

    assert played(script, file).end() == (10, "completed")

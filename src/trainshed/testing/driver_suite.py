"""What every driver is held to: inherit ``DriverSuite`` and give it the fixture ``place``.

The suite runs real agents, which report to ``testing.reports.Reports``; it judges a driver by what
those tell, and by what the driver says of its nodes.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from trainshed.domain.errors import NodeTaken
from trainshed.domain.facts import Kind
from trainshed.domain.plan import NodePlan
from trainshed.drivers.base import Driver, Handle, NodeState, Sight
from trainshed.testing.reports import Reports

_SAVE = "echo saving; sleep 1; echo saved; exit 0"
SAVES = ("/bin/sh", "-c", f"trap '{_SAVE}' TERM; echo running; while :; do sleep 0.05; done")
DEAF = ("/bin/sh", "-c", "trap '' TERM; echo running; while :; do sleep 0.05; done")
RUNS_LONG = ("/bin/sh", "-c", "trap 'exit 0' TERM; echo running; while :; do sleep 0.05; done")
ENTER_CACHE = 'cd "$SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"'


@dataclass(frozen=True)
class Place:
    """A driver, and where its nodes report."""

    driver: Driver
    restarted: Callable[[], Driver]
    """Returns another driver on the same place, as after a restart of the server."""
    reports: Reports
    plan: Callable[..., NodePlan]
    """Returns a node's plan; keyword arguments replace its members."""


async def told(place: Place, plan: NodePlan, kind: Kind) -> None:
    """Return once the node has reported a fact of this kind."""
    found = lambda: place.reports.fact(plan.node_id, kind) is not None  # noqa: E731
    await asyncio.to_thread(place.reports.wait_for, found)


async def said(place: Place, plan: NodePlan, text: str) -> None:
    """Return once the node's log has a line ``text``."""
    found = lambda: text in place.reports.lines(plan.node_id)  # noqa: E731
    await asyncio.to_thread(place.reports.wait_for, found)


async def gone(driver: Driver, handle: Handle) -> None:
    """Return once the driver says that the node has no agent."""
    async with asyncio.timeout(30):
        while await seen(driver, handle) is NodeState.LIVES:
            await asyncio.sleep(0.01)


async def become(driver: Driver, handle: Handle, state: NodeState) -> None:
    """Return once the driver sees a node so."""
    async with asyncio.timeout(30):
        while await seen(driver, handle) is not state:
            await asyncio.sleep(0.01)


async def hinted(driver: Driver, handle: Handle) -> None:
    """Return once the driver hints at a node that has no agent any more."""
    async with asyncio.timeout(30):
        while handle not in await driver.changed() or (
            await seen(driver, handle) is NodeState.LIVES
        ):
            pass


async def seen(driver: Driver, handle: Handle) -> NodeState | None:
    """Return what the driver sees of one node."""
    sight = (await driver.observe([handle])).get(handle)
    return sight.state if sight is not None else None


class DriverSuite:
    """The promise of ``drivers.base``, method by method."""

    @pytest.fixture
    def place(self) -> Place:
        """Override: a driver with nothing in it yet."""
        raise NotImplementedError

    async def test_a_launched_node_runs_reports_and_leaves(self, place: Place) -> None:
        plan = place.plan()
        handle = await place.driver.launch(plan)
        await told(place, plan, Kind.ENDED)
        await gone(place.driver, handle)
        await place.driver.remove(handle)

    async def test_the_same_plan_launched_twice_runs_once(self, place: Place) -> None:
        plan = place.plan(entrypoint=RUNS_LONG)
        first, second = await place.driver.launch(plan), await place.driver.launch(plan)
        await said(place, plan, "running")
        third = await place.driver.launch(plan)
        assert first == second == third
        await place.driver.stop(first)
        await told(place, plan, Kind.ENDED)
        assert place.reports.lines(plan.node_id).count("running") == 1
        await place.driver.remove(first)

    async def test_a_restarted_driver_finds_its_nodes_by_their_handles(self, place: Place) -> None:
        plan = place.plan(entrypoint=RUNS_LONG)
        handle = await place.driver.launch(plan)
        await said(place, plan, "running")
        again = place.restarted()
        assert await seen(again, handle) is NodeState.LIVES
        assert await again.launch(plan) == handle
        await again.stop(handle)
        await told(place, plan, Kind.ENDED)
        await gone(again, handle)
        await again.remove(handle)

    async def test_stopping_reaches_the_container_at_whatever_moment_it_comes(
        self, place: Place
    ) -> None:
        plan = place.plan(entrypoint=RUNS_LONG)
        handle = await place.driver.launch(plan)
        await place.driver.stop(handle)
        await told(place, plan, Kind.ENDED)
        ended = place.reports.fact(plan.node_id, Kind.ENDED)
        assert ended is not None
        assert ended.detail["outcome"] == "stopped"
        await gone(place.driver, handle)
        await place.driver.remove(handle)

    async def test_asking_again_to_stop_takes_no_grace_away(self, place: Place) -> None:
        plan = place.plan(entrypoint=SAVES, grace=3600.0)
        handle = await place.driver.launch(plan)
        await said(place, plan, "running")
        await place.driver.stop(handle)
        await said(place, plan, "saving")
        await place.driver.stop(handle)
        await told(place, plan, Kind.ENDED)
        assert "saved" in place.reports.lines(plan.node_id)
        await place.driver.remove(handle)

    async def test_stopping_at_once_waits_for_no_grace(self, place: Place) -> None:
        plan = place.plan(entrypoint=DEAF, grace=3600.0)
        handle = await place.driver.launch(plan)
        await said(place, plan, "running")
        await place.driver.stop(handle)
        await place.driver.stop(handle, at_once=True)
        await told(place, plan, Kind.ENDED)
        await place.driver.remove(handle)

    async def test_removing_ends_what_still_runs(self, place: Place) -> None:
        plan = place.plan(entrypoint=RUNS_LONG)
        handle = await place.driver.launch(plan)
        await said(place, plan, "running")
        await place.driver.remove(handle)
        assert await seen(place.driver, handle) is not NodeState.LIVES

    async def test_a_removed_node_is_never_launched_again(self, place: Place) -> None:
        plan = place.plan()
        handle = await place.driver.launch(plan)
        await told(place, plan, Kind.ENDED)
        await place.driver.remove(handle)
        for driver in (place.driver, place.restarted()):
            with pytest.raises(NodeTaken):
                await driver.launch(plan)
            assert await seen(driver, handle) is not NodeState.LIVES

    async def test_what_is_gone_can_be_stopped_and_removed_again(self, place: Place) -> None:
        plan = place.plan()
        handle = await place.driver.launch(plan)
        await told(place, plan, Kind.ENDED)
        for _ in range(2):
            await place.driver.remove(handle)
            await place.driver.stop(handle)
        assert await seen(place.driver, handle) is not NodeState.LIVES

    async def test_a_node_that_ended_is_hinted_at(self, place: Place) -> None:
        plan = place.plan(entrypoint=RUNS_LONG)
        handle = await place.driver.launch(plan)
        await said(place, plan, "running")
        again = place.restarted()
        assert await seen(again, handle) is NodeState.LIVES
        await place.driver.stop(handle)
        await hinted(place.driver, handle)
        await hinted(again, handle)
        assert await seen(again, handle) is not NodeState.LIVES
        await place.driver.remove(handle)

    async def test_a_sudden_loss_takes_all_of_a_node_for_ever(self, place: Place) -> None:
        plan = place.plan(entrypoint=RUNS_LONG)
        handle = await place.driver.launch(plan)
        await said(place, plan, "running")
        for _ in range(2):
            await place.driver.interrupt(handle, notice=0.0, reason="a drill")
            assert await seen(place.driver, handle) is NodeState.TAKEN
        again = place.restarted()
        assert await seen(again, handle) is NodeState.TAKEN
        with pytest.raises(NodeTaken):
            await again.launch(plan)
        assert place.reports.fact(plan.node_id, Kind.NOTICE) is None
        await again.remove(handle)
        await again.interrupt(handle, notice=0.0, reason="it is gone")

    async def test_a_node_with_notice_ends_interrupted_and_is_taken_at_its_deadline(
        self, place: Place
    ) -> None:
        plan = place.plan(entrypoint=RUNS_LONG)
        handle = await place.driver.launch(plan)
        await said(place, plan, "running")
        for _ in range(2):
            await place.driver.interrupt(handle, notice=3600.0, reason="a drill")
        await told(place, plan, Kind.ENDED)
        ended = place.reports.fact(plan.node_id, Kind.ENDED)
        assert ended is not None
        assert ended.detail == {"outcome": "interrupted", "reason": "a drill"}
        await place.driver.interrupt(handle, notice=0.5, reason="it is wanted sooner")
        await become(place.driver, handle, NodeState.TAKEN)
        await place.driver.remove(handle)

    async def test_a_program_that_hears_nothing_is_taken_with_its_node(self, place: Place) -> None:
        plan = place.plan(entrypoint=DEAF, grace=3600.0)
        handle = await place.driver.launch(plan)
        await said(place, plan, "running")
        await place.driver.interrupt(handle, notice=1.0, reason="a drill")
        await told(place, plan, Kind.NOTICE)
        await become(place.driver, handle, NodeState.TAKEN)
        with pytest.raises(NodeTaken):
            await place.restarted().launch(plan)
        await place.driver.remove(handle)

    async def test_a_node_that_is_given_up_keeps_its_checkpoints_first(self, place: Place) -> None:
        save = "echo saving; sleep 1; echo 7 >/opt/ml/checkpoints/w; exit 0"
        script = f"trap '{save}' TERM; echo running; while :; do sleep 0.05; done"
        kept = {"CheckpointConfig": {"S3Uri": f"{place.plan().output_path}/kept"}}
        plan = place.plan(entrypoint=("/bin/sh", "-c", script), grace=60.0, request=kept)
        handle = await place.driver.launch(plan)
        await said(place, plan, "running")
        await place.driver.interrupt(handle, notice=None, reason="another job comes first")
        await said(place, plan, "saving")
        assert await seen(place.driver, handle) is NodeState.LIVES
        await told(place, plan, Kind.ENDED)
        kinds = [fact.kind for fact in place.reports.facts(plan.node_id)]
        assert Kind.CHECKPOINT in kinds[kinds.index(Kind.NOTICE) : kinds.index(Kind.ENDED)]
        checkpoint = place.reports.fact(plan.node_id, Kind.CHECKPOINT)
        assert checkpoint is not None
        assert (checkpoint.detail["files"], checkpoint.detail["trouble"]) == (1, "")
        await place.driver.remove(handle)

    async def test_a_notice_reaches_the_agent_at_whatever_moment_it_comes(
        self, place: Place
    ) -> None:
        plan = place.plan(entrypoint=RUNS_LONG)
        handle = await place.driver.launch(plan)
        await place.driver.interrupt(handle, notice=3600.0, reason="a drill")
        await told(place, plan, Kind.ENDED)
        ended = place.reports.fact(plan.node_id, Kind.ENDED)
        assert ended is not None
        assert ended.detail == {"outcome": "interrupted", "reason": "a drill"}
        await gone(place.driver, handle)
        await place.driver.remove(handle)

    async def test_nodes_of_a_warm_pool_share_a_folder_until_it_is_released(
        self, place: Place
    ) -> None:
        async def found(node_id: str, pool: str = "a.1", **changes: object) -> str:
            """Return what a node found in its cache; then it writes there, and is removed."""
            uses = f'{ENTER_CACHE}; echo found *; mkdir "{node_id}"; chmod 0 "{node_id}"'
            plan = place.plan(
                node_id=node_id, entrypoint=("/bin/sh", "-c", uses), warm_pool=pool, **changes
            )
            handle = await place.driver.launch(plan)
            await told(place, plan, Kind.ENDED)
            await place.driver.release_pool(pool)  # a node of it is still there
            await place.driver.remove(handle)
            return place.reports.lines(plan.node_id)[-1]

        assert await found("a.1.algo-1") == "found *"
        assert await found("b.1.algo-1") == "found a.1.algo-1"
        assert await found("c.1.algo-2", host="algo-2", hosts=("algo-2",)) == "found *"
        assert await found("d.1.algo-1", pool="d.1") == "found *"
        await place.restarted().release_pool("a.1")
        await place.driver.release_pool("a.1")
        assert await found("e.1.algo-1") == "found *"
        for pool in ("a.1", "d.1"):
            await place.driver.release_pool(pool)

    async def test_one_look_tells_of_nodes_in_every_state(self, place: Place) -> None:
        plans = {
            name: place.plan(node_id=f"{name}.1.algo-1", entrypoint=RUNS_LONG)
            for name in ("lives", "ended", "taken")
        }
        handles = {name: await place.driver.launch(plan) for name, plan in plans.items()}
        for plan in plans.values():
            await said(place, plan, "running")
        await place.driver.stop(handles["ended"])
        await told(place, plans["ended"], Kind.ENDED)
        await gone(place.driver, handles["ended"])
        await place.driver.interrupt(handles["taken"], notice=0.0, reason="a drill")
        sights = await place.driver.observe(list(handles.values()))
        assert sights[handles["lives"]] == Sight(NodeState.LIVES)  # it runs: nothing to be said
        assert sights[handles["ended"]].state in {NodeState.VANISHED, NodeState.TAKEN}
        assert sights[handles["taken"]].state is NodeState.TAKEN
        for handle in handles.values():
            await place.driver.remove(handle)

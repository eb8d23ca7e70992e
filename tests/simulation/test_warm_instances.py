"""Which simulated instances start warm: those of a pool, and those let go a moment ago."""

import asyncio

from tests.simulation.scene import Scene, plan, played


def test_an_instance_that_was_let_go_a_moment_ago_starts_warm() -> None:
    async def script(scene: Scene) -> None:
        async with scene.listening():
            cold = await scene.driver.launch(plan("a.1.algo-1", duration=1))
            await asyncio.sleep(100)
            await scene.driver.remove(cold)
            await scene.driver.launch(plan("b.1.algo-1", duration=1))
            await scene.driver.launch(plan("c.1.algo-1", duration=1))
            await asyncio.sleep(100)

    scene = played(script, launch_seconds=60, warm_launch_seconds=2, warm_for=300)
    ends = [scene.end(f"{job}.1.algo-1")[0] for job in "abc"]
    assert ends == [61, 103, 161]


def test_the_next_node_of_a_warm_pool_starts_warm_until_the_pool_is_released() -> None:
    async def script(scene: Scene) -> None:
        async with scene.listening():
            for job in "abcd":
                handle = await scene.driver.launch(
                    plan(f"{job}.1.algo-1", warm_pool="chain", duration=1)
                )
                await scene.driver.release_pool("chain")  # a node of it is there: nothing goes
                await asyncio.sleep(100)
                await scene.driver.remove(handle)
                if job == "c":
                    await scene.driver.release_pool("chain")

    scene = played(script, launch_seconds=60, warm_launch_seconds=2)
    ends = [scene.end(f"{job}.1.algo-1")[0] for job in "abcd"]
    assert ends == [61, 103, 203, 361]

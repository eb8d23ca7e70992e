"""Who of several operators works."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from trainshed.operator.leading import DURATION, Lead, LostLead
from trainshed.testing.operator.cluster import MemoryCluster
from trainshed.testing.simulation.clock import VirtualClock, run

Candidate = Callable[[str], Lead]


def on_virtual_time(
    scenario: Callable[[MemoryCluster, Candidate], Coroutine[None, None, None]],
) -> Callable[[], None]:
    """Return a test that gives a scenario a cluster, and candidates for its one Lease by name."""

    async def played(clock: VirtualClock) -> None:
        cluster = MemoryCluster()
        await scenario(
            cluster, lambda me: Lead(cluster, "default", "operator", me, clock=clock.now)
        )

    return lambda: run(played)


def holder(cluster: MemoryCluster) -> str:
    [lease] = [each for path, each in cluster.objects.items() if "/leases/" in path]
    return str(lease["spec"]["holderIdentity"])


@on_virtual_time
async def test_the_first_one_leads_and_the_second_waits_until_it_is_let(
    cluster: MemoryCluster, lead: Candidate
) -> None:
    first, second = lead("a"), lead("b")
    await first.gain()
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(first.keep())
        waiting = group.create_task(second.gain())
        done, _ = await asyncio.wait({waiting}, timeout=3 * DURATION)
        assert not done, "two lead"
        keeping.cancel()
        await asyncio.wait({keeping})
        await first.give_up()
        await asyncio.wait_for(waiting, 2 * DURATION)
    assert holder(cluster) == "b"


@on_virtual_time
async def test_a_lease_that_nobody_renews_is_anybodys(
    cluster: MemoryCluster, lead: Candidate
) -> None:
    await lead("a").gain()
    await asyncio.wait_for(lead("b").gain(), 2 * DURATION)
    assert holder(cluster) == "b"


@on_virtual_time
async def test_one_that_starts_again_under_its_name_goes_on_at_once(
    cluster: MemoryCluster, lead: Candidate
) -> None:
    await lead("a").gain()
    again = lead("a")
    await again.gain()
    [lease] = [each for path, each in cluster.objects.items() if "/leases/" in path]
    assert lease["spec"]["leaseTransitions"] == 0


@on_virtual_time
async def test_who_finds_another_name_there_ends(cluster: MemoryCluster, lead: Candidate) -> None:
    first = lead("a")
    await first.gain()
    await lead("b").gain()
    with pytest.raises(LostLead, match="took the lease"):
        await asyncio.wait_for(first.keep(), 2 * DURATION)


@on_virtual_time
async def test_who_cannot_write_for_too_long_ends(cluster: MemoryCluster, lead: Candidate) -> None:
    first = lead("a")
    await first.gain()
    cluster.reachable = False
    with pytest.raises(LostLead, match="could not be renewed"):
        await asyncio.wait_for(first.keep(), 2 * DURATION)


@on_virtual_time
async def test_a_candidate_waits_for_a_cluster_that_does_not_answer(
    cluster: MemoryCluster, lead: Candidate
) -> None:
    cluster.reachable = False
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(lead("a").gain())
        done, _ = await asyncio.wait({waiting}, timeout=2 * DURATION)
        assert not done
        cluster.reachable = True
        await asyncio.wait_for(waiting, 2 * DURATION)
    assert holder(cluster) == "a"

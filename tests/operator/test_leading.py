"""Who of several operators works."""

import asyncio

import pytest

from trainshed.operator.clock import now
from trainshed.operator.leading import Lead, LostLead
from trainshed.testing.operator.cluster import MemoryCluster

DURATION = 0.35


def lead(cluster: MemoryCluster, me: str) -> Lead:
    return Lead(cluster, "default", "operator", me, clock=now, duration=DURATION)


def holder(cluster: MemoryCluster) -> str:
    [lease] = [each for path, each in cluster.objects.items() if "/leases/" in path]
    return str(lease["spec"]["holderIdentity"])


async def test_the_first_one_leads_and_the_second_waits_until_it_is_let() -> None:
    cluster = MemoryCluster()
    first, second = lead(cluster, "a"), lead(cluster, "b")
    await first.gain()
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(first.keep())
        waiting = group.create_task(second.gain())
        done, _ = await asyncio.wait({waiting}, timeout=3 * DURATION)
        assert not done, "two lead"
        keeping.cancel()
        await asyncio.wait({keeping})
        await first.give_up()
        await asyncio.wait_for(waiting, 10)
    assert holder(cluster) == "b"


async def test_a_lease_that_nobody_renews_is_anybodys() -> None:
    cluster = MemoryCluster()
    await lead(cluster, "a").gain()
    await asyncio.wait_for(lead(cluster, "b").gain(), 10)
    assert holder(cluster) == "b"


async def test_one_that_starts_again_under_its_name_goes_on_at_once() -> None:
    cluster = MemoryCluster()
    await lead(cluster, "a").gain()
    again = lead(cluster, "a")
    await again.gain()
    [lease] = [each for path, each in cluster.objects.items() if "/leases/" in path]
    assert lease["spec"]["leaseTransitions"] == 0


async def test_who_finds_another_name_there_ends() -> None:
    cluster = MemoryCluster()
    first = lead(cluster, "a")
    await first.gain()
    await lead(cluster, "b").gain()
    with pytest.raises(LostLead, match="took the lease"):
        await asyncio.wait_for(first.keep(), 10)


async def test_who_cannot_write_for_too_long_ends() -> None:
    cluster = MemoryCluster()
    first = lead(cluster, "a")
    await first.gain()
    cluster.reachable = False
    with pytest.raises(LostLead, match="could not be renewed"):
        await asyncio.wait_for(first.keep(), 10)


async def test_a_candidate_waits_for_a_cluster_that_does_not_answer() -> None:
    cluster = MemoryCluster()
    cluster.reachable = False
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(lead(cluster, "a").gain())
        done, _ = await asyncio.wait({waiting}, timeout=2 * DURATION)
        assert not done
        cluster.reachable = True
        await asyncio.wait_for(waiting, 10)
    assert holder(cluster) == "a"

"""What every store of leases must do, as tests to inherit.

A store's writer makes a class from ``LeasesSuite`` and gives it one fixture::

    class TestMyLeases(LeasesSuite):
        @pytest.fixture
        async def shed(self, tmp_path):
            time = Time()
            ...
            yield LeaseStores(leases=..., training=..., time=time)

The fixture yields empty stores; the leases ask ``time`` for the time.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, replace

import pytest

from trainshed.domain.errors import StoreError
from trainshed.domain.training import Attempt, SecondaryStatus
from trainshed.stores.records.base import (
    SCHEDULER,
    SERVER_TTL,
    Leases,
    Server,
    TrainingRecords,
)
from trainshed.testing.records_suite import NOON, a_job, at_end


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = NOON.timestamp()

    def __call__(self) -> float:
        """Return seconds since the epoch."""
        return self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseStores:
    """The leases under test, and the jobs that they are about."""

    leases: Leases
    training: TrainingRecords
    time: Time


def a_server(id: str, *reaches: str, machine: str = "here", bound: Collection[str] = ()) -> Server:
    """Return a server that reaches ``local``, or what is named."""
    return Server(
        id=id,
        url=f"http://{id}:7070",
        machine=machine,
        version="1.0",
        reaches=reaches or ("local",),
        bound=tuple(bound),
    )


class LeasesSuite:
    """Holds leases to the promises of ``stores.records.base``."""

    @pytest.fixture
    def shed(self) -> LeaseStores:
        """Return (or yield) empty stores; to be overridden."""
        raise NotImplementedError("give the suite a fixture named shed")

    async def test_who_beats_lives_and_who_is_silent_is_dead_once_another_looks(
        self, shed: LeaseStores
    ) -> None:
        leases, time = shed.leases, shed.time
        for id in ("a", "b"):
            await leases.register(a_server(id))
        for _ in range(5):
            time.seconds += SERVER_TTL / 2
            assert await leases.beat("a")
        assert [server.id for server in await leases.servers()] == ["a", "b"]
        assert await leases.claim("a", 10) == []
        assert await leases.servers() == [a_server("a")]
        assert not await leases.beat("b")
        assert await leases.claim("b", 10) == []

    async def test_when_nobody_could_be_heard_nobody_is_dead(self, shed: LeaseStores) -> None:
        leases, time = shed.leases, shed.time
        for id in ("a", "b", "dead"):
            await leases.register(a_server(id))
            await shed.training.add(a_job(f"of-{id}"), {}, owner=id)
        for away in (
            SERVER_TTL * 3,
            SERVER_TTL * 0.8,
            86400.0,
        ):  # the database was, or its clock set
            time.seconds += away
            assert await leases.beat("a")
            assert await leases.claim("a", 10) == []
            time.seconds += SERVER_TTL / 4
            assert await leases.beat("b")
            assert await leases.claim("b", 10) == []
        claimed = []
        for _ in range(5):
            time.seconds += SERVER_TTL / 4
            for id in ("a", "b"):
                assert await leases.beat(id)
                claimed += await leases.claim(id, 10)
        assert claimed == [a_job("of-dead").arn]

    async def test_every_server_has_a_name_of_its_own(self, shed: LeaseStores) -> None:
        await shed.leases.register(a_server("a"))
        with pytest.raises(StoreError, match="'a' lives already"):
            await shed.leases.register(a_server("a"))

    async def test_a_job_that_nobody_owns_is_claimed_once_oldest_first(
        self, shed: LeaseStores
    ) -> None:
        jobs = [a_job(name, minutes=n) for n, name in enumerate("cbad")]
        for job in reversed(jobs):
            await shed.training.add(job, {})
        for id in ("a", "b"):
            await shed.leases.register(a_server(id))
        assert await shed.leases.claim("a", 3) == [job.arn for job in jobs[:3]]
        assert await shed.leases.claim("b", 3) == [jobs[3].arn]
        assert await shed.leases.claim("a", 3) == await shed.leases.claim("b", 3) == []
        assert await shed.leases.owned("a") == [job.arn for job in jobs[:3]]
        assert [await shed.leases.owner(jobs[n].arn) for n in (0, 3)] == ["a", "b"]

    async def test_of_many_who_claim_at_once_no_two_get_the_same(self, shed: LeaseStores) -> None:
        jobs = [a_job(f"j{n:02}") for n in range(40)]
        await asyncio.gather(*(shed.training.add(job, {}) for job in jobs))
        ids = [f"s{n}" for n in range(5)]
        await asyncio.gather(*(shed.leases.register(a_server(id)) for id in ids))
        claimed = await asyncio.gather(*(shed.leases.claim(id, 7) for id in [*ids, *ids]))
        found = [arn for arns in claimed for arn in arns]
        assert sorted(found) == sorted(job.arn for job in jobs)

    async def test_the_jobs_of_a_dead_server_are_taken_over_and_no_others(
        self, shed: LeaseStores
    ) -> None:
        leases, time = shed.leases, shed.time
        for id in ("a", "b", "c"):
            await leases.register(a_server(id))
            await shed.training.add(a_job(f"of-{id}"), {}, owner=id)
        over = replace(at_end(a_job("over"), SecondaryStatus.FAILED), cleaned=True)
        await shed.training.add(over, {}, owner="a")
        time.seconds += SERVER_TTL / 2
        for id in ("b", "c"):
            assert await leases.beat(id)
        time.seconds += SERVER_TTL / 2
        assert await leases.claim("b", 10) == [a_job("of-a").arn]
        assert await leases.owned("b") == [a_job("of-a").arn, a_job("of-b").arn]
        assert await leases.owned("c") == [a_job("of-c").arn]
        assert await leases.owner(over.arn) == ""

    async def test_who_ends_cleanly_leaves_everything_at_once(self, shed: LeaseStores) -> None:
        for id in ("a", "b"):
            await shed.leases.register(a_server(id))
        await shed.training.add(a_job("j"), {}, owner="a")
        assert await shed.leases.hold(SCHEDULER, "a")
        await shed.leases.release("a")
        await shed.leases.release("a")
        assert await shed.leases.owner(a_job("j").arn) == ""
        assert await shed.leases.claim("b", 10) == [a_job("j").arn]
        assert await shed.leases.hold(SCHEDULER, "b")

    async def test_only_jobs_within_reach_are_claimed(self, shed: LeaseStores) -> None:
        here, there, anywhere = a_job("here"), a_job("there"), a_job("anywhere")
        launched = Attempt(number=1, backend="far", started=NOON)
        jobs = [
            replace(here, backend="local"),
            replace(there, backend="local", attempt=launched),
            anywhere,
        ]
        for job in jobs:
            await shed.training.add(job, {})
        await shed.leases.register(a_server("a", "local"))
        await shed.leases.register(a_server("b", "far", "local"))
        assert await shed.leases.claim("a", 10) == [anywhere.arn, here.arn]
        assert await shed.leases.claim("b", 10) == [there.arn]

    async def test_a_backend_of_a_machine_belongs_to_it_while_anything_is_there(
        self, shed: LeaseStores
    ) -> None:
        leases = shed.leases
        first = a_server("a", "local", "cloud", bound=["local"])
        assert await leases.register(first) == {"local", "cloud"}
        assert await leases.register(replace(first, id="b")) == {"local", "cloud"}
        away = a_server("c", "local", "cloud", machine="there", bound=["local"])
        assert await leases.register(away) == {"cloud"}
        for id in ("a", "b"):
            await leases.release(id)
        job = replace(a_job("j"), attempt=Attempt(number=1, backend="local", started=NOON))
        await shed.training.add(job, {})
        assert await leases.register(replace(away, id="d")) == {"cloud"}
        assert await leases.claim("d", 10) == []
        await shed.training.remove(job)
        assert await leases.register(replace(away, id="e")) == {"local", "cloud"}

    async def test_a_named_lease_has_one_holder_until_it_is_silent(self, shed: LeaseStores) -> None:
        leases, time = shed.leases, shed.time
        for id in ("a", "b"):
            await leases.register(a_server(id))
        assert await leases.hold("x", "a")
        for _ in range(3):
            time.seconds += SERVER_TTL / 2
            assert await leases.beat("b")
            assert not await leases.hold("x", "b")
            assert await leases.hold("x", "a")
        assert await leases.hold("y", "b")
        time.seconds += SERVER_TTL
        assert await leases.beat("b")
        assert await leases.hold("x", "b")
        assert not await leases.hold("x", "a")
        assert not await leases.hold("z", "never registered")

    async def test_who_was_declared_dead_holds_nothing(self, shed: LeaseStores) -> None:
        leases = shed.leases
        await leases.register(a_server("a"))
        assert await leases.hold("x", "a")
        await leases.register(a_server("b"))
        await self._survive(shed, "b")
        assert not await leases.hold("x", "a")
        assert await leases.hold("x", "b")

    async def test_who_was_taken_over_writes_nothing_any_more(self, shed: LeaseStores) -> None:
        """The fence: a server that was paused does not know what happened meanwhile."""
        leases, training, job = shed.leases, shed.training, a_job("j")
        for id in ("a", "b"):
            await leases.register(a_server(id))
        await training.add(job, {}, owner="a")
        later = replace(job, failure_reason="by a")
        assert await training.swap(job, later, owner="a")
        assert await self._survive(shed, "b") == [job.arn]
        assert not await training.swap(later, replace(later, cleaned=True), owner="a")
        assert await training.get(job.arn) == later
        assert await training.swap(later, replace(later, cleaned=True), owner="b")

    async def test_only_who_leads_writes_as_leader(self, shed: LeaseStores) -> None:
        leases, training, job = shed.leases, shed.training, a_job("j")
        new = replace(job, failure_reason="x")
        await training.add(job, {})
        for id in ("a", "b"):
            await leases.register(a_server(id))
        assert not await training.swap(job, new, leader="a")
        assert await leases.hold(SCHEDULER, "a")
        assert not await training.swap(job, new, leader="b")
        assert await training.swap(job, new, leader="a")

    async def test_a_clock_that_is_set_back_or_forth_ends_no_lease_for_ever(
        self, shed: LeaseStores
    ) -> None:
        leases, time = shed.leases, shed.time
        await leases.register(a_server("dead"))
        await shed.training.add(a_job("j"), {}, owner="dead")
        assert await leases.hold("x", "dead")
        time.seconds -= 86400
        await leases.register(a_server("b"))
        assert await leases.hold("x", "b")
        assert await self._survive(shed, "b") == [a_job("j").arn]
        time.seconds += 2 * 86400
        assert await leases.beat("b")
        assert await leases.owned("b") == [a_job("j").arn]
        assert await leases.hold("x", "b")

    async def _survive(self, shed: LeaseStores, id: str) -> list[str]:
        """Have a server beat while all others are silent, and return what it claims."""
        for _ in range(4):
            assert await shed.leases.beat(id)
            shed.time.seconds += SERVER_TTL / 4
        return await shed.leases.claim(id, 10)

"""How all open jobs stand, read in slices."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from trainshed.domain.facts import Fact, Kind
from trainshed.domain.training import (
    Attempt,
    SecondaryStatus,
    TrainingJob,
    WarmPool,
    WarmPoolStatus,
)
from trainshed.stores.records.base import Database
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.survey import Checkpoints, survey
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.jobs import NOON, job

_S = SecondaryStatus
CAPACITY = (
    "Training job waiting for capacity: it needs 1 of 4 nodes of the backend 'local', which are in "
    "use or kept for jobs before it"
)


class Store:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.records = SqlTrainingRecords(self.database, InProcessChanges())

    async def add(self, job: TrainingJob) -> None:
        assert await self.records.add(job, {})


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


def waiting(name: str, minutes: int, **members: object) -> TrainingJob:
    at = NOON + timedelta(minutes=minutes)
    return replace(
        job(name).moved_to(_S.PENDING, at=at, message=CAPACITY), **{"created": at, **members}
    )


async def test_who_waits_is_counted_by_where_for_whom_and_why(store: Store) -> None:
    await store.add(waiting("a", 5))
    await store.add(waiting("b", 3))
    await store.add(waiting("c", 4, backend="gpus", project="vision"))
    await store.add(job("d"))
    quota = "Training job waiting for capacity: the default project may use 8 GPUs, and does"
    await store.add(waiting("e", 2).moved_to(_S.PENDING, at=NOON, message=quota))
    found = await survey(store.database, "local")
    assert {key: each.jobs for key, each in found.waiting.items()} == {
        ("local", "", "capacity"): 2,
        ("local", "", "new"): 1,
        ("local", "", "quota"): 1,
        ("gpus", "vision", "capacity"): 1,
    }
    oldest = found.waiting["local", "", "capacity"].since
    assert oldest == (NOON + timedelta(minutes=3)).timestamp()


async def test_an_interrupted_job_waits_since_it_was_interrupted(store: Store) -> None:
    at = NOON + timedelta(hours=3)
    trained = job().moved_to(_S.TRAINING, at=NOON).moved_to(_S.INTERRUPTED, at=at)
    await store.add(trained)
    found = await survey(store.database, "local")
    assert found.waiting["local", "", "interrupted"].since == at.timestamp()


async def test_nodes_in_use_and_warm_pools_are_counted(store: Store) -> None:
    attempt = Attempt(number=1, backend="gpus", started=NOON)
    await store.add(replace(job("wide", nodes=3), attempt=attempt))
    await store.add(replace(job("one"), attempt=replace(attempt, backend="local")))
    pool = WarmPool(status=WarmPoolStatus.AVAILABLE, since=NOON, until=NOON, chain_began=NOON)
    over = replace(job("warm"), attempt=attempt).moved_to(_S.FAILED, at=NOON)
    await store.add(replace(over, pool=pool))
    found = await survey(store.database, "local")
    assert found.nodes == {"gpus": 4, "local": 1}
    assert found.pools == {"Available": 1}
    assert found.statuses == {_S.STARTING: 2, _S.FAILED: 1}
    assert found.waiting == {}


async def test_checkpoints_of_the_present_attempt_alone_are_told(store: Store) -> None:
    running = replace(job(), attempt=Attempt(number=2, backend="local", started=NOON))
    await store.add(running)
    for attempt, since in ((1, 5.0), (2, 9.0)):
        told = Fact(1, 1.0, Kind.CHECKPOINT, {"since": since, "bytes": 7})
        await store.records.take(running.id, attempt, "algo-1", [told])
    found = await survey(store.database, "local")
    assert found.checkpoints == [Checkpoints(job="digits", host="algo-1", since=9.0, size=7)]


async def test_many_jobs_of_one_moment_are_all_counted_once_over_the_slices(store: Store) -> None:
    async with asyncio.TaskGroup() as adding:
        for number in range(450):
            adding.create_task(store.add(replace(job(f"job-{number}"), id=f"{number:012}")))
    found = await survey(store.database, "local")
    assert found.waiting["local", "", "new"].jobs == 450

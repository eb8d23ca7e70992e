"""What is forgotten when the settings say so, and what is not."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from trainshed.domain.names import TRAINING_LOG_GROUP, log_stream
from trainshed.domain.training import (
    Attempt,
    AttemptEnd,
    PastAttempt,
    SecondaryStatus,
    TrainingJob,
)
from trainshed.engine.retention import Keep, Retention
from trainshed.stores.logs.format import encode
from trainshed.stores.logs.segments import Logs
from trainshed.stores.records.aging import AgedJobs
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.jobs import NOON, job

_S = SecondaryStatus
DAY = timedelta(days=1)
MONTH = 30 * DAY


class House:
    """Real stores, looked at thirty days after noon."""

    def __init__(self, folder: Path) -> None:
        self.database = SqliteDatabase(folder / "records.db")
        self.records = SqlTrainingRecords(self.database, InProcessChanges())
        self.logs = Logs(folder / "logs")
        self.unsent = folder / "unsent"
        self.now = NOON + MONTH
        self.leads = True

    def retention(self, **keep: timedelta) -> Retention:
        return Retention(
            Keep(**keep),
            jobs=self.records,
            aged=AgedJobs(self.database),
            logs=self.logs,
            unsent=self.unsent,
            clock=lambda: self.now,
            leads=lambda: self.leads,
        )

    async def add(self, job: TrainingJob) -> None:
        assert await self.records.add(job, {"team": "vision"})

    async def log(self, stream: str, at: datetime, group: str = TRAINING_LOG_GROUP) -> None:
        line = encode(int(at.timestamp() * 1000), b"a line")
        await self.logs.append(group, stream, 0, line)

    async def names(self) -> list[str]:
        rows = await self.database.read("SELECT name FROM training_jobs ORDER BY name")
        return [name for (name,) in rows]

    async def streams(self, group: str = TRAINING_LOG_GROUP) -> list[str]:
        return await self.logs.stream_names(group) or []


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    yield made
    made.database.close()


def ended(name: str, days_ago: int, region: str = "us-east-1", number: int = 0) -> TrainingJob:
    """Return a job that ended so many days before the look, an hour after it began."""
    at = NOON + MONTH - days_ago * DAY
    began = at - timedelta(hours=1)
    new = replace(
        job(name),
        arn=job(name).arn.replace("us-east-1", region),
        region=region,
        id=f"{name.encode().hex()[:8]:0>8}{number:04}",
        created=began,
        attempt=Attempt(number=1, backend="local", started=began),
    )
    return replace(new.moved_to(_S.FAILED, at=at), cleaned=True)


async def test_jobs_that_ended_longer_ago_are_forgotten_with_all_that_is_known_of_them(
    house: House,
) -> None:
    await house.add(ended("old", 8))
    await house.add(ended("older", 20, region="eu-west-1"))
    await house.add(ended("recent", 6))
    await house.add(replace(ended("unclean", 20), cleaned=False))
    await house.add(replace(job("open"), id="000000000001"))
    await house.retention(jobs=7 * DAY).look()
    assert await house.names() == ["open", "recent", "unclean"]
    tagged = await house.database.read("SELECT DISTINCT arn FROM tags")
    assert len(tagged) == 3


async def test_a_job_that_was_created_long_ago_and_ended_lately_stays(house: House) -> None:
    late = ended("late", 1)
    await house.add(replace(late, created=NOON - 100 * DAY))
    await house.retention(jobs=7 * DAY).look()
    assert await house.names() == ["late"]


async def test_many_old_jobs_are_forgotten_over_the_pages(house: House) -> None:
    async with asyncio.TaskGroup() as adding:
        for number in range(130):
            adding.create_task(house.add(ended(f"job-{number}", 9, number=number)))
    await house.retention(jobs=7 * DAY).look()
    assert await house.names() == []


async def test_a_forgotten_job_takes_its_own_log_streams_along_and_no_others(house: House) -> None:
    gone = ended("digits", 20)
    first = NOON - DAY
    past = PastAttempt(number=1, backend="local", started=first, ended=first, end=AttemptEnd.LOST)
    gone = replace(gone, past=(past,))
    assert gone.attempt is not None
    again = log_stream("digits", "algo-1", NOON + MONTH - DAY)
    for stream in (
        log_stream("digits", "algo-1", first),
        log_stream("digits", "algo-1", gone.attempt.started),
        again,
    ):
        await house.log(stream, NOON)
    await house.add(gone)
    await house.retention(jobs=7 * DAY).look()
    assert await house.streams() == [again]


async def test_streams_go_by_their_last_line_in_every_group_unless_their_job_is_open(
    house: House,
) -> None:
    await house.add(job("silent"))
    old, new = NOON, NOON + MONTH - DAY
    for name, at in (("digits/algo-1-1", old), ("digits/algo-1-2", new), ("silent/algo-1-1", old)):
        await house.log(name, at)
    await house.log("mine", old, group="own")
    await house.logs.create_stream("own", "empty", int(new.timestamp() * 1000))
    await house.retention(logs=7 * DAY).look()
    assert await house.streams() == ["digits/algo-1-2", "silent/algo-1-1"]
    assert await house.streams("own") == ["empty"]


async def test_unsent_results_go_by_when_they_were_put_there(house: House) -> None:
    for name, days in (("a/x.1.algo-1", 8), ("a/x.1.algo-2", 1), ("b/y.1.algo-1", 8)):
        folder = house.unsent / name
        folder.mkdir(parents=True)
        (folder / "model").write_text("weights")
        at = (NOON + MONTH - days * DAY).timestamp()
        os.utime(folder, (at, at))
    await house.retention(unsent=7 * DAY).look()
    left = sorted(path.relative_to(house.unsent).as_posix() for path in house.unsent.glob("**/*"))
    assert left == ["a", "a/x.1.algo-2", "a/x.1.algo-2/model"]


async def test_by_default_nothing_is_ever_forgotten(house: House) -> None:
    await house.add(ended("ancient", 30))
    await house.log("ancient/algo-1-1", NOON - 1000 * DAY)
    async with asyncio.timeout(20):
        await house.retention().run()
    await house.retention().look()
    assert await house.names() == ["ancient"]
    assert await house.streams() == ["ancient/algo-1-1"]


async def test_a_server_that_does_not_lead_forgets_nothing(house: House) -> None:
    await house.add(ended("old", 8))
    house.leads = False
    async with asyncio.TaskGroup() as group:
        running = group.create_task(house.retention(jobs=DAY).run())
        await asyncio.sleep(0)
        running.cancel()
    await house.retention(jobs=DAY, logs=DAY).look()
    assert await house.names() == ["old"]


async def test_logs_that_cannot_be_pruned_do_not_keep_the_rest(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.log("digits/algo-1-1", NOON)
    (house.unsent / "a" / "x").mkdir(parents=True)
    os.utime(house.unsent / "a" / "x", (0, 0))
    (house.unsent.with_name("logs") / "broken").write_text("a file where a group must be")
    await house.retention(logs=DAY, unsent=DAY).look()
    assert "old logs could not be forgotten this time" in caplog.text
    assert not (house.unsent / "a").exists()

"""Killed at any moment, server or client: what was answered stands, what was refused does not."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import psycopg
import pytest
from tests.stores.records.test_database import keys, put

from trainshed.domain.errors import StoreError
from trainshed.stores.records.base import MaybeWritten
from trainshed.stores.records.postgres import PostgresDatabase
from trainshed.testing.postgres import Postgres, private_postgres


@pytest.fixture(scope="module")
def victim() -> Iterator[Postgres]:
    """A server that nobody else uses."""
    with private_postgres() as server:
        yield server


class Writers:
    """Ten who write without end, and note what they were told."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._n = 0
        self.answered: set[str] = set()
        self.refused: set[str] = set()
        self.open: set[str] = set()

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(self._write())

    async def until(self, count: int) -> None:
        """Wait for so many answers more."""
        wanted = len(self.answered) + count
        async with asyncio.timeout(60):
            while len(self.answered) < wanted:
                await asyncio.sleep(0.005)

    async def until_refused(self) -> None:
        """Wait until somebody is refused from now on."""
        before = len(self.refused) + len(self.open)
        async with asyncio.timeout(60):
            while len(self.refused) + len(self.open) == before:
                await asyncio.sleep(0.005)

    async def _write(self) -> None:
        while True:
            self._n += 1
            key = f"{self._n:06}"
            try:
                await self._database.write(put(key))
            except MaybeWritten:
                self.open.add(key)
            except StoreError:
                self.refused.add(key)
                await asyncio.sleep(0.02)
            else:
                self.answered.add(key)


async def end_the_server(server: Postgres, writers: Writers) -> None:
    await asyncio.to_thread(server.kill)
    await writers.until_refused()
    server.start()


async def end_a_session(server: Postgres, writers: Writers) -> None:
    """Kill a session of ours: the server then throws all others out, and recovers."""
    with psycopg.connect(server.url, autocommit=True) as admin:
        question = "SELECT pid FROM pg_stat_activity WHERE application_name = 'trainshed'"
        pids = [pid for (pid,) in admin.execute(question)]
        os.kill(pids[0], signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            while True:
                admin.execute("SELECT 1")


@pytest.mark.parametrize("blow", [end_the_server, end_a_session])
async def test_what_was_answered_outlives_the_database_and_what_was_refused_is_not_there(
    victim: Postgres, blow: Callable[[Postgres, Writers], Awaitable[None]]
) -> None:
    with victim.schema() as url:
        database = PostgresDatabase(url)
        writers = Writers(database)
        running = asyncio.create_task(writers.run())
        for _ in range(2):
            await writers.until(50)
            await blow(victim, writers)
        await writers.until(50)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        found = set(await keys(database))
        assert writers.answered <= found
        assert not writers.refused & found
        database.close()


_ENDLESS_WRITER = """
import asyncio, sys
from trainshed.stores.records.postgres import PostgresDatabase

async def write_for_ever():
    database = PostgresDatabase(sys.argv[1])
    async def put(n):
        while True:
            key = f"{n:09}"
            await database.write(
                lambda c: c.execute(
                    "INSERT INTO tags (arn, key, value) VALUES ('arn', ?, '')", (key,)
                ).rowcount
            )
            print(key, flush=True)
            n += 10
    await asyncio.gather(*(put(n) for n in range(10)))

asyncio.run(write_for_ever())
"""


async def test_a_killed_writer_loses_no_write_that_it_answered_and_holds_nobody_up(
    url: str,
) -> None:
    command = [sys.executable, "-c", _ENDLESS_WRITER, url]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    answered = [(await process.stdout.readline()).decode().strip() for _ in range(137)]
    process.kill()
    # The last line may be torn.
    rest = (await process.stdout.read()).decode().splitlines(keepends=True)
    answered += [line.strip() for line in rest if len(line) == 10]
    await process.wait()
    database = PostgresDatabase(url)
    assert set(answered) <= set(await keys(database))
    assert await database.write(put("next")) == "next"
    database.close()

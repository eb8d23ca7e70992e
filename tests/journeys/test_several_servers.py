"""Two servers of one machine over one PostgreSQL database: either may die, and so may that."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from tests.journeys.conftest import nothing_left
from tests.journeys.shed import Shed, until
from tests.journeys.watcher import Watcher

from trainshed.testing.postgres import Postgres, private_postgres
from trainshed.testing.server import Server
from trainshed.wire.model import OWN_MODELS

SETTINGS = """
[records]
url = "{url}"
shared = "{shared}"

[backends.local]
max_nodes = 32
"""

WAITING = """
import pathlib, sys, time
print("waits", flush=True)
while not pathlib.Path({go!r}).exists():
    time.sleep(0.05)
pathlib.Path("/opt/ml/model/model.txt").write_text("trained")
"""
"""A training that ends when it is let."""


class Pair:
    """Two servers of one database and one folder."""

    def __init__(self, postgres: Postgres, url: str, folder: Path) -> None:
        self.postgres = postgres
        self._url = url
        self.folder = folder
        self.shared = folder / "shared-by-servers"
        settings = SETTINGS.format(url=url, shared=self.shared)
        self.servers = [Server(folder / name, settings, shared=self.shared) for name in "ab"]

    def owners(self) -> Counter[str]:
        """Return how many open jobs each living server owns; "" those of nobody living."""
        question = (
            "SELECT coalesce(servers.url || servers.id, '') FROM training_jobs "
            "LEFT JOIN servers ON servers.id = owner WHERE open = 1"
        )
        with psycopg.connect(self._url) as asking:
            return Counter(owner for (owner,) in asking.execute(question))

    def living(self) -> int:
        """Return how many servers the records know."""
        with psycopg.connect(self._url) as asking:
            return len(asking.execute("SELECT id FROM servers").fetchall())


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with private_postgres() as postgres, postgres.schema() as url:
        pair = Pair(postgres, url, tmp_path_factory.mktemp("several"))
        for server in pair.servers:
            server.start()
        yield pair
        for server in pair.servers:
            if server.running:
                server.stop()
        assert pair.living() == 0


@pytest.fixture(scope="module")
def shed(pair: Pair) -> Shed:
    """Somebody who knows one of them, and asks whoever answers there."""
    return Shed(pair.servers[0], pair.folder)


def started(shed: Shed, pair: Pair, go: Path) -> list[str]:
    """Start jobs until each server has some; each request is a connection of its own."""
    names = []
    while len(names) < 4 or (len(pair.owners()) < 2 and len(names) < 20):
        shed.connect()
        names.append(shed.create(WAITING.format(go=str(go))))
    for name in names:
        shed.until_line(name, "waits")
    return names


class Asker:
    """Asks again and again, as clients do: one that gets no answer tries again a few times."""

    def __init__(self, shed: Shed, name: str) -> None:
        self._shed = shed
        self._name = name
        self._over = Event()
        self.failures: list[Exception] = []
        self.answers = 0
        self._thread = Thread(target=self._ask)

    def __enter__(self) -> "Asker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        retrying = Config(retries={"mode": "standard", "total_max_attempts": 5})
        while not self._over.wait(0.02):
            client = self._shed.client("sagemaker", config=retrying)
            try:
                client.describe_training_job(TrainingJobName=self._name)
                self.answers += 1
            except (BotoCoreError, ClientError) as error:
                self.failures.append(error)
            client.close()


def test_both_answer_at_one_address_with_the_same_keys(shed: Shed, pair: Pair) -> None:
    one, other = pair.servers
    assert one.url == other.url
    assert one.keys == other.keys
    shed.put({"data/x": "1"})
    for _ in range(8):
        shed.connect()
        assert shed.keys("data/") == ["data/x"]
    assert pair.living() == 2


def test_whoever_waits_is_told_of_every_change_whichever_server_made_it(
    shed: Shed, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DATA_PATH", str(OWN_MODELS))
    go = pair.folder / "go-0"
    with ExitStack() as opened:
        watchers = [opened.enter_context(Watcher(shed, seconds=1)) for _ in range(6)]
        until(lambda: all(each.calls for each in watchers))
        names = []
        for _ in range(3):  # each by whichever server takes the connection
            shed.connect()
            names.append(shed.create(WAITING.format(go=str(go))))
        go.touch()
        for name in names:
            until(lambda name=name: {each.last(name) for each in watchers} == {"Completed"})
        for each in watchers:
            each.end()
    for each in watchers:
        assert each.begun == 1
        assert all(each.told[name] == ["InProgress", "Completed"] for name in names)


def test_the_jobs_of_a_server_that_is_killed_are_taken_over(shed: Shed, pair: Pair) -> None:
    go = pair.folder / "go-1"
    names = started(shed, pair, go)
    assert len(pair.owners()) == 2
    victim = pair.servers[1]
    with Asker(shed, names[0]) as asker:
        victim.kill()
        shed.connect()
        until(
            lambda: len(pair.owners()) == 1 and "" not in pair.owners(), lambda: str(pair.owners())
        )
        go.touch()
        for name in names:
            assert shed.ended(name)["TrainingJobStatus"] == "Completed"
            assert shed.archive(name)["model.txt"] == b"trained"
            assert shed.lines(name).count("waits") == 1
        before = asker.answers
        until(lambda: asker.answers > before)
    assert asker.failures == []
    assert nothing_left(pair.servers[0]) == []
    victim.start()


def test_a_server_that_ends_cleanly_hands_its_jobs_over_at_once(shed: Shed, pair: Pair) -> None:
    shed.connect()
    until(lambda: pair.living() == 2)
    go = pair.folder / "go-2"
    names = started(shed, pair, go)
    assert len(pair.owners()) == 2
    pair.servers[0].stop()
    shed.connect()
    until(lambda: len(pair.owners()) == 1 and "" not in pair.owners(), lambda: str(pair.owners()))
    go.touch()
    for name in names:
        assert shed.ended(name)["TrainingJobStatus"] == "Completed"
    pair.servers[0].start()


def test_a_server_that_stood_still_finds_its_jobs_with_the_other_and_disturbs_none(
    shed: Shed, pair: Pair
) -> None:
    shed.connect()
    until(lambda: pair.living() == 2)
    go = pair.folder / "go-3"
    names = started(shed, pair, go)
    assert len(pair.owners()) == 2
    pair.servers[1].pause()
    try:
        until(lambda: len(pair.owners()) == 1 and "" not in pair.owners())
        go.touch()
    finally:
        pair.servers[1].resume()
    shed.connect()
    for name in names:
        told = shed.ended(name)
        assert told["TrainingJobStatus"] == "Completed"
        trained = [t for t in told["SecondaryStatusTransitions"] if t["Status"] == "Training"]
        assert len(trained) == 1
        assert shed.lines(name).count("waits") == 1
    until(lambda: pair.living() == 2)
    assert "was declared dead" in pair.servers[1].said()


def test_a_database_that_is_killed_costs_no_job(shed: Shed, pair: Pair) -> None:
    shed.connect()
    go = pair.folder / "go-4"
    names = started(shed, pair, go)
    pair.postgres.kill()
    go.touch()  # agents report what nobody can keep for a moment
    pair.postgres.start()
    shed.connect()

    def ended() -> bool:
        try:
            told = [shed.describe(name)["TrainingJobStatus"] for name in names]
        except shed.sagemaker.exceptions.ClientError:
            return False  # the database is not back
        return set(told) == {"Completed"}

    until(ended)
    for server in pair.servers:
        assert server.running, server.said()

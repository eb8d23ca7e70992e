"""The operator before services that answer: our server, and moto."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from tests.operator.world import conditions, manifest

from trainshed.operator.cache import Cache
from trainshed.operator.clock import now
from trainshed.operator.deciding.base import Told, Trouble
from trainshed.operator.deciding.table import DECIDING
from trainshed.operator.following import Following
from trainshed.operator.metrics import Metrics
from trainshed.operator.objects import Key, Object, Place
from trainshed.operator.reconcile import Reconciler
from trainshed.operator.services import Services
from trainshed.testing.operator.cluster import MemoryCluster
from trainshed.testing.server import Server

REGION = "us-east-1"
DIGITS = Key("trainingjobs", "default", "digits")
PATIENCE = timedelta(minutes=10)
SOON = 20.0
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class Bench:
    """An operator without kopf: a cluster in memory, services for real."""

    def __init__(self, endpoint: str) -> None:
        self.cluster = MemoryCluster()
        self.services = Services(endpoint)
        self.cache = Cache(DECIDING)
        self.metrics = Metrics()
        self.changed: asyncio.Queue[Key] = asyncio.Queue()
        self.reconciler = Reconciler(
            self.cluster,
            self.services,
            self.cache,
            DECIDING,
            clock=now,
            metrics=self.metrics,
            patience=PATIENCE,
        )

    def following(self) -> Following:
        return Following(
            self.services,
            self.cache,
            self.changed.put_nowait,
            clock=now,
            metrics=self.metrics,
            poll=timedelta(seconds=0.2),
        )

    async def settle(self) -> Object:
        found = self.cluster.look(DIGITS)
        if found is not None:
            self.cache.put(found)
        await self.reconciler.reconcile(DIGITS)
        found = self.cluster.look(DIGITS)
        assert found is not None
        return found

    async def until(self, fits: Callable[[Object], bool]) -> Object:
        """Look whenever the service tells of a change, until an object fits."""
        async with asyncio.timeout(SOON):
            while not fits(found := await self.settle()):
                await self.changed.get()
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("operated")
    settings = '[backends.local]\nstop_seconds = 1\n[backends.local.images]\n"*" = "python"\n'
    with Server(folder / "data", settings) as found:
        key, secret = found.keys
        old = {name: os.environ.get(name) for name in KEYS}
        os.environ |= dict(zip(KEYS, (key, secret), strict=True))
        boto3.client("s3", endpoint_url=found.url, region_name=REGION).create_bucket(
            Bucket="bucket"
        )
        yield found
        for name, value in old.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@pytest.fixture
async def bench(server: Server) -> AsyncIterator[Bench]:
    found = Bench(server.url)
    yield found
    found.services.close()


def program(text: str) -> dict[str, object]:
    return manifest(
        region=REGION,
        algorithmSpecification={
            "trainingImage": "image",
            "trainingInputMode": "File",
            "containerEntrypoint": [sys.executable, "-c", text],
        },
    )


async def test_a_jobs_way_is_told_by_the_server_itself(bench: Bench) -> None:
    bench.cluster.make(program("open('/opt/ml/model/m', 'w').write('1')"))
    async with asyncio.TaskGroup() as group:
        following = group.create_task(bench.following().run())
        thing = await bench.until(lambda found: found.holds("Completed"))
        following.cancel()
    assert thing.status["modelPath"].startswith("s3://bucket/output/digits-")
    assert [event["reason"] for event in bench.cluster.events()] == ["Created", "Completed"]
    assert "trainshed_operator_service_calls_total" in bench.metrics.text().decode()


async def test_a_deletion_stops_the_job_and_ends_when_it_has_stopped(bench: Bench) -> None:
    bench.cluster.make(program("import time; time.sleep(600)"))
    async with asyncio.TaskGroup() as group:
        following = group.create_task(bench.following().run())
        await bench.until(lambda found: found.status.get("secondaryStatus") == "Training")
        bench.cluster.delete(DIGITS, now())
        async with asyncio.timeout(SOON):
            while bench.cluster.look(DIGITS) is not None:
                bench.cache.put(bench.cluster.look(DIGITS) or pytest.fail("it is gone"))
                await bench.reconciler.reconcile(DIGITS)
                if bench.cluster.look(DIGITS) is not None:
                    await bench.changed.get()
        following.cancel()


async def test_a_job_that_is_there_is_known_as_ones_own_by_its_tag(bench: Bench) -> None:
    made = program("print(1)")
    made["spec"]["trainingJobName"] = "tagged"  # type: ignore[index]
    bench.cluster.make(made)
    thing = await bench.settle()
    assert thing.status["sageMakerTrainingJobName"] == "tagged"
    bench.cluster.edit(DIGITS, {"status": None})
    bench.cluster.objects.clear()
    bench.cluster.make({**made, "metadata": {**thing.meta, "finalizers": []}})
    bench.cache.drop(thing)
    thing = await bench.settle()
    assert thing.status["sageMakerTrainingJobName"] == "tagged", "its tag tells that it is its own"


async def test_somebody_elses_job_is_left_alone(bench: Bench) -> None:
    made = program("print(1)")
    made["spec"]["trainingJobName"] = "tagged"  # type: ignore[index]
    bench.cluster.make(made)
    assert conditions(await bench.settle()) == {"Stalled": "NameInUse"}


async def test_what_the_server_refuses_is_told_in_its_words(bench: Bench) -> None:
    made = program("print(1)")
    made["spec"]["resourceConfig"]["instanceType"] = "ml.huge"  # type: ignore[index]
    bench.cluster.make(made)
    thing = await bench.settle()
    assert conditions(thing) == {"Stalled": "SpecRefused"}
    assert "ml.huge" in thing.status["additional"]


@pytest.mark.parametrize(
    ("endpoint", "region", "reason"),
    [("http://127.0.0.1:9", REGION, "ServiceUnreachable"), ("", "no where", "InvalidAddress")],
)
async def test_a_wrong_address_is_told(
    bench: Bench, endpoint: str, region: str, reason: str
) -> None:
    answer = await bench.services.call(
        Place(endpoint, region), "DescribeTrainingJob", {"TrainingJobName": "digits"}
    )
    assert not isinstance(answer, Told)
    assert (answer.reason if isinstance(answer, Trouble) else answer.code) == reason


async def test_moto_answers_as_well(tmp_path: Path) -> None:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    bench = Bench(f"http://{host}:{port}")
    old = {name: os.environ.get(name) for name in KEYS}
    os.environ |= dict.fromkeys(KEYS, "testing")
    try:
        bench.cluster.make(program("print(1)"))
        async with asyncio.TaskGroup() as group:
            following = group.create_task(bench.following().run())
            thing = await bench.until(lambda found: found.holds("Finished"))
            following.cancel()
        assert thing.holds("Completed")
        assert [event["reason"] for event in bench.cluster.events()] == ["Created", "Completed"]
    finally:
        bench.services.close()
        moto.stop()
        for name, value in old.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@pytest.mark.parametrize(
    ("keys", "reason"),
    [(("AKNOBODY", "no-secret-of-anybody"), "CredentialsRefused"), ((), "NoCredentials")],
)
async def test_keys_that_are_wrong_or_missing_are_told(
    server: Server, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...], reason: str
) -> None:
    for name in KEYS:
        monkeypatch.delenv(name)
    for name, value in zip(KEYS, keys, strict=False):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    bench = Bench(server.url)
    bench.cluster.make(program("print(1)"))
    thing = await bench.settle()
    bench.services.close()
    synced = thing.condition("Synced")
    assert synced is not None
    assert (synced["status"], synced["reason"]) == ("False", reason)
    assert "Give" in synced["message"] or "give" in synced["message"]
    assert [event["reason"] for event in bench.cluster.events()] == [reason]

"""What stands around the passes: Events, metrics, probes."""

import socket
import urllib.error
import urllib.request
from asyncio import to_thread
from datetime import timedelta

import pytest
from tests.operator.world import DIGITS, World, done, manifest, submitted

from trainshed.operator import events
from trainshed.operator.cluster import Unwilling
from trainshed.operator.deciding.base import Notice
from trainshed.operator.deciding.table import DECIDING
from trainshed.operator.metrics import Metrics
from trainshed.operator.objects import Key
from trainshed.operator.probes import Probes

SAID = Notice(reason="SpecRefused", message="no role", warning=True)


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_said_twice_is_one_event_that_counts(world: World) -> None:
    thing = world.cluster.make(manifest())
    for minute in range(3):
        now = world.now + timedelta(minutes=minute)
        done(events.tell(world.cluster, thing, "TrainingJob", SAID, now))
    [event] = world.cluster.events()
    assert event["count"] == 3
    assert event["firstTimestamp"] == "2026-01-01T12:00:00Z"
    assert event["lastTimestamp"] == "2026-01-01T12:02:00Z"
    assert event["involvedObject"]["uid"] == thing.uid


def test_an_events_name_keeps_to_what_kubernetes_takes(world: World) -> None:
    thing = world.cluster.make(manifest("n" * 253))
    made = events.event(thing, "TrainingJob", SAID, world.now)
    assert len(made["metadata"]["name"]) <= 253


def test_a_cluster_that_takes_no_events_holds_nothing_up(world: World) -> None:
    class Closing(type(world.cluster)):  # type: ignore[misc]
        async def request(self, method: str, path: str, body: object = None) -> object:
            if path.endswith("/events"):
                raise Unwilling("the namespace is being terminated")
            return await super().request(method, path, body)

    world.cluster.__class__ = Closing
    name = submitted(world)
    world.cluster.delete(DIGITS, world.now)
    world.settle(DIGITS)
    world.service.job(name).end("Stopped")
    world.settle(DIGITS)
    assert world.cluster.look(DIGITS) is None


def test_objects_are_counted_by_kind_and_status(world: World) -> None:
    submitted(world)
    world.cluster.make({"metadata": {"name": "m"}}, "models")
    world.settle(Key("models", "default", "m"))
    metrics = Metrics()
    metrics.count(DECIDING, lambda: world.cache, lambda: 3)
    text = metrics.text().decode()
    assert 'trainshed_operator_objects{kind="TrainingJob",status="InProgress"} 1.0' in text
    assert 'trainshed_operator_objects{kind="Model",status=""} 1.0' in text
    assert "trainshed_operator_queue 3.0" in text


async def test_probes_tell_whether_it_is_connected() -> None:
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{asking.getsockname()[1]}"
    ready = False
    probes = Probes(Metrics(), lambda: ready)
    await probes.start(address, address)
    try:
        assert await to_thread(asked, f"http://{address}/healthz") == 200
        assert await to_thread(asked, f"http://{address}/readyz") == 503
        ready = True
        assert await to_thread(asked, f"http://{address}/readyz") == 200
        assert await to_thread(asked, f"http://{address}/metrics") == 200
    finally:
        await probes.close()


def asked(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return int(error.code)

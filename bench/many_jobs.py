"""Ten thousand jobs at once on a simulated backend: what they cost, and who has to wait for it.

Each number of jobs has a server of its own. Their nodes are played by the server's own process, so
its processor time and memory are a little more than a server's whose nodes are elsewhere.
"""

import asyncio
import contextlib
import json
import os
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import uvloop

from bench import servers
from bench.api import request
from bench.load import Target, requests_per_second

SIZES: Final = (100, 1000, 3000, 10_000)
IDLE_SECONDS: Final = 20.0
ASKED: Final = 300
FREED: Final = 20
SUSTAINED: Final = (200, 60)
"""Submits a second, and seconds."""
CONNECTIONS: Final = 8


def measure(size: int) -> dict[str, float]:
    """Return what that many jobs cost."""
    with shed(size) as place:
        return {f"{size} jobs: {name}": value for name, value in _figures(place, size).items()}


def sustained() -> dict[str, float]:
    """Return what a minute of submitting at a steady rate looks like."""
    rate, seconds = SUSTAINED
    with shed(rate * seconds) as place:
        signed = [place.create(f"steady-{n}") for n in range(rate * seconds)]
        used, began = servers.cpu_seconds(place.pid), time.perf_counter()
        took = place.ask(signed, rate)
        elapsed = time.perf_counter() - began
        cpu = servers.cpu_seconds(place.pid) - used
        place.running(rate * seconds)
        caught_up = time.perf_counter() - began
    return {
        f"{rate} submits/s for {seconds} s: answered, requests/s": len(signed) / elapsed,
        f"{rate} submits/s for {seconds} s: Create p50, ms": _quantile(took, 0.5),
        f"{rate} submits/s for {seconds} s: Create p99, ms": _quantile(took, 0.99),
        f"{rate} submits/s for {seconds} s: processor %": cpu / elapsed * 100,
        f"{rate} submits/s for {seconds} s: all run after, s": caught_up - elapsed,
    }


@dataclass(frozen=True)
class Shed:
    """A server with a simulated backend."""

    target: Target
    pid: int
    data: Path
    runner: asyncio.Runner = field(
        default_factory=lambda: asyncio.Runner(loop_factory=uvloop.new_event_loop)
    )

    def create(self, name: str) -> bytes:
        """Return a signed CreateTrainingJob."""
        return self.target.request("CreateTrainingJob", json.dumps(request(name)).encode())

    def named(self, operation: str, name: str) -> bytes:
        """Return a signed request about one job."""
        return self.target.request(operation, json.dumps({"TrainingJobName": name}).encode())

    def ask(self, requests: Sequence[bytes], rate: float) -> list[float]:
        """Send requests at a steady rate; return how many milliseconds each took."""
        return self.runner.run(_ask(self.target, requests, rate))

    def described(self, name: str) -> dict[str, Any]:
        """Return what DescribeTrainingJob says."""
        said: list[bytes] = []
        signed = self.named("DescribeTrainingJob", name)
        self.runner.run(_ask(self.target, [signed], 1000, said.append))
        answer: dict[str, Any] = json.loads(said[0])
        return answer

    def running(self, count: int) -> None:
        """Return once that many jobs have begun to train."""
        question = "SELECT count(*) FROM facts WHERE kind = 'training'"
        with contextlib.closing(sqlite3.connect(self.data / "trainshed.db")) as records:
            for _ in range(6000):
                if records.execute(question).fetchone()[0] >= count:
                    return
                time.sleep(0.1)
        raise RuntimeError(f"{count} jobs do not run after ten minutes")


@contextlib.contextmanager
def shed(nodes: int) -> Iterator[Shed]:
    """Run a server with that many simulated nodes, whose jobs run until they are stopped."""
    config = (
        f'backend = "sim"\n[backends.sim]\nkind = "simulated"\nmax_nodes = {nodes}\n'
        "[backends.sim.job]\nduration = 1e6\n"
    )
    with servers.trainshed(config) as (target, pid, data):
        target.bucket("bucket")
        place = Shed(target, pid, data)
        with place.runner:
            yield place


def _figures(place: Shed, size: int) -> dict[str, float]:
    began = time.perf_counter()
    signed = [place.create(f"job-{n}") for n in range(size)]
    rate = requests_per_second(place.target, signed, CONNECTIONS)
    place.running(size)
    rows = {
        "submits/s at full speed": rate,
        "submitted and running, s": time.perf_counter() - began,
    }
    time.sleep(5)
    used = servers.cpu_seconds(place.pid)
    time.sleep(IDLE_SECONDS)
    idle = (servers.cpu_seconds(place.pid) - used) / IDLE_SECONDS
    rows["nothing changes: processor %"] = idle * 100
    rows["nothing changes: processor microseconds a job and second"] = idle / size * 1e6
    rows["resident MB"] = servers.resident_mb(place.pid)
    listed = place.target.request("ListTrainingJobs", b"{}")
    rows |= _latency(place, "List, first page", [listed] * ASKED)
    told = place.named("DescribeTrainingJob", f"job-{size // 2}")
    rows |= _latency(place, "Describe", [told] * ASKED)
    rows |= _latency(place, "Create", [place.create(f"waits-{n}") for n in range(ASKED)])
    rows |= _disk(place.data)
    time.sleep(2)
    refills = [_refilled(place, n) for n in range(FREED)]
    rows["a freed slot refilled after, ms (median)"] = statistics.median(refills)
    rows["a freed slot refilled after, ms (most)"] = max(refills)
    rows["resident MB in the end"] = servers.resident_mb(place.pid)
    return rows


def _latency(place: Shed, name: str, requests: Sequence[bytes]) -> dict[str, float]:
    """Return how long requests take at 50 a second, and what they cost."""
    used = servers.cpu_seconds(place.pid)
    took = place.ask(requests, 50)
    cpu = servers.cpu_seconds(place.pid) - used
    return {
        f"{name}: p50, ms": _quantile(took, 0.5),
        f"{name}: p99, ms": _quantile(took, 0.99),
        f"{name}: processor ms each": cpu / len(requests) * 1000,
    }


def _disk(folder: Path) -> dict[str, float]:
    """Return how long the disk alone takes for what a Create waits for: the yardstick."""
    took = []
    with (folder / "yardstick").open("ab", buffering=0) as file:
        for _ in range(ASKED):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
            time.sleep(0.02)
    return {
        "4 KiB to the disk, by hand: p50, ms": _quantile(took, 0.5),
        "4 KiB to the disk, by hand: p99, ms": _quantile(took, 0.99),
    }


def _refilled(place: Shed, n: int) -> float:
    """Return the milliseconds from a job's end to the beginning of the next in line."""
    place.ask([place.named("StopTrainingJob", f"job-{n}")], 1000)
    for _ in range(600):
        following = place.described(f"waits-{n}")
        if "TrainingStartTime" in following:
            ended = place.described(f"job-{n}")["TrainingEndTime"]
            return float(following["TrainingStartTime"] - ended) * 1000
        time.sleep(0.05)
    raise RuntimeError(f"no job took the place of job-{n}: {following}")


async def _ask(
    target: Target,
    requests: Sequence[bytes],
    rate: float,
    heard: Callable[[bytes], object] = lambda _: None,
) -> list[float]:
    """Send each request when its time has come, over connections that are free."""
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(min(CONNECTIONS, len(requests))):
        free.put_nowait(await asyncio.open_connection(target.host, target.port))
    took: list[float] = []

    async def send(signed: bytes, due: float) -> None:
        reader, writer = await free.get()
        writer.write(signed)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"refused: {head!r} {body!r}")
        # From when it should have been sent: a server that holds others up is not excused.
        took.append((time.perf_counter() - due) * 1000)
        heard(body)
        free.put_nowait((reader, writer))

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for n, signed in enumerate(requests):
            due = began + n / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(send(signed, max(due, began)))
    while not free.empty():
        free.get_nowait()[1].close()
    return took


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]

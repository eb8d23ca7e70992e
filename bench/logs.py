"""50 jobs that write 100 MB/s between them: what it costs, and whether the API still answers."""

import asyncio
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench import servers
from bench.jobs import LOG_GROUP
from bench.load import Target, requests_per_second
from bench.measured import fill_memory, own_cpu
from trainshed.stores.logs.folders import folder_name, names_in

JOBS: Final = 50
SECONDS: Final = 10
MB_PER_SECOND: Final = 2
LINE: Final = 100
"""Bytes, its end included."""
LINES: Final = 655
"""In one block, which is just below 64 KiB."""
BLOCKS: Final = MB_PER_SECOND * 1_000_000 * SECONDS // (LINE * LINES)
CONNECTIONS: Final = 8
EVERY_S: Final = 0.04
"""Between two requests of one connection: 200 requests a second in all."""
_PATIENCE_S: Final = 120
FILL = "--fill" in sys.argv

CONFIG = "[backends.local]\nmax_nodes = 64\n"

# Whatever the machine does meanwhile, a block is due at its time.
WRITER = f"""\
import os, sys, time
name, folder = sys.argv[1:]
rest = "x" * ({LINE} - len(name) - 16)
block = "".join(f"{{name}} BBBBBBBB {{n:04}} {{rest}}\\n" for n in range({LINES})).encode()
assert len(block) == {LINE} * {LINES}
def wait(what):
    while not os.path.exists(f"{{folder}}/{{what}}"):
        time.sleep(0.05)
open(f"{{folder}}/ready-{{name}}", "w").close()
wait("begin")
began = time.monotonic()
for n in range({BLOCKS}):
    data = memoryview(block.replace(b"BBBBBBBB", b"%08d" % n))
    while data:
        data = data[os.write(1, data):]
    time.sleep(max(began + (n + 1) * {SECONDS / BLOCKS} - time.monotonic(), 0))
open(f"{{folder}}/wrote-{{name}}", "w").write(str(time.monotonic() - began))
wait("end")
"""


def measure() -> dict[str, float]:
    """Return speed, processor time and latencies of one run.

    Raises:
        RuntimeError: a line is missing, doubled, torn or out of its order.
    """
    with servers.trainshed(CONFIG) as (target, server, data), tempfile.TemporaryDirectory() as here:
        if FILL:
            fill_memory(data)
            (data / "holes").unlink()
        folder = Path(here)
        (folder / "write.py").write_text(WRITER)
        names = [f"job{index:02}" for index in range(JOBS)]
        _start(target, folder, names)
        agents = _agents(data)
        before = {pid: servers.cpu_seconds(pid) for pid in [server, *agents]}
        idle = asyncio.run(latencies(target, names[0], 3))
        told = {pid: servers.cpu_seconds(pid) - used for pid, used in before.items()}
        quiet = told[server] / 3
        before = {pid: servers.cpu_seconds(pid) for pid in [server, *agents]}
        began, machine, own = time.monotonic(), _machine_seconds(), own_cpu()
        (folder / "begin").touch()
        busy = asyncio.run(latencies(target, names[0], SECONDS))
        size = JOBS * BLOCKS * LINE * LINES
        while _held(data) < size and time.monotonic() - began < _PATIENCE_S:
            time.sleep(0.05)
        took = time.monotonic() - began
        used = {pid: servers.cpu_seconds(pid) - was for pid, was in before.items()}
        others = (_machine_seconds() - machine - sum(used.values()) - own_cpu() + own) / took
        memory = max(servers.resident_mb(pid) for pid in agents)
        server_memory = servers.resident_mb(server)
        (folder / "end").touch()
        slowest = max(float((folder / f"wrote-{name}").read_text()) for name in names)
        for name in names:
            _check(data, name)
    mb = size / 1_000_000
    mine = used.pop(server)
    return {
        "logs: written by 50 jobs, MB/s": mb / slowest,
        "logs: seconds from the first line to the last one kept": took,
        "logs: agents, processor ms per MB": sum(used.values()) / mb * 1000,
        "logs: server, processor ms per MB (without the API's load)": (mine - quiet * SECONDS)
        / mb
        * 1000,
        "logs: the writers and whoever else is on the machine, processors": others,
        "logs: largest agent, resident MB": memory,
        "logs: server, resident MB": server_memory,
        "logs: Describe p50 without, ms": statistics.median(idle),
        "logs: Describe p99 without, ms": _percentile(idle, 0.99),
        "logs: Describe p50 meanwhile, ms": statistics.median(busy),
        "logs: Describe p99 meanwhile, ms": _percentile(busy, 0.99),
    }


async def latencies(target: Target, name: str, seconds: float) -> list[float]:
    """Describe a job over and over on a few connections; return how long each took, in ms."""
    body = json.dumps({"TrainingJobName": name}).encode()
    request = target.request("DescribeTrainingJob", body)
    until = time.monotonic() + seconds
    lanes = (_lane(target, request, until, n * EVERY_S / CONNECTIONS) for n in range(CONNECTIONS))
    return [took for lane in await asyncio.gather(*lanes) for took in lane]


async def _lane(target: Target, request: bytes, until: float, wait: float) -> list[float]:
    """Ask at fixed times: what one slow answer holds up counts as slow too."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    took, due = [], time.monotonic() + wait
    while due < until:
        await asyncio.sleep(due - time.monotonic())
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"(?i)content-length: *(\d+)", head)
        if not head.startswith(b"HTTP/1.1 200") or found is None:
            raise RuntimeError(f"Describe was answered with {head!r}")
        await reader.readexactly(int(found[1]))
        took.append((time.monotonic() - due) * 1000)
        due += EVERY_S
    writer.close()
    return took


def _start(target: Target, folder: Path, names: Sequence[str]) -> None:
    """Have all jobs run, and wait to begin."""
    target.bucket("bucket")
    bodies = [json.dumps(_asked(folder, name)).encode() for name in names]
    requests_per_second(target, [target.request("CreateTrainingJob", b) for b in bodies], 1)
    end = time.monotonic() + _PATIENCE_S
    while len(list(folder.glob("ready-*"))) < len(names):
        if time.monotonic() > end:
            raise RuntimeError("not all jobs began to run")
        time.sleep(0.1)


def _asked(folder: Path, name: str) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": "image",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": [sys.executable, str(folder / "write.py")],
            "ContainerArguments": [name, str(folder)],
        },
        "RoleArn": "arn:aws:iam::123456789012:role/training-role",
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 10,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }


def _agents(data: Path) -> list[int]:
    return [int(lock.read_text().split()[0]) for lock in data.glob("nodes/*/agent.lock")]


def _streams(data: Path, name: str = "") -> list[Path]:
    group = data / "logs" / folder_name(LOG_GROUP)
    return [
        group / folder_name(stream)
        for stream in (names_in(group) if group.exists() else ())
        if stream.startswith(name)
    ]


def _held(data: Path) -> int:
    """Return the bytes of the jobs' own lines that are in the store, near enough to wait by."""
    found = 0
    for stream in _streams(data):
        for path in stream.glob("*.log"):
            found += path.stat().st_size * LINE // (LINE + len("1234567890123 "))
    return found


def _check(data: Path, name: str) -> None:
    """See that each line of a job is in the store: whole, once, in its order, its times too."""
    (stream,) = _streams(data, f"{name}/")
    kept = b"".join(path.read_bytes() for path in sorted(stream.glob("*.log")))
    lines = kept.splitlines()
    stamps = [line[:13] for line in lines]
    if stamps != sorted(stamps):
        raise RuntimeError(f"{name}: times run backwards")
    said = [line[14:] for line in lines if not line[14:].startswith(b"[trainshed] ")]
    rest = b"x" * (LINE - len(name) - 16)
    expected = (
        b"%b %08d %04d %b" % (name.encode(), block, n, rest)
        for block in range(BLOCKS)
        for n in range(LINES)
    )
    wrong = sum(a != b for a, b in zip(said, expected, strict=False))
    if wrong or len(said) != BLOCKS * LINES:
        raise RuntimeError(
            f"{name}: {len(said)} lines of {BLOCKS * LINES}, {wrong} of them are other ones"
        )


def _machine_seconds() -> float:
    """Return the processor seconds that this machine has spent on anything."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    idle = int(fields[3]) + int(fields[4])
    return (sum(map(int, fields[:8])) - idle) / os.sysconf("SC_CLK_TCK")


def _percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


if __name__ == "__main__":
    for label, value in measure().items():
        print(f"{value:12.2f}  {label}", flush=True)
    sys.stdout.flush()
    os._exit(0)

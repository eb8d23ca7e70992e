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
from bench.measured import own_cpu
from trainshed.stores.logs.folders import folder_name, names_in

JOBS: Final = 50
SECONDS: Final = 10
MB_PER_SECOND: Final = 2
LINE: Final = 100
"""Bytes, its end included."""
LINES: Final = 655
"""In one block, which is just below 64 KiB."""
BLOCKS: Final = MB_PER_SECOND * 1_000_000 * SECONDS // (LINE * LINES)
SIZE: Final = BLOCKS * LINES * LINE
"""Bytes that a job writes."""
STAMP: Final = len("1234567890123 ")
NOTE: Final = b"[trainshed] "
CONNECTIONS: Final = 8
EVERY_S: Final = 0.04
"""Between two requests of one connection: 200 requests a second in all."""
_PATIENCE_S: Final = 120

CONFIG = "[backends.local]\nmax_nodes = 64\n"

# Whatever the machine does meanwhile, a block is due at its time. It costs next to nothing to make:
# its first line bears its number, and each of the others its place in it.
WRITER = f"""\
import os, sys, time
name, folder = sys.argv[1:]
def line(text):
    return f"{{name}} {{text}} ".ljust({LINE} - 1, "x").encode() + b"\\n"
rest = b"".join(line(n) for n in range(1, {LINES}))
def wait(what):
    while not os.path.exists(f"{{folder}}/{{what}}"):
        time.sleep(0.05)
open(f"{{folder}}/ready-{{name}}", "w").close()
wait("begin")
began, used = time.monotonic(), time.process_time()
for n in range({BLOCKS}):
    assert os.writev(1, [line(f"block {{n}}"), rest]) == {LINE * LINES}
    time.sleep(max(began + (n + 1) * {SECONDS / BLOCKS} - time.monotonic(), 0))
with open(f"{{folder}}/wrote-{{name}}", "w") as file:
    file.write(f"{{time.monotonic() - began}} {{time.process_time() - used}}")
wait("end")
"""


class _Spent:
    """Processor seconds since this was made: of processes, and of all others on the machine."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._began = time.monotonic()
        self._before = {pid: servers.cpu_seconds(pid) for pid in pids}
        self._machine = _machine_seconds() - own_cpu()

    def by(self, pid: int) -> float:
        return servers.cpu_seconds(pid) - self._before[pid]

    def by_others(self) -> float:
        return _machine_seconds() - own_cpu() - self._machine - sum(map(self.by, self._before))

    def seconds(self) -> float:
        return time.monotonic() - self._began


def measure() -> dict[str, float]:
    """Return speed, processor time and latencies of one run.

    Raises:
        RuntimeError: a line is missing, doubled, torn or out of its order.
    """
    with servers.trainshed(CONFIG) as (target, server, data), tempfile.TemporaryDirectory() as here:
        folder = Path(here)
        (folder / "write.py").write_text(WRITER)
        names = [f"job{index:02}" for index in range(JOBS)]
        _start(target, folder, names)
        agents = _agents(data)
        spent = _Spent([server])
        idle = asyncio.run(latencies(target, names[0], SECONDS))
        quiet = spent.by(server)
        spent = _Spent([server, *agents])
        (folder / "begin").touch()
        busy = asyncio.run(latencies(target, names[0], SECONDS))
        while not all(_is_kept(data, name) for name in names):
            if spent.seconds() > _PATIENCE_S:
                raise RuntimeError(f"lines are missing after {_PATIENCE_S} s")
            time.sleep(0.05)
        took, mine, theirs = spent.seconds(), spent.by(server), sum(map(spent.by, agents))
        others = spent.by_others()
        resident = {pid: servers.resident_mb(pid) for pid in [server, *agents]}
        (folder / "end").touch()
        wrote = [(folder / f"wrote-{name}").read_text().split() for name in names]
        for name in names:
            _check(data, name)
    mb, writers = JOBS * SIZE / 1_000_000, sum(float(used) for _, used in wrote)
    return {
        "logs: written by 50 jobs, MB/s": mb / max(float(seconds) for seconds, _ in wrote),
        "logs: seconds from the first line to the last one kept": took,
        "logs: agents, processor ms per MB": theirs / mb * 1000,
        "logs: server, processor ms per MB, without answering Describe": (mine - quiet) / mb * 1000,
        "logs: the jobs themselves, processor ms per MB": writers / mb * 1000,
        "logs: processors taken by other programs": (others - writers) / took,
        "logs: largest agent, resident MB": max(resident[pid] for pid in agents),
        "logs: server, resident MB": resident[server],
        "logs: Describe p50 before, ms": statistics.median(idle),
        "logs: Describe p99 before, ms": _percentile(idle, 0.99),
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


def _files(data: Path, name: str) -> list[Path]:
    """Return the files of a job's one stream, in their order."""
    group = data / "logs" / folder_name(LOG_GROUP)
    (stream,) = (stream for stream in names_in(group) if stream.startswith(f"{name}/"))
    return sorted((group / folder_name(stream)).glob("*.log"))


def _is_kept(data: Path, name: str) -> bool:
    """Tell whether as much of a job is kept as it wrote."""
    files = _files(data, name)
    with files[0].open("rb") as first:
        notes = sum(len(line) for line in first.read(8192).splitlines(True) if NOTE in line)
    return sum(path.stat().st_size for path in files) >= notes + SIZE // LINE * (LINE + STAMP)


def _check(data: Path, name: str) -> None:
    """See that each line of a job is in the store: whole, once, in its order, its times too."""
    lines = b"".join(path.read_bytes() for path in _files(data, name)).splitlines()
    stamps = [line[:STAMP] for line in lines]
    if stamps != sorted(stamps):
        raise RuntimeError(f"{name}: times run backwards")
    said = [line[STAMP:] for line in lines if not line.startswith(NOTE, STAMP)]
    expected = (
        f"{name} {n or f'block {block}'} ".ljust(LINE - 1, "x").encode()
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

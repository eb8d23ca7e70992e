"""What an idle server and a waiting agent cost, and the command line's processor time."""

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench import servers
from bench.api import request
from bench.load import requests_per_second

IDLE_SECONDS = 20


def server() -> dict[str, float]:
    """Return memory in MB and processor share in percent, of a server and its agent."""
    with servers.trainshed() as (target, pid, _):
        target.bucket("bucket")
        body = json.dumps(request("one")).encode()
        requests_per_second(target, [target.request("CreateTrainingJob", body)], 1)
        time.sleep(3)
        agents = [servers.resident_mb(child) for child in agents_of(pid)]
        began, used = time.perf_counter(), servers.cpu_seconds(pid)
        time.sleep(IDLE_SECONDS)
        share = (servers.cpu_seconds(pid) - used) / (time.perf_counter() - began)
        return {
            "server, one job running: resident MB": servers.resident_mb(pid),
            "server, one job running: processor %": share * 100,
            "agent: resident MB": max(agents),
        }


def agents_of(pid: int) -> list[int]:
    """Return the pids of the agents that a server started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children]


def command_line() -> dict[str, float]:
    """Return the median processor time of two commands, in milliseconds."""
    with servers.trainshed() as (_, _, data):
        return {
            "trainshed --version: processor ms": _cpu(["--version"]),
            "trainshed ls: processor ms": _cpu(["ls", "--data-dir", str(data)]),
        }


def _cpu(arguments: list[str]) -> float:
    took = []
    for _ in range(9):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [Path(sys.executable).with_name("trainshed"), *arguments]
        subprocess.run(command, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(took) * 1000

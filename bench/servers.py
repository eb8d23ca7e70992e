"""The servers under measurement, each a process of its own on loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import botocore.session

from bench.load import Target
from trainshed.wire.model import OWN_MODELS


@contextmanager
def trainshed(config: str = "") -> Iterator[tuple[Target, int, Path]]:
    """Run a server on a fresh data directory; yield its target, pid and directory."""
    with tempfile.TemporaryDirectory(prefix="trainshed-bench-") as folder:
        data = Path(folder)
        if config:
            (data / "trainshed.toml").write_text(config)
        command = [Path(sys.executable).with_name("trainshed"), "up", "--port", "0"]
        process = subprocess.Popen(
            [*command, "--data-dir", folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            assert process.stdout is not None
            process.stdout.readline()
            told = json.loads((data / "server.json").read_text())
            keys = json.loads((data / "credentials.json").read_text())
            port = int(told["url"].rsplit(":", 1)[1])
            target = Target("127.0.0.1", port, keys["access_key"], keys["secret_key"])
            yield target, process.pid, data
        finally:
            _end(process)
            for lock in data.glob("nodes/*/agent.lock"):
                # Agents outlive their server, that is their purpose; here nobody will come back.
                os.kill(int(lock.read_text().split()[0]), signal.SIGKILL)


@contextmanager
def moto() -> Iterator[Target]:
    """Run moto_server, its SageMaker loaded."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _answering(f"http://127.0.0.1:{port}/moto-api/")
        yield Target("127.0.0.1", port, "testing", "testing")
    finally:
        _end(process)


def _answering(url: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"nothing answers at {url}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def resident_mb(pid: int) -> float:
    """Return a process's resident memory in MB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no memory figure for {pid}")


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def session(target: Target) -> boto3.Session:
    """Return a session with a server's keys, which knows our own service beside Amazon's."""
    known = botocore.session.get_session()
    known.get_component("data_loader").search_paths.append(str(OWN_MODELS))
    return boto3.Session(
        aws_access_key_id=target.access_key,
        aws_secret_access_key=target.secret_key,
        region_name="us-east-1",
        botocore_session=known,
    )

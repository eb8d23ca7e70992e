"""Jobs whose channels are pipes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import Agent
from tests.agent.test_inputs import channel
from tests.stores.remote.conftest import Server

from trainshed.agent.feeding import mounting
from trainshed.drivers.local.left_over import end_left_over

MakeAgent = Callable[..., Agent]
Write = Callable[[str], tuple[str, ...]]

READER = """
import hashlib, json, os, sys, time
def epoch(n, name="train"):
    path = f"/opt/ml/input/data/{name}_{n}"
    while not os.path.exists(path):
        time.sleep(0.01)
    return open(path, "rb")
"""


@pytest.fixture
def agent(agent: MakeAgent) -> Iterator[MakeAgent]:
    """Return the maker of agents; what a failed test leaves of their nodes is ended."""
    made: list[Agent] = []

    def make(*arguments: Any, **changes: Any) -> Agent:
        made.append(agent(*arguments, **changes))
        return made[-1]

    yield make
    for each in made:
        if each.process is not None and each.process.poll() is None:
            each.kill()
        end_left_over(each.folder)
        mounting.unmount_below(each.folder)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for n in range(5):
        path = tmp_path / f"data/{n}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"<{n}>")
    return tmp_path / "data"


def piped(uri: object, **more: Any) -> dict[str, Any]:
    return channel(f"file://{uri}", InputMode="Pipe", **more)


@pytest.fixture
def read(agent: MakeAgent, python: Write) -> Callable[..., Agent]:
    """Run a script that can open epochs; return its agent when it is over."""

    def run(script: str, *channels: dict[str, Any], **more: Any) -> Agent:
        node = agent(entrypoint=python(READER + script), channels=channels, **more).start()
        node.wait()
        return node

    return run


def emptied(server: Server) -> None:
    """Stop a store, and take away what it holds: stores of one process have it in common."""
    for each in server.client.list_objects_v2(Bucket="bkt").get("Contents", []):
        server.client.delete_object(Bucket="bkt", Key=each["Key"])
    server.client.delete_bucket(Bucket="bkt")
    server.client.close()
    server.stop()


def working_for(node: Agent) -> list[int]:
    """Return the processes that work for a node, besides its agent."""
    mark = f"TRAINSHED_NODE={node.folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                told = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark in told:
                found.append(int(entry.name))
    return found


def feeder(node: Agent) -> int:
    """Return the pid of the process that feeds a node."""
    [found] = [pid for pid in working_for(node) if b"--feed" in _line(pid)]
    return found


def _line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""

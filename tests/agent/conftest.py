"""Runs real agents on real scripts, reporting to a server in this process."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trainshed.domain.facts import Fact, Kind
from trainshed.domain.plan import NodePlan
from trainshed.testing.plans import node_plan
from trainshed.testing.reports import Reports

ENVIRONMENT = Path(sys.prefix)


class Agent:
    """One real agent process on a folder of its own."""

    def __init__(self, root: Path, node: NodePlan, reports: Reports) -> None:
        self.plan = node
        self.folder = root / "nodes" / node.node_id
        self.reports = reports
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *starter: str, **environment: str) -> "Agent":
        """Start it, by the program ``starter`` if one is named."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "plan.json").write_text(self.plan.to_json())
        self.process = subprocess.Popen(
            [*starter, sys.executable, "-I", "-m", "trainshed.agent", str(self.folder)],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **environment},
        )
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def proc(self) -> Path:
        return Path(f"/proc/{self.pid}")

    def wait(self, timeout: float = 60.0) -> None:
        assert self.process is not None
        assert self.process.wait(timeout) == 0, (self.folder / "agent.log").read_text()

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def fact(self, kind: Kind) -> Fact | None:
        return self.reports.fact(self.plan.node_id, kind)

    def ended(self) -> tuple[str, str]:
        fact = self.fact(Kind.ENDED)
        assert fact is not None
        return fact.detail["outcome"], fact.detail["reason"]

    def kinds(self) -> list[str]:
        return [fact.kind.value for fact in self.reports.facts(self.plan.node_id)]

    def lines(self) -> list[str]:
        return self.reports.lines(self.plan.node_id)

    def wait_for_line(self, text: str) -> None:
        self.reports.wait_for(lambda: text in "\n".join(self.lines()))


@pytest.fixture
def reports() -> Iterator[Reports]:
    server = Reports()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def agent(tmp_path: Path, reports: Reports) -> Iterator[Callable[..., Agent]]:
    """Return a maker of agents that are not started yet; all are gone after the test."""
    made: list[Agent] = []

    def make(script: str | None = None, **changes: Any) -> Agent:
        if script is not None:
            changes["entrypoint"] = ("/bin/sh", "-c", script)
        plan = node_plan(tmp_path, server_url=reports.url, token=reports.token, **changes)
        made.append(Agent(tmp_path, plan, reports))
        return made[-1]

    yield make
    for each in made:
        if each.process is not None and each.process.poll() is None:
            each.kill()


@pytest.fixture
def python(tmp_path: Path) -> Callable[[str], tuple[str, ...]]:
    """Return what writes a Python script and gives the entrypoint that runs it."""

    def write(text: str) -> tuple[str, ...]:
        path = tmp_path / f"script-{len(list(tmp_path.glob('script-*')))}.py"
        path.write_text(text)
        return (sys.executable, str(path))

    return write


def until(true: Callable[[], Any], timeout: float = 60.0) -> None:
    """Return once ``true()``; for what no report tells of."""
    end, pause = time.monotonic() + timeout, threading.Event()
    while not true():
        assert time.monotonic() < end, "it never came true"
        pause.wait(0.01)

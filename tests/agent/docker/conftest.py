"""Real agents on a real container engine, and images made for what a test is about."""

import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import Agent, until

from trainshed.domain.plan import NodePlan
from trainshed.testing.plans import node_plan
from trainshed.testing.reports import Reports

BASE = "trainshed-test/python:base"
ENGINE = "/var/run/docker.sock"


def docker(*words: str, given: str | None = None, check: bool = True) -> str:
    """Return what the engine's own command line tool says: another witness than our client."""
    ran = subprocess.run(
        ["docker", *words],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DOCKER_HOST": f"unix://{ENGINE}", "DOCKER_BUILDKIT": "0"},
    )
    assert not check or ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


class DockerAgent(Agent):
    """One real agent whose container is the engine's."""

    @property
    def container(self) -> str:
        return f"trainshed-{self.plan.node_id}"

    def inspect(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(docker("inspect", self.container))[0]
        return found

    def wait_for_container(self) -> None:
        until(lambda: docker("ps", "-q", "--filter", f"name=^{self.container}$"))

    def wait_for_container_that_ended(self) -> None:
        ended = ("--filter", "status=exited", "--filter", f"name=^{self.container}$")
        until(lambda: docker("ps", "-aq", *ended))

    def left(self) -> str:
        """Return what is left in the engine of the node and its attempt."""
        attempt = self.plan.node_id.rpartition(".")[0]
        return (
            docker("ps", "-aq", "--filter", f"label=trainshed.node={self.plan.node_id}")
            + docker("network", "ls", "-q", "--filter", f"label=trainshed.attempt={attempt}")
            + " ".join(str(path) for path in self.folder.glob("to-clean*"))
        )

    def remove(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        label = f"label=trainshed.node={self.plan.node_id}"
        for found in docker("ps", "-aq", "--filter", label).split():
            docker("rm", "-fv", found)
        attempt = self.plan.node_id.rpartition(".")[0]
        label = f"label=trainshed.attempt={attempt}"
        for found in docker("network", "ls", "-q", "--filter", label).split():
            docker("network", "rm", found, check=False)  # the last of its hosts removes it


@pytest.fixture
def agent(tmp_path: Path, reports: Reports) -> Iterator[Callable[..., DockerAgent]]:
    """Return a maker of agents; whatever they made is gone after the test, and by themselves."""
    made: list[DockerAgent] = []
    job = uuid.uuid4().hex[:12]

    def make(script: str | None = None, **changes: Any) -> DockerAgent:
        if script is not None:
            changes["entrypoint"] = ("/bin/sh", "-c", script)
        plain: dict[str, Any] = {
            "node_id": f"{job}.{len(made) + 1}.algo-1",
            "image": BASE,
            "environment_path": "",
            "runtime": "docker",
            "cache": str(tmp_path / "cache"),
        }
        plan: NodePlan = node_plan(
            tmp_path, server_url=reports.url, token=reports.token, **{**plain, **changes}
        )
        made.append(DockerAgent(tmp_path, plan, reports))
        return made[-1]

    yield make
    left = [each.left() for each in made if each.process is not None and each.process.poll() == 0]
    for each in made:
        each.remove()
    assert not any(left), left


@pytest.fixture(scope="session")
def image() -> Iterator[Callable[[str], str]]:
    """Return what builds an image from the lines that follow ``FROM``; they go at the end."""
    built: dict[str, str] = {}

    def build(lines: str) -> str:
        if lines not in built:
            name = f"trainshed-test/agent-{uuid.uuid4().hex[:12]}:1"
            docker("build", "-q", "-t", name, "-", given=f"FROM {BASE}\n{lines}\n")
            built[lines] = name
        return built[lines]

    yield build
    for name in built.values():
        docker("rmi", "-f", name)

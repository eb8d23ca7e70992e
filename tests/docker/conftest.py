"""A server whose jobs are containers, as long as a module's tests run."""

from collections.abc import Iterator

import pytest
from tests.docker.shed import DockerShed

from trainshed.testing.server import Server

SETTINGS = """
backend = "docker"
[backends.docker]
max_nodes = 8
stop_seconds = 4
shm = "64m"
"""


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerShed]:
    folder = tmp_path_factory.mktemp("docker")
    with Server(folder / "data", SETTINGS) as server:
        yield DockerShed(server, folder)

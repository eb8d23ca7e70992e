"""The runtimes that every row of the contract is held to."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.contract.place import Place

RUNTIMES = ("process", pytest.param("docker", marks=pytest.mark.docker))
Places = Callable[[str], Place]


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Places]:
    """The runtimes by name, each with a server as long as the tests run."""
    base = tmp_path_factory.getbasetemp()
    # The workers of one run have their folders side by side.
    shared = Path(base if worker_id == "master" else base.parent) / "contract-seen"
    shared.mkdir(exist_ok=True)
    known: dict[str, Place] = {}

    def place(runtime: str) -> Place:
        if runtime not in known:
            own = tmp_path_factory.mktemp(f"contract-{runtime}")
            known[runtime] = Place(runtime, shared, own)
        return known[runtime]

    yield place
    for each in known.values():
        each.close()


@pytest.fixture(scope="session", params=RUNTIMES)
def place(request: pytest.FixtureRequest, places: Places) -> Place:
    """A runtime that jobs can be run on."""
    return places(request.param)


@pytest.fixture(scope="session")
def processes(places: Places) -> Place:
    """The process runtime, for what it has otherwise."""
    return places("process")


@pytest.fixture(scope="session")
def containers(places: Places) -> Place:
    """The Docker runtime, for what only an image can have."""
    return places("docker")

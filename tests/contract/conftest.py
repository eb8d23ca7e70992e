"""The runtimes that every row of the contract is held to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.place import Place

RUNTIMES = ("process",)


@pytest.fixture(scope="session", params=RUNTIMES)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[Place]:
    """A runtime that jobs can be run on."""
    own = tmp_path_factory.mktemp(f"contract-{request.param}")
    # The workers of one run have their folders side by side.
    shared = Path(own.parent if worker_id == "master" else own.parent.parent) / "contract-seen"
    shared.mkdir(exist_ok=True)
    place = Place(request.param, shared, own)
    yield place
    place.close()

"""One real server for all; each test has a bucket of its own, and the clients it asks."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from tests.s3.clients import CLIENTS, Access, Aws, Client
from tests.stores.objects.embedded_fixtures import copied

from trainshed.testing.server import Server

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="session")
def access(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Access:
    return Access(server.url, server.keys, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def _clients(access: Access) -> Iterator[dict[str, Client]]:
    made: dict[str, Client] = {}
    yield made
    for client in made.values():
        if isinstance(client, Aws):
            client.close()


@pytest.fixture
def bucket(access: Access) -> str:
    """A bucket of the test's own."""
    name = f"bucket-{next(_numbers)}"
    access.boto3().create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def crowded(server: Server, access: Access) -> tuple[str, list[str]]:
    """A bucket with more keys than a page holds, to be read only; and its keys."""
    s3 = access.boto3()
    s3.create_bucket(Bucket="crowded")
    names = [f"n/{number:04}" for number in range(1_203)]
    s3.put_object(Bucket="crowded", Key=names[0], Body=b"")
    copied(server.data / "trainshed.db", "crowded", names[0], names[1:])
    return "crowded", names


@pytest.fixture
def s3(access: Access) -> Any:
    """boto3's client."""
    return access.boto3()


@pytest.fixture
def client(
    request: pytest.FixtureRequest, access: Access, bucket: str, _clients: dict[str, Client]
) -> Client:
    """The client that the test names with ``asked``, on the test's bucket."""
    name: str = request.param
    if name == "obstore" or name not in _clients:
        _clients[name] = CLIENTS[name](access, bucket)
    _clients[name].bucket = bucket
    return _clients[name]

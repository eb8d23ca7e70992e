"""Addresses that the server's settings put in another store: commands go there, too."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Shell
from tests.client.fake_server import FakeServer, serving

from trainshed.testing.server import Server

SETTINGS = """
[[stores]]
prefix = "s3://far/"
endpoint = "{url}"
access_key = "key"
secret_key = "secret"

[[stores]]
prefix = "s3://shared/theirs/"
endpoint = "{url}"
access_key = "key"
secret_key = "secret"

[[stores]]
prefix = "s3://cloud/"
endpoint = "{url}"

[[stores]]
prefix = "gs://google/"
endpoint = "{url}"
secret_key = "{account}"
"""
ACCOUNT = {
    "gcs_base_url": "",
    "disable_oauth": True,
    "client_email": "",
    "private_key": "",
    "private_key_id": "",
}
"""What Google's clients take for a service account where a stand-in asks for no token."""


@pytest.fixture(scope="module")
def far() -> Iterator[FakeServer]:
    with serving(FakeServer(buckets={"far", "shared"}, unsigned=True)) as store:
        yield store


@pytest.fixture(scope="module")
def server(far: FakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    account = tmp_path_factory.mktemp("keys") / "account.json"
    account.write_text(json.dumps(ACCOUNT | {"gcs_base_url": far.url}))
    settings = SETTINGS.format(url=far.url, account=account)
    with Server(tmp_path_factory.mktemp("server"), settings) as running:
        yield running


@pytest.fixture
def here(server: Server, tmp_path: Path) -> Shell:
    (tmp_path / "a").write_text("content")
    return Shell(server.data, tmp_path)


@pytest.mark.parametrize("uri", ["s3://far/in/a", "s3://shared/theirs/in/a"])
def test_data_goes_to_the_store_of_its_address_and_comes_from_there(
    here: Shell, far: FakeServer, uri: str
) -> None:
    assert here("data", "put", "a", uri).err == "sent 1 file, 7 B\n"
    assert far.objects[uri.removeprefix("s3://")] == b"content"
    assert here("data", "ls", uri).lines[0].split()[-1] == "a"
    here("data", "get", uri, "back")
    assert (here.folder / "back").read_text() == "content"


def test_beside_a_prefix_of_another_store_is_the_servers_own(here: Shell, far: FakeServer) -> None:
    assert "made the bucket shared" in here("data", "put", "a", "s3://shared/ours").err
    assert "shared/ours" not in far.objects


def test_what_is_not_in_another_store_is_said_of_the_object(here: Shell) -> None:
    said = here("data", "get", "s3://shared/theirs/none", "x", code=7).err
    assert "nothing is at s3://shared/theirs/none" in said


def test_a_store_whose_keys_only_nodes_have_is_refused_with_what_to_do(
    here: Shell, far: FakeServer
) -> None:
    said = here("data", "put", "a", "s3://cloud/a", code=1).err
    assert "s3://cloud/ lies in the store at" in said
    assert f"AWS_ENDPOINT_URL={far.url} trainshed data" in said


def test_what_lies_in_another_cloud_is_brought_too(here: Shell, far: FakeServer) -> None:
    large = bytes(range(256)) * 80_000
    far.objects |= {"google/in/a": b"1", "google/in/sub/large": large}
    here("data", "get", "gs://google/in/", "back")
    assert (here.folder / "back/a").read_text() == "1"
    assert (here.folder / "back/sub/large").read_bytes() == large
    here("data", "get", "gs://google/in/a", "one")
    assert (here.folder / "one").read_text() == "1"
    said = here("data", "get", "gs://google/none", "x", code=7).err
    assert "nothing is at gs://google/none" in said
    said = here("data", "get", "gs://google/in", "x", code=1).err
    assert "gs://google/in is a folder" in said
    assert "in no S3 store" in here("data", "ls", "gs://google/in/", code=1).err

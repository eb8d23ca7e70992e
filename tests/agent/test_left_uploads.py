"""Uploads of agents that died: a store is not left with their parts."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.agent.conftest import Agent, until
from tests.agent.test_s3 import stores
from tests.stores.remote.breaking import Breaking
from tests.stores.remote.conftest import Server

MakeAgent = Callable[..., Agent]
MODEL = "head -c 20000000 /dev/urandom >/opt/ml/model/w"


class Slow:
    """A store that falls silent once an upload has begun."""

    def __init__(self) -> None:
        self.store = Server()
        host, port = self.store.access["endpoint"].removeprefix("http://").split(":")
        self.way = Breaking((host, int(port)))
        self.way.change = self._begun

    def _begun(self, data: bytes) -> bytes:
        if b"</InitiateMultipartUploadResult>" in data:
            self.way.change = lambda data: data
            self.way.stop_after(1)
        return data

    def uploads(self) -> list[str]:
        found = self.store.client.list_multipart_uploads(Bucket="bkt").get("Uploads", [])
        return [each["Key"] for each in found]


@pytest.fixture
def slow() -> Iterator[Slow]:
    found = Slow()
    yield found
    found.way.close()
    for each in found.store.client.list_objects_v2(Bucket="bkt").get("Contents", []):
        found.store.client.delete_object(Bucket="bkt", Key=each["Key"])
    found.store.client.delete_bucket(Bucket="bkt")
    found.store.client.close()
    found.store.stop()


@pytest.fixture
def killed(agent: MakeAgent, slow: Slow, tmp_path: Path) -> Agent:
    """An agent that was killed while it sent its model, and what it left in the store."""
    node = agent(
        MODEL,
        stores=stores({**slow.store.access, "endpoint": slow.way.endpoint}),
        output_path="s3://bkt/out",
        uploads=str(tmp_path / "uploads"),
    ).start()
    until(lambda: slow.uploads() == ["out/job-1/output/model.tar.gz"])
    until(lambda: any((tmp_path / "uploads").glob("*")))
    node.kill()
    slow.way.go_on()
    assert slow.uploads() == ["out/job-1/output/model.tar.gz"]
    return node


def test_the_next_agent_gives_them_up_and_sends_anew(
    killed: Agent, slow: Slow, tmp_path: Path
) -> None:
    killed.start().wait()
    assert killed.ended() == ("completed", "")
    assert slow.uploads() == []
    assert list((tmp_path / "uploads").iterdir()) == []
    assert slow.store.client.head_object(Bucket="bkt", Key="out/job-1/output/model.tar.gz")


def test_they_are_given_up_when_the_node_is_removed(killed: Agent, slow: Slow) -> None:
    cleaned = subprocess.run(
        [sys.executable, "-I", "-m", "trainshed.agent", "--clean", str(killed.folder)], check=False
    )
    assert cleaned.returncode == 0
    assert slow.uploads() == []

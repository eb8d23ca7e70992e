"""One Pipe feed on objects that have to be fetched, without an agent around it."""

import os
import random
import select
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sagemaker_training.recordio import _read_recordio
from tests.agent.feeding.conftest import emptied
from tests.agent.test_inputs import channel
from tests.stores.remote.conftest import Server

from trainshed.agent.channels.items import BadInput
from trainshed.agent.feeding.pipe import Pipe
from trainshed.contract.tree import Tree
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.testing.plans import node_plan

DRAW = random.Random(3)
OBJECTS = {f"p/{n:03d}": DRAW.randbytes(DRAW.choice([0, 1, 5000])) for n in range(150)} | {
    "p/large-1": DRAW.randbytes(5_000_001),
    "p/large-2": DRAW.randbytes(1 << 20),
    "p/small": b"last",
}


@pytest.fixture(scope="module")
def s3() -> Iterator[Server]:
    server = Server()
    server.put(**OBJECTS)
    yield server
    emptied(server)


class Fed:
    """A channel that is being fed, and what came of it."""

    def __init__(self, folder: Path, s3: Server, asked: dict[str, Any]) -> None:
        self.tree = Tree(folder / "ml")
        self.tree.data.mkdir(parents=True)
        plan = node_plan(folder, server_url="", token="", channels=(asked,), objects=s3.access)
        self.feed = Pipe(asked, self.tree, plan, RemoteObjects.for_node(plan))
        self.trouble: list[BaseException] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.feed.open()
        self.thread.start()

    def epoch(self, number: int) -> Any:
        path = self.tree.data / f"train_{number}"
        while not path.exists():
            assert not self.over.wait(0.005), self.trouble
        return path.open("rb")

    def _serve(self) -> None:
        try:
            self.feed.serve()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.trouble.append(error)
        self.over.set()

    def close(self) -> None:
        self.feed.close()
        self.thread.join(60)
        assert not self.thread.is_alive()
        assert not list(self.tree.data.iterdir())


Feed = Callable[..., Fed]


@pytest.fixture
def feed(tmp_path: Path, s3: Server) -> Iterator[Feed]:
    made: list[Fed] = []

    def make(uri: str = "s3://bkt/p/", **more: Any) -> Fed:
        made.append(Fed(tmp_path, s3, channel(uri, InputMode="Pipe", **more)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_objects_come_whole_and_in_order_though_many_are_fetched_at_once(feed: Feed) -> None:
    fed = feed()
    for epoch in range(2):
        with fed.epoch(epoch) as file:
            assert file.read() == b"".join(OBJECTS.values())


def test_every_object_is_a_record(feed: Feed) -> None:
    with feed(RecordWrapperType="RecordIO").epoch(0) as file:
        assert list(_read_recordio(file)) == list(OBJECTS.values())


def test_a_manifests_objects_become_records_though_no_list_told_their_sizes(
    feed: Feed, s3: Server
) -> None:
    s3.put(list=b'[{"prefix": "s3://bkt/p/"}, "large-1", "small", "large-2"]')
    fed = feed("s3://bkt/list", kind="ManifestFile", RecordWrapperType="RecordIO")
    with fed.epoch(0) as file:
        found = list(_read_recordio(file))
    assert found == [OBJECTS[f"p/{name}"] for name in ("large-1", "small", "large-2")]


def test_epochs_that_are_left_early_follow_one_another(feed: Feed) -> None:
    fed = feed()
    for epoch in range(10):
        with fed.epoch(epoch) as file:
            assert file.read(100) == b"".join(OBJECTS.values())[:100]


def test_an_object_that_was_replaced_is_trouble_and_no_end(feed: Feed, s3: Server) -> None:
    s3.put(**{"changing/1": b"one", "changing/2": b"two"})
    fed = feed("s3://bkt/changing/")
    s3.put(**{"changing/2": b"other"})
    with fed.epoch(0) as file:
        fd = file.fileno()
        os.set_blocking(fd, False)
        assert fed.over.wait(60)
        read = b""
        while select.select([fd], [], [], 0)[0]:  # an end would be readable for ever
            piece = os.read(fd, 100)
            assert piece, "the pipe came to an end"
            read += piece
        assert read == b"one"
    assert "s3://bkt/changing/2" in str(fed.trouble[0])


def test_a_prefix_with_nothing_but_folder_markers_is_refused(feed: Feed, s3: Server) -> None:
    s3.put(**{"markers/": b"", "markers/sub/": b""})
    with pytest.raises(BadInput, match="S3 key: s3://bkt/markers/ matched no files on s3"):
        feed("s3://bkt/markers/")


def test_a_feed_is_closed_while_its_reader_sleeps(feed: Feed) -> None:
    fed = feed("s3://bkt/p/large-1")
    with fed.epoch(0) as file:
        file.read(1)
        fed.close()


def test_a_feed_that_is_closed_while_it_turns_to_its_next_epoch_leaves_no_pipe(
    tmp_path: Path, s3: Server
) -> None:
    for number in range(25):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "one").write_text("1")
        fed = Fed(folder, s3, channel(f"file://{folder}/one", InputMode="Pipe"))
        with fed.epoch(0) as file:
            file.read(1)
        fed.close()
        assert not fed.trouble


def test_a_feed_that_nobody_came_for_is_closed(feed: Feed) -> None:
    feed()

"""Views of objects that come over a network."""

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import until
from tests.agent.feeding.conftest import emptied
from tests.agent.test_inputs import channel
from tests.stores.remote.conftest import Server

from trainshed.agent.channels.items import BadInput, Item
from trainshed.agent.feeding import mounting
from trainshed.agent.feeding.catalogue import Catalogue
from trainshed.agent.feeding.fastfile import FastFile, Files
from trainshed.agent.feeding.view import Mounted
from trainshed.contract.tree import Tree
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.testing.plans import node_plan

MIB = 1 << 20


class Shown:
    """Views of buckets, in this process."""

    def __init__(self, folder: Path, s3: Server) -> None:
        self._folder, self._s3 = folder, s3
        self._open: list[FastFile] = []
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self.said: list[str] = []

    def __call__(self, uri: str, name: str = "train", **changes: Any) -> Path:
        """Return the folder where a prefix is shown."""
        source = changes.pop("source", {})
        plan = node_plan(self._folder, server_url="", token="", objects=self._s3.access, **changes)
        objects = RemoteObjects.for_node(
            plan, complain=self.said.append, cancelled=self._closing.is_set
        )
        tree = Tree(self._folder / "node/ml")
        feed = FastFile(channel(uri, name=name, source=source), tree, plan, objects)
        self._open.append(feed)
        feed.open()
        self._threads.append(threading.Thread(target=feed.serve))
        self._threads[-1].start()
        return tree.channel(name)

    def close(self) -> None:
        self._closing.set()
        for feed in self._open:
            feed.close()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()
        assert mounting.mounted_below(str(self._folder)) == []


Show = Callable[..., Path]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    found = Server()
    yield found
    emptied(found)


@pytest.fixture
def show(tmp_path: Path, server: Server) -> Iterator[Shown]:
    found = Shown(tmp_path, server)
    yield found
    found.close()


def test_random_reads_by_several_at_once_are_the_objects_bytes(show: Show, server: Server) -> None:
    chance = random.Random(3)
    content = {str(n): chance.randbytes(chance.randrange(1, 6 * MIB)) for n in range(4)}
    server.put(**{f"random/{name}": data for name, data in content.items()})
    place = show("s3://bkt/random")
    wrong: list[tuple[str, int]] = []

    def check(name: str) -> None:
        mine = random.Random(name)
        with (place / name).open("rb", buffering=0) as file:
            for _ in range(15):
                at, size = mine.randrange(6 * MIB), mine.randrange(400_000)
                if os.pread(file.fileno(), size, at) != content[name][at : at + size]:
                    wrong.append((name, at))
            if (place / name).read_bytes() != content[name]:
                wrong.append((name, -1))

    threads = [threading.Thread(target=check, args=(name,)) for name in content]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_names_sizes_and_times_are_those_of_the_list(show: Show, server: Server) -> None:
    names = ["a b", "größe-日本", "plus+and&percent%20", "sub/x", "sub/deep/y", "empty/"]
    server.put(**{f"named/{name}": b"" if name.endswith("/") else b"12345" for name in names})
    place = show("s3://bkt/named/")
    found = {str(path.relative_to(place)) for path in place.rglob("*")}
    assert found == {*names[:5], "sub", "sub/deep", "empty"}
    listed = server.client.list_objects_v2(Bucket="bkt", Prefix="named/a b")["Contents"][0]
    status = (place / "a b").stat()
    assert status.st_size == 5
    assert int(status.st_mtime) == int(listed["LastModified"].timestamp())
    assert list((place / "empty").iterdir()) == []


def test_an_object_that_is_replaced_cannot_be_read_and_the_log_says_so_once(
    show: Shown, server: Server
) -> None:
    server.put(**{"replaced/x": b"o" * (20 * MIB), "replaced/y": b"same"})
    place = show("s3://bkt/replaced/")
    with (place / "x").open("rb", buffering=0) as file:
        assert file.read(100) == b"o" * 100
        server.put(**{"replaced/x": b"n" * (20 * MIB)})
        file.seek(15 * MIB)
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output") as caught:
                file.read(100)
            assert caught.value.errno == errno.EIO
    assert len(show.said) == 1
    assert show.said[0].startswith("x cannot be read any more: s3://bkt/replaced/x")
    assert (place / "y").read_bytes() == b"same"


def test_a_read_goes_on_where_the_store_went_away_and_came_back(show: Show, server: Server) -> None:
    content = random.Random(5).randbytes(24 * MIB)
    server.put(**{"away/x": content})
    place = show("s3://bkt/away/")
    with (place / "x").open("rb") as file:
        begun = file.read(MIB)
        server.stop()
        rest: list[bytes] = []
        reader = threading.Thread(target=lambda: rest.append(file.read()))
        reader.start()
        server.start()
        reader.join(60)
    assert begun + rest[0] == content


def test_a_program_that_waits_for_a_store_that_is_away_can_be_killed(
    show: Show, server: Server
) -> None:
    server.put(**{"killed/x": b"x" * MIB})
    place = show("s3://bkt/killed/")
    server.stop()
    try:
        read = "import sys; file = open(sys.argv[1], 'rb', 0); print(1, flush=True); file.read()"
        with subprocess.Popen(
            [sys.executable, "-c", read, str(place / "x")], stdout=subprocess.PIPE
        ) as program:
            assert program.stdout is not None
            program.stdout.readline()
            until(lambda: "fuse" in Path(f"/proc/{program.pid}/wchan").read_text()
                  or "folio" in Path(f"/proc/{program.pid}/wchan").read_text()
                  or program.poll() is not None)  # fmt: skip
            program.send_signal(signal.SIGKILL)
            assert program.wait(60) == -signal.SIGKILL
    finally:
        server.start()


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("s3://bkt/parts/tr", "is no folder: it is only the beginning of other names"),
        ("s3://bkt/parts/none/", "matched no files"),
        ("s3://bkt/parts/none", "matched no files"),
        ("s3://nowhere/x", "does not exist"),
        ("s3://bkt/slashes/", "illegal char sub-sequence '//'"),
        ("s3://bkt/clash/", 'the name "a" is both an object of the channel and a folder'),
    ],
)
def test_what_cannot_be_shown_is_refused(show: Show, server: Server, uri: str, reason: str) -> None:
    keys = ["parts/train/x", "parts/train2", "slashes/a//b", "clash/a", "clash/a/b"]
    server.put(**dict.fromkeys(keys, b"x"))
    with pytest.raises(BadInput, match=reason):
        show(uri)


def test_a_folder_is_not_mistaken_for_its_namesakes(show: Show, server: Server) -> None:
    server.put(**dict.fromkeys(["same/a/x", "same/a.csv", "same/ab/y", "same/one"], b"x"))
    assert [path.name for path in show("s3://bkt/same/a").rglob("*")] == ["x"]
    assert [path.name for path in show("s3://bkt/same/one", name="one").rglob("*")] == ["one"]


def test_objects_are_dealt_to_nodes_as_in_file_mode(show: Shown, server: Server) -> None:
    server.put(**{f"dealt/{n}": b"x" for n in range(5)})
    dealt = {"S3DataDistributionType": "ShardedByS3Key"}
    hosts = ("algo-1", "algo-2")
    found = [
        sorted(path.name for path in show("s3://bkt/dealt/", host, host=host, hosts=hosts,
                                          source=dealt).iterdir())
        for host in hosts
    ]  # fmt: skip
    assert found == [["0", "2", "4"], ["1", "3"]]


def test_objects_are_dealt_among_the_nodes_of_the_channels_groups(
    show: Shown, server: Server
) -> None:
    server.put(**{f"grouped/{n}": b"x" for n in range(4)})
    source = {"S3DataDistributionType": "ShardedByS3Key", "InstanceGroupNames": ["b"]}
    groups = (
        {"instance_group_name": "a", "instance_type": "t", "hosts": ["algo-1"]},
        {"instance_group_name": "b", "instance_type": "t", "hosts": ["algo-2", "algo-3"]},
    )
    place = show(
        "s3://bkt/grouped/",
        source=source,
        host="algo-3",
        hosts=("algo-1", "algo-2", "algo-3"),
        instance_groups=groups,
    )
    assert sorted(path.name for path in place.iterdir()) == ["1", "3"]


def test_twenty_thousand_objects_are_shown_without_being_kept_in_memory(tmp_path: Path) -> None:
    def all_of_them() -> Iterator[Item]:
        for n in range(20_000):
            path = f"{n // 5_000}/{n:05}"
            yield Item(Address("s3", "bkt", f"many/{path}"), path, n, "etag")

    catalogue = Catalogue(tmp_path / "catalogue.db")
    tracemalloc.start()
    catalogue.fill(all_of_them())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 * MIB
    place = tmp_path / "view"
    place.mkdir()
    files = Files(catalogue, Address("s3", "bkt", "many/"), RemoteObjects({}))
    mounted = Mounted(files, place)
    try:
        listed = subprocess.run(["find", place, "-type", "f", "-printf", "%P %s\n"],
                                capture_output=True, text=True, check=True)  # fmt: skip
    finally:
        mounting.unmount_below(place)
        mounted.wait()
        files.end()
        catalogue.close()
    assert listed.stdout.splitlines() == [f"{n // 5_000}/{n:05} {n}" for n in range(20_000)]

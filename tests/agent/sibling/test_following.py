"""A container's output is followed through refusals and breaks, and kept for the next agent."""

import select
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.conftest import until
from tests.agent.sibling.conftest import MakeSpot, Spot

from trainshed.agent.runtimes.sibling.cluster import Cluster
from trainshed.agent.runtimes.sibling.following import Following, Kept
from trainshed.agent.runtimes.sibling.place import Place
from trainshed.agent.runtimes.sibling.transcript import Position
from trainshed.testing.pod_log import Entry, stamp

NOW = 1_790_000_000_000_000_000


@pytest.fixture
def node(spot: MakeSpot) -> Iterator[Spot]:
    made = spot()
    made.set_main({"running": {}})
    yield made
    with made.cluster.changed:
        made.cluster.over = True
    until(lambda: not any(each.name == "pod-log" for each in threading.enumerate()))


def _follow(node: Spot, kept: Path, said: list[str]) -> Following:
    place = Place(root=node.root, pod=node.name, uid=node.uid, host="127.0.0.1",
                  port=node.cluster.port)  # fmt: skip
    return Following(Cluster(place), node.name, kept, complain=said.append)


def _read(following: Following, size: int) -> bytes:
    """Return what was heard, once it is as much."""
    found = b""
    while len(found) < size:
        assert select.select([following.written.fd], [], [], 30)[0]
        pieces = following.written.take()
        assert pieces is not None
        found += b"".join(data for _, data in pieces)
    return found


def test_what_is_refused_for_a_while_comes_afterwards(node: Spot, tmp_path: Path) -> None:
    node.cluster.refused[".*/log"] = 403
    node.cluster.write(Entry(NOW, b"a\n"))
    following = _follow(node, tmp_path / "kept", [])
    until(lambda: sum("/log?" in each for each in node.cluster.asked) > 1)
    node.cluster.refused.clear()
    assert _read(following, 2) == b"a\n"
    following.close()


@pytest.mark.parametrize("status", [403, 404, 502])
def test_the_end_of_what_can_not_be_read_is_given_up_and_said(
    node: Spot, tmp_path: Path, status: int
) -> None:
    node.cluster.write(Entry(NOW, b"a\n"))
    said: list[str] = []
    following = _follow(node, tmp_path / "kept", said)
    assert _read(following, 2) == b"a\n"
    node.cluster.refused[".*/log"] = status
    node.cluster.break_off()
    following.conclude(0.0)
    assert following.written.take() is None
    (line,) = said
    assert line.startswith("the last of what the container wrote cannot be read: ")
    following.close()


def test_what_was_heard_is_kept_by_whole_lines(node: Spot, tmp_path: Path) -> None:
    node.cluster.write(Entry(NOW, b"a\n"), Entry(NOW + 1, b"torn"))
    first = _follow(node, tmp_path / "kept", [])
    assert _read(first, 6) == b"a\ntorn"
    first.close()
    position, heard = Position(), list[bytes]()
    kept = Kept(tmp_path / "kept")
    kept.replay(position, lambda text: bool(heard.append(text)) or True)
    kept.close()
    assert heard == [b"a\n"]
    assert (tmp_path / "kept").read_bytes() == stamp(NOW) + b" a\n"
    node.cluster.write(Entry(NOW + 2, b" no more\n"))
    second = _follow(node, tmp_path / "kept", [])
    assert _read(second, 15) == b"a\ntorn no more\n"
    second.close()


def test_a_disk_without_room_is_no_reason_to_fail() -> None:
    kept = Kept(Path("/dev/full"))
    for _ in range(2):
        kept.add(b"a line\n")
    kept.close()

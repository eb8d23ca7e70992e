"""What warm pools keep on this machine: who finds it, and when it goes, whoever dies meanwhile."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainshed.app.clock import now
from trainshed.drivers.base import Capabilities
from trainshed.drivers.local.driver import LocalDriver
from trainshed.drivers.local.leftovers import NodeLeftovers
from trainshed.drivers.local.pools import Pools


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    (tmp_path / "nodes").mkdir()
    return tmp_path / "nodes"


@pytest.fixture
def driver(nodes: Path) -> Iterator[LocalDriver]:
    found = LocalDriver(
        name="local",
        root=nodes,
        capabilities=Capabilities(max_nodes=4),
        environment=os.environ,
        clock=now,
    )
    yield found
    found.close()


def join(nodes: Path, node_id: str, chain: str = "a.1") -> Path:
    """Return the folder that a node finds."""
    (nodes / node_id).mkdir(exist_ok=True)
    return Pools(nodes).join(chain, "algo-1", node_id)


def kept(nodes: Path) -> list[str]:
    return [folder.name for _, folder in Pools(nodes).chains()]


def test_nodes_of_a_chain_find_the_same_folder(nodes: Path) -> None:
    first = join(nodes, "a.1.algo-1")
    (first / "wheel").touch()
    assert join(nodes, "b.1.algo-1") == first
    assert (first / "wheel").exists()
    assert join(nodes, "c.1.algo-1", "c.1") != first


async def test_nothing_goes_while_a_node_of_the_chain_is_there(
    nodes: Path, driver: LocalDriver
) -> None:
    """The time of a pool may be over at the very moment in which another job gets its nodes."""
    join(nodes, "a.1.algo-1")
    (nodes / "a.1.algo-1").rmdir()
    cache = join(nodes, "b.1.algo-1")
    await driver.release_pool("a.1")
    assert cache.is_dir()
    (nodes / "b.1.algo-1").rmdir()
    await driver.release_pool("a.1")
    assert kept(nodes) == []
    assert join(nodes, "c.1.algo-1").is_dir()


async def test_a_deletion_that_was_cut_short_is_done_to_its_end(
    nodes: Path, driver: LocalDriver
) -> None:
    (join(nodes, "a.1.algo-1") / "deep" / "er").mkdir(parents=True)
    join(nodes, "aa.1.algo-1", "aa.1")
    (nodes / "a.1.algo-1").rmdir()
    (doomed,) = Pools(nodes).leave("a.1")  # and then the server died
    assert doomed.is_dir()
    await driver.release_pool("a.1")
    assert kept(nodes) == ["aa.1"]
    await driver.release_pool("a.1")


async def test_what_is_left_of_chains_is_told_with_their_names_and_removed(
    nodes: Path, driver: LocalDriver
) -> None:
    join(nodes, "a.1.algo-1")
    (nodes / "a.1.algo-1").rmdir()
    Pools(nodes).leave("a.1")
    join(nodes, "b.1.algo-1", "b.1")
    (nodes / "b.1.algo-1").rmdir()
    leftovers = NodeLeftovers(nodes, driver, now)
    found = [item for item in await leftovers.find() if item.kind == "warm pool"]
    assert [item.owner for item in found] == ["a.1", "b.1"]
    for item in found:
        await leftovers.remove(item)
    assert kept(nodes) == []


async def test_where_nothing_was_kept_nothing_is_made(nodes: Path, driver: LocalDriver) -> None:
    await driver.release_pool("a.1")
    assert list(nodes.parent.iterdir()) == [nodes]

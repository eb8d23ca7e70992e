"""Views whose process, agent or server dies: nothing stays mounted, nothing is mixed."""

import asyncio
import errno
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.agent.conftest import Agent, until
from tests.agent.feeding.conftest import feeder, working_for
from tests.agent.feeding.test_fastfile import fast

from trainshed.agent.feeding import mounting
from trainshed.agent.feeding.fastfile import FastFile
from trainshed.app.clock import now
from trainshed.contract.tree import Tree
from trainshed.drivers.base import Capabilities, Handle
from trainshed.drivers.local.driver import LocalDriver
from trainshed.drivers.local.left_over import has_mounts
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.testing.plans import node_plan

MakeAgent = Callable[..., Agent]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a").write_text("a")
    return tmp_path / "data"


def removed(node: Agent) -> None:
    """Have a node removed as the server does."""
    driver = LocalDriver(
        name="local",
        root=node.folder.parent,
        capabilities=Capabilities(runtime="process", max_nodes=1),
        environment=dict(os.environ),
        clock=now,
    )
    asyncio.run(driver.remove(Handle("local", str(node.folder))))


def end(node: Agent, who: str) -> None:
    if who == "agent":
        node.kill()
    else:
        os.kill(feeder(node), signal.SIGKILL)


@pytest.mark.parametrize(
    "dead", [("agent",), ("agent", "feeder"), ("feeder", "agent")], ids="+".join
)
def test_removing_a_node_unmounts_what_is_left_of_it(
    agent: MakeAgent, data: Path, dead: Sequence[str]
) -> None:
    node = agent("echo up; sleep 600", channels=(fast(data),))
    node.start().wait_for_line("up")
    node.signal(signal.SIGSTOP)  # it would notice that the other is dead, and unmount
    for each in dead:
        end(node, each)
    assert mounting.mounted_below(str(node.folder))
    removed(node)
    assert mounting.mounted_below(str(node.folder.parent)) == []
    assert not node.folder.exists()
    assert (data / "a").read_text() == "a"
    until(lambda: not working_for(node))


def test_a_view_that_lost_its_process_answers_nothing_until_it_is_unmounted(
    agent: MakeAgent, data: Path
) -> None:
    node = agent("echo up; sleep 600", channels=(fast(data),))
    node.start().wait_for_line("up")
    end(node, "agent")
    end(node, "feeder")
    place = node.folder / "ml/input/data/train"
    with pytest.raises(OSError, match="onnect") as caught:
        (place / "a").read_text()
    assert caught.value.errno in {errno.ENOTCONN, errno.ECONNABORTED}
    mounting.unmount_below(node.folder)
    assert list(place.iterdir()) == []


def test_a_view_that_a_dead_process_left_is_replaced(
    agent: MakeAgent, data: Path, tmp_path: Path
) -> None:
    node = agent(f"echo up; [ -e {tmp_path}/again ] || sleep 600", channels=(fast(data),))
    node.start().wait_for_line("up")
    end(node, "agent")
    end(node, "feeder")
    (tmp_path / "again").touch()
    for name in ("journal.jsonl", "feeding.trouble"):
        (node.folder / name).unlink(missing_ok=True)
    node.start().wait()
    assert node.ended() == ("completed", "")
    assert mounting.mounted_below(str(node.folder)) == []


def test_a_view_in_a_folder_with_odd_characters_is_found(data: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd \\040 name\n\tö"
    plan = node_plan(tmp_path, server_url="", token="")
    feed = FastFile(fast(data), Tree(odd / "ml"), plan, RemoteObjects.for_node(plan))
    assert not has_mounts(odd)
    feed.open()
    assert has_mounts(odd)
    assert mounting.mounted_below(str(odd)) == [str(odd / "ml/input/data/train")]
    feed.close()
    assert not has_mounts(odd)
    feed.serve()

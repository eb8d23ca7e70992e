"""Agents and feeding processes that are killed, in every order."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.agent.conftest import Agent, until
from tests.agent.feeding.conftest import READER, emptied, feeder, piped, working_for
from tests.agent.test_inputs import channel
from tests.stores.remote.conftest import Server

from trainshed.drivers.local.left_over import end_left_over

MakeAgent = Callable[..., Agent]
Write = Callable[[str], tuple[str, ...]]

HOLD = (
    READER
    + """
file = epoch(0)
print(file.read(3).decode(), flush=True)
sys.stdout.flush()
more = file.read()
print("the end", len(more), flush=True)
"""
)


@pytest.fixture
def held(agent: MakeAgent, python: Write, tmp_path: Path) -> Agent:
    """A job in the middle of an epoch: its pipe is full, and it reads no more."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/1").write_bytes(b"<1>" + bytes(8 << 20))
    script = HOLD.replace("more =", "time.sleep(600); more =")
    node = agent(entrypoint=python(script), channels=[piped(tmp_path / "data")]).start()
    node.wait_for_line("<1>")
    return node


def test_a_killed_feeding_process_is_no_end_of_data(
    agent: MakeAgent, python: Write, tmp_path: Path
) -> None:
    (tmp_path / "data").write_bytes(b"<1>" + bytes(8 << 20))
    script = READER + (
        "file = epoch(0)\nprint(file.read(3).decode(), flush=True)\n"
        "while not os.path.exists('/opt/ml/input/go'): time.sleep(0.01)\n"
        "print('the end', len(file.read()), flush=True)\n"
    )
    node = agent(entrypoint=python(script), channels=[piped(tmp_path / "data")]).start()
    node.wait_for_line("<1>")
    os.kill(feeder(node), signal.SIGKILL)
    (node.folder / "ml/input/go").touch()
    node.wait()
    outcome, reason = node.ended()
    assert outcome == "lost"
    assert reason.startswith("InternalServerError: the process that feeds the channels of algo-1")
    assert working_for(node) == []


def test_a_feeding_process_outlives_its_agent_and_is_ended_by_the_next(held: Agent) -> None:
    pid = feeder(held)
    held.kill()
    assert feeder(held) == pid
    held.start().wait()
    outcome, reason = held.ended()
    assert outcome == "lost"
    assert reason.startswith("InternalServerError: the agent on algo-1 ended while the container")
    until(lambda: working_for(held) == [])


def test_a_feeding_process_that_outlives_all_is_found(held: Agent) -> None:
    held.kill()
    until(lambda: len(working_for(held)) == 1)
    pid = feeder(held)
    assert end_left_over(held.folder) == [pid]
    until(lambda: working_for(held) == [])


@pytest.mark.parametrize("first", ["agent", "feeding"])
def test_when_both_are_killed_the_next_agent_says_what_was_lost(held: Agent, first: str) -> None:
    pid = feeder(held)
    if first == "agent":
        held.kill()
        os.kill(pid, signal.SIGKILL)
    else:
        held.signal(signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        held.kill()
    until(lambda: working_for(held) == [])
    held.start().wait()
    assert held.ended()[0] == "lost"
    assert working_for(held) == []


def test_a_feeding_process_ends_when_the_folder_of_its_node_is_gone(held: Agent) -> None:
    held.kill()
    held.folder.rename(held.folder.with_name("elsewhere"))
    until(lambda: working_for(held) == [])


class Away:
    """A store that is away until it is started."""

    def __init__(self) -> None:
        self.server = Server()
        self.server.put(**{"p/1": b"<1>"})
        self.server.stop()
        self.is_away = True

    def start(self) -> None:
        self.server.start()
        self.is_away = False


@pytest.fixture
def s3() -> Iterator[Away]:
    store = Away()
    yield store
    if store.is_away:
        store.start()
    emptied(store.server)


@pytest.fixture
def away(agent: MakeAgent, python: Write, s3: Away) -> Agent:
    """A job whose channel can't be listed: the store is away, and waited for."""
    node = agent(
        entrypoint=python(READER + "print(epoch(0).read().decode())"),
        channels=[channel("s3://bkt/p/", InputMode="Pipe")],
        objects=s3.server.access,
    ).start()
    until(lambda: (node.folder / "feeding.sock").exists() and working_for(node))
    return node


def test_a_job_is_stopped_while_its_channels_are_listed(away: Agent) -> None:
    away.signal(15)
    away.wait()
    assert away.ended() == ("stopped", "")
    assert working_for(away) == []


def test_a_feeding_process_that_is_killed_while_it_lists_ends_the_job(away: Agent) -> None:
    os.kill(feeder(away), signal.SIGKILL)
    away.wait()
    assert away.ended()[0] == "lost"
    assert "training" not in away.kinds()


def test_the_next_agent_waits_for_the_list_that_an_agent_before_it_began(
    away: Agent, s3: Away
) -> None:
    pid = feeder(away)
    away.kill()
    away.start()
    until(lambda: (away.folder / "agent.lock").read_text().split()[:1] == [str(away.pid)])
    assert feeder(away) == pid
    s3.start()
    away.wait()
    assert away.ended() == ("completed", "")
    assert away.lines() == ["<1>"]
    assert working_for(away) == []


def test_an_agent_whose_feeding_process_died_with_the_one_before_starts_another(
    away: Agent, s3: Away
) -> None:
    pid = feeder(away)
    away.kill()
    os.kill(pid, signal.SIGKILL)
    s3.start()
    away.start().wait()
    assert away.ended() == ("completed", "")
    assert away.lines() == ["<1>"]

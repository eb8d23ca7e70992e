"""Containers of one attempt start together, and find each other whatever becomes of one."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import until
from tests.agent.docker.conftest import DockerAgent, docker

from trainshed.agent.runtimes.docker.locking import locked
from trainshed.domain.facts import Kind

pytestmark = pytest.mark.docker
MakeAgent = Callable[..., DockerAgent]
HOSTS = ("algo-1", "algo-2")
WAITS = "[trainshed] waiting for other hosts to get ready: "
FIND = """
until [ $HOSTNAME = algo-1 ] || [ -e /opt/ml/model/begin ]; do sleep 0.05; done
for host in algo-1 algo-2; do
    until getent ahostsv4 $host | grep STREAM; do sleep 0.05; done
done
echo found
until [ $HOSTNAME = algo-2 ] || [ -e /opt/ml/model/end ]; do sleep 0.05; done
"""


def _attempt(
    agent: MakeAgent, job: str, script: str, hosts: tuple[str, ...] = HOSTS, **changes: Any
) -> list[DockerAgent]:
    return [
        agent(script, node_id=f"{job}.1.{host}", host=host, hosts=hosts, **changes)
        for host in hosts
    ]


def _said(node: DockerAgent) -> list[str]:
    return [line for line in node.lines() if not line.startswith("[trainshed]")]


def _state(node: DockerAgent) -> str:
    return docker("ps", "-a", "--format={{.State}}", f"--filter=name=^{node.container}$")


def _journal(node: DockerAgent) -> str:
    path = node.folder / "journal.jsonl"
    return path.read_text() if path.exists() else ""


def _cut_out(path: Path, text: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if text not in line]
    assert len(kept) == len(lines) - 1
    path.write_text("".join(kept))


@pytest.mark.parametrize("isolated", [False, True])
def test_a_host_that_is_over_is_found_by_its_name(agent: MakeAgent, isolated: bool) -> None:
    first, second = _attempt(agent, f"over{isolated:d}", FIND, isolated=isolated)
    first.start()
    second.start()
    first.wait_for_line("found")
    (first.folder / "ml/model/end").touch()
    first.wait_for_container_that_ended()
    second.wait_for_container()
    (second.folder / "ml/model/begin").touch()
    for node in (first, second):
        node.wait()
    assert _said(first)[-1] == "found"
    assert _said(second) == _said(first)
    addresses = [line.split()[0] for line in _said(first)[:-1]]
    assert len(addresses) == len(set(addresses)) == 2
    assert [node.left() for node in (first, second)] == ["", ""]
    assert not list((first.folder.parents[1] / "cache/attempts").iterdir())


def test_no_container_starts_before_the_last_is_made(agent: MakeAgent) -> None:
    first, second = _attempt(agent, "last1", "echo ran")
    first.start()
    first.wait_for_line(f"{WAITS}algo-2")
    assert _state(first) == "created"
    assert first.fact(Kind.TRAINING) is None
    second.start()
    for node in (first, second):
        node.wait()
        assert node.ended() == ("completed", "")
        assert _said(node) == ["ran"]


def test_containers_start_one_after_another(agent: MakeAgent) -> None:
    nodes = _attempt(agent, "turn1", "echo ran")
    with locked(nodes[0].folder.parents[1] / "cache/attempts/turn1.1/turn"):
        for node in nodes:
            node.start()
        until(lambda: all('"training"' in _journal(node) for node in nodes))
        assert [_state(node) for node in nodes] == ["created", "created"]
    for node in nodes:
        node.wait()
        assert _said(node) == ["ran"]


def test_a_host_that_waits_for_others_can_be_stopped(agent: MakeAgent) -> None:
    _, second = _attempt(agent, "stop1", "echo ran")
    second.start()
    until(lambda: _state(second) == "created")
    second.signal(signal.SIGTERM)
    second.wait()
    assert second.ended() == ("stopped", "")
    assert second.left() == ""


def test_an_agent_that_is_killed_while_it_waits_goes_on_waiting(agent: MakeAgent) -> None:
    first, second = _attempt(agent, "kill1", "echo ran")
    second.start()
    until(lambda: _state(second) == "created")
    second.kill()
    second.start()
    first.start()
    for node in (first, second):
        node.wait()
        assert node.ended() == ("completed", "")
        assert _said(node) == ["ran"]


def test_a_host_that_starts_while_its_agent_dies_is_known_all_the_same(agent: MakeAgent) -> None:
    first, second = _attempt(agent, "beside1", FIND)
    first.start()
    second.start()
    first.wait_for_line("found")
    known = first.folder.parents[1] / "cache/attempts/beside1.1"
    until(lambda: (known / "notes").read_text().count("started") == 2)
    first.kill()
    _cut_out(known / "notes", "started algo-1")
    _cut_out(known / "algo-2", "\talgo-1")
    (first.folder / "ml/model/end").touch()
    first.wait_for_container_that_ended()
    (second.folder / "ml/model/begin").touch()
    first.start()
    for node in (first, second):
        node.wait()
        assert node.ended() == ("completed", "")
    assert _said(second) == _said(first)


def test_a_name_is_known_once_its_host_has_started_and_in_every_container(
    agent: MakeAgent,
) -> None:
    script = "until [ -e /opt/ml/model/end ]; do cat /etc/hosts; echo; sleep 0.1; done"
    hosts = ("algo-1", "algo-2", "algo-3")
    nodes = _attempt(agent, "names1", script, hosts)
    for node in nodes:
        node.start()
    for node in nodes:
        for host in hosts:
            node.wait_for_line(f"\t{host}")
        lines = [line.split("\t") for line in _said(node)]
        assert ["127.0.0.1", "localhost"] in lines
        assert len({line[0] for line in lines if line[-1] in hosts}) == 3
    for node in nodes:
        (node.folder / "ml/model/end").touch()
    for node in nodes:
        node.wait()
        assert node.left() == ""

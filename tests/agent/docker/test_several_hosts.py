"""Containers of one attempt start together, and find each other whatever becomes of one."""

import signal
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from tests.agent.conftest import until
from tests.agent.docker.conftest import DockerAgent, docker

from trainshed.domain.facts import Kind

pytestmark = pytest.mark.docker
MakeAgent = Callable[..., DockerAgent]
HOSTS = ("algo-1", "algo-2")
WAITS = "[trainshed] waiting for other hosts to get ready: "
FIND = (
    "if [ $HOSTNAME = algo-2 ]; then until [ -e /opt/ml/model/begin ]; do sleep 0.05; done; fi; "
    "for host in algo-1 algo-2; do getent ahostsv4 $host | grep STREAM; done; echo found"
)


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


def _started(node: DockerAgent) -> datetime:
    # Python 3.11 knows microseconds at most.
    return datetime.fromisoformat(node.inspect()["State"]["StartedAt"][:26] + "+00:00")


@pytest.mark.parametrize("isolated", [False, True])
def test_a_host_that_is_over_is_found_by_its_name(agent: MakeAgent, isolated: bool) -> None:
    first, second = _attempt(agent, f"over{isolated:d}", FIND, isolated=isolated)
    first.start()
    second.start()
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


def test_programs_that_ask_the_engine_alone_find_a_host_that_runs(agent: MakeAgent) -> None:
    # As C libraries do in an image without nsswitch.conf.
    script = (
        "echo 'hosts: dns' >/etc/nsswitch.conf; until [ -e /opt/ml/model/end ]; do "
        "getent ahostsv4 algo-1 | grep STREAM; sleep 0.05; done"
    )
    nodes = _attempt(agent, "dns1", script)
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait_for_line("STREAM algo-1")
    for node in nodes:
        (node.folder / "ml/model/end").touch()
    for node in nodes:
        node.wait()
    assert _said(nodes[0])[0] == _said(nodes[1])[0]


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


def test_the_first_host_of_each_group_starts_before_the_others(agent: MakeAgent) -> None:
    hosts = ("algo-1", "algo-2", "algo-3")
    groups = (
        {"instance_group_name": "a", "instance_type": "ml.m5.large", "hosts": ["algo-1"]},
        {"instance_group_name": "b", "instance_type": "ml.m5.large", "hosts": ["algo-2", "algo-3"]},
    )
    script = "until [ -e /opt/ml/model/end ]; do sleep 0.05; done"
    nodes = _attempt(agent, "order1", script, hosts, instance_groups=groups)
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait_for_container()
    first, second, third = (_started(node) for node in nodes)
    assert max(first, second) < third
    for node in nodes:
        (node.folder / "ml/model/end").touch()
    for node in nodes:
        node.wait()


def test_an_agent_that_is_killed_beside_its_container_keeps_nobody_waiting(
    agent: MakeAgent,
) -> None:
    script = "until [ -e /opt/ml/model/end ]; do sleep 0.05; done"
    first, second = _attempt(agent, "beside1", script)
    first.start()
    second.start()
    second.wait_for_container()
    noted = first.folder.parents[1] / "cache/attempts/beside1.1"
    # It died after the start, and before it could note that.
    noted.write_text("made algo-1\nmade algo-2\n")
    first.kill()
    second.kill()
    docker("rm", "-f", second.container)
    (second.folder / "journal.jsonl").unlink()
    second.start()
    until(lambda: _state(second) == "created")
    first.start()
    for node in (first, second):
        (node.folder / "ml/model/end").touch()
    for node in (first, second):
        node.wait()
        assert node.ended() == ("completed", "")

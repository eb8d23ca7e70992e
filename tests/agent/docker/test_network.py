"""Who can be reached from a container: its peers by name, the server, and nobody when isolated."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from tests.agent.docker.conftest import DockerAgent, docker

from trainshed.agent.runtimes.docker import preparing
from trainshed.domain.names import CONTAINER_ADDRESS

pytestmark = [
    pytest.mark.docker,
    pytest.mark.enable_socket,
    pytest.mark.allow_hosts(["127.0.0.1", CONTAINER_ADDRESS]),
]
MakeAgent = Callable[..., DockerAgent]
REACH = """
import socket, sys
for where in sys.argv[1:]:
    host, _, port = where.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=3) as line:
            print(where, "says", line.recv(99).decode())
    except OSError as error:
        print(where, "is out of reach")
"""
MEET = """
import json, socket, sys, time
config = json.load(open("/opt/ml/input/config/resourceconfig.json"))
me, peers = config["current_host"], [h for h in config["hosts"] if h != config["current_host"]]
assert open("/sys/class/net/%s/address" % config["network_interface_name"]).read()
server = socket.create_server(("", 5000))
def seen(peer):
    for _ in range(600):
        try:
            return socket.create_connection((peer, 5000), timeout=5)
        except OSError:
            time.sleep(0.1)
lines = [seen(peer) for peer in peers]
for _ in peers:
    server.accept()[0].sendall(me.encode())
print(me, "met", [line.recv(99).decode() for line in lines])
"""

LISTEN = """
import socket, time
server = socket.create_server(("", 5000))
print("up")
time.sleep(600)
"""


@pytest.fixture
def listener() -> Iterator[int]:
    """A port of this machine's address for containers; whoever comes is greeted."""
    assert preparing.main("") == 0
    with closing(socket.create_server((CONTAINER_ADDRESS, 0))) as server:

        def greet() -> None:
            while True:
                try:
                    line = server.accept()[0]
                except OSError:
                    return
                line.sendall(b"hello")
                line.close()

        threading.Thread(target=greet, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _said(node: DockerAgent) -> list[str]:
    return [line for line in node.lines() if not line.startswith("[trainshed]")]


def _reach(*places: str) -> dict[str, Any]:
    return {"entrypoint": ("python3", "-c", REACH, *places)}


def _attempt(agent: MakeAgent, job: str, **changes: Any) -> list[DockerAgent]:
    hosts = ("algo-1", "algo-2")
    return [
        agent(
            node_id=f"{job}.1.{host}",
            host=host,
            hosts=hosts,
            **changes,
        )
        for host in hosts
    ]


def test_one_host_finds_itself_and_the_server(agent: MakeAgent, listener: int) -> None:
    script = f"getent hosts algo-1; python3 -c '{REACH}' {CONTAINER_ADDRESS}:{listener}"
    node = agent(script).start()
    node.wait()
    name, reached = _said(node)
    assert name.split()[1] == "algo-1"
    assert reached == f"{CONTAINER_ADDRESS}:{listener} says hello"


def test_one_isolated_host_finds_itself_and_nobody_else(agent: MakeAgent, listener: int) -> None:
    gateway = docker("network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}")
    places = (f"{CONTAINER_ADDRESS}:{listener}", f"{gateway}:{listener}")
    script = f"getent hosts algo-1; ls /sys/class/net; python3 -c '{REACH}' {' '.join(places)}"
    node = agent(script, isolated=True).start()
    node.wait()
    lines = _said(node)
    assert lines[0].split() == ["127.0.0.1", "algo-1"]
    assert [line for line in lines if "says" in line] == []
    assert len([line for line in lines if "out of reach" in line]) == 2


@pytest.mark.parametrize("isolated", [False, True])
def test_hosts_of_an_attempt_meet_by_name(
    agent: MakeAgent, isolated: bool, request: pytest.FixtureRequest
) -> None:
    job = f"meet{abs(hash(request.node.name)) % 10**8}"
    nodes = _attempt(agent, job, entrypoint=("python3", "-u", "-c", MEET), isolated=isolated)
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait()
    assert [node.ended() for node in nodes] == [("completed", "")] * 2
    assert [_said(node)[-1] for node in nodes] == ["algo-1 met ['algo-2']", "algo-2 met ['algo-1']"]
    assert [node.left() for node in nodes] == ["", ""]


@pytest.mark.parametrize("isolated", [False, True])
def test_only_an_isolated_attempt_is_cut_off_from_this_machine(
    agent: MakeAgent, listener: int, isolated: bool, request: pytest.FixtureRequest
) -> None:
    job = f"cut{abs(hash(request.node.name)) % 10**8}"
    where = f"{CONTAINER_ADDRESS}:{listener}"
    nodes = _attempt(agent, job, isolated=isolated, **_reach(where))
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait()
        assert _said(node)[-1] == f"{where} {'is out of reach' if isolated else 'says hello'}"


def test_an_isolated_attempt_reaches_not_even_its_own_bridge(agent: MakeAgent) -> None:
    nodes = _attempt(agent, "bridge1", entrypoint=("sleep", "600"), isolated=True)
    for node in nodes:
        node.start()
    node = nodes[1]
    node.wait_for_container()
    name = next(iter(node.inspect()["NetworkSettings"]["Networks"]))
    network = docker("network", "inspect", "-f", "{{.Internal}} {{json .IPAM.Config}}", name)
    assert network.startswith("true")
    gateway = docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", name)
    addresses = docker("run", "--rm", "--network", "host", "trainshed-test/python:base", "cat",
                       "/proc/net/fib_trie")  # fmt: skip
    assert gateway not in addresses
    for node in nodes:
        node.signal(15)
    for node in nodes:
        node.wait()


def test_jobs_beside_one_another_cannot_reach_each_other(agent: MakeAgent) -> None:
    one = agent(entrypoint=("python3", "-u", "-c", LISTEN)).start()
    one.wait_for_line("up")
    address = one.inspect()["NetworkSettings"]["Networks"]["trainshed"]["IPAddress"]
    other = agent(**_reach(f"{address}:5000")).start()
    other.wait()
    assert _said(other)[-1] == f"{address}:5000 is out of reach"
    one.signal(15)
    one.signal(15)
    one.wait()

"""Where a server listens, and where it does not."""

import json
import logging
import socket
from pathlib import Path

import pytest

from trainshed.app.listening import Listeners, PortInUse, listening
from trainshed.domain.names import CONTAINER_ADDRESS

OTHER = "127.0.0.2"
"""An address that is not the one loopback is known by."""


def places(listeners: Listeners) -> list[tuple[str, int]]:
    return [each.getsockname() for each in listeners.sockets]


def node(data: Path, name: str, server_url: str, container_url: str = "") -> None:
    folder = data / "nodes" / name
    folder.mkdir(parents=True)
    plan = {"server_url": server_url, "container_url": container_url}
    (folder / "plan.json").write_text(json.dumps(plan))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_it_listens_where_it_was_asked_to_and_nowhere_else(tmp_path: Path) -> None:
    with listening(tmp_path, "127.0.0.1", 0) as listeners:
        assert places(listeners) == [("127.0.0.1", listeners.port)]
        assert listeners.near == f"http://127.0.0.1:{listeners.port}"


def test_nodes_find_it_on_loopback_wherever_it_was_asked_to_listen(tmp_path: Path) -> None:
    with listening(tmp_path, OTHER, 0) as listeners:
        port = listeners.port
        assert places(listeners) == [(OTHER, port), ("127.0.0.1", port)]
        assert listeners.near == f"http://127.0.0.1:{port}"


def test_a_port_that_loopback_does_not_have_free_is_taken(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(PortInUse, match="free the port"),
        listening(tmp_path, OTHER, taken.getsockname()[1]),
    ):
        pytest.fail("it must not listen")


def test_living_nodes_and_their_containers_find_it_at_the_ports_they_know(tmp_path: Path) -> None:
    one, two = free_port(), free_port()
    node(tmp_path, "a", f"http://127.0.0.1:{one}")
    node(tmp_path, "b", f"http://localhost:{one}", f"http://{CONTAINER_ADDRESS}:{two}")
    node(tmp_path, "c", "http://203.0.113.7:80", "http://host.docker.internal:81")
    (tmp_path / "nodes" / "d").mkdir()
    (tmp_path / "nodes" / "d" / "plan.json").write_text("[]")
    with listening(tmp_path, "127.0.0.1", 0) as listeners:
        own = listeners.port
        assert places(listeners) == [("127.0.0.1", own), ("127.0.0.1", one)]
        listeners.add(CONTAINER_ADDRESS)
        there = places(listeners)[2:]
        assert there == [(CONTAINER_ADDRESS, port) for port in sorted([own, two])]
    assert all(each.fileno() == -1 for each in listeners.sockets)


def test_it_listens_for_containers_before_their_network_is_made(tmp_path: Path) -> None:
    nobodys = "192.0.2.1"
    with listening(tmp_path, "127.0.0.1", 0) as listeners:
        listeners.add(nobodys)
        assert places(listeners)[1:] == [(nobodys, listeners.port)]


def test_a_port_that_nodes_know_and_somebody_has_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        node(tmp_path, "a", f"http://127.0.0.1:{port}")
        with (
            caplog.at_level(logging.WARNING),
            listening(tmp_path, "127.0.0.1", 0) as listeners,
        ):
            assert places(listeners) == [("127.0.0.1", listeners.port)]
    assert f"127.0.0.1:{port}" in caplog.text
    assert "Address already in use" in caplog.text

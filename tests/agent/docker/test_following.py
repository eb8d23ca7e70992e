"""What a container writes arrives whole and in order, whatever becomes of the engine meanwhile."""

import select
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.agent.docker.conftest import BASE, ENGINE, DockerAgent, docker
from tests.agent.docker.relay import Relay

from trainshed.agent.runtimes.base import Stream
from trainshed.agent.runtimes.docker.container import DockerContainer
from trainshed.agent.runtimes.docker.engine import Engine
from trainshed.agent.runtimes.docker.following import Following

pytestmark = pytest.mark.docker
MakeAgent = Callable[..., DockerAgent]
MANY = "i=0; while [ $i -lt 5000 ]; do i=$((i+1)); echo $i; done; exit 3"


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    relay = Relay(tmp_path / "engine.sock", ENGINE).open()
    yield relay
    relay.cut()


def _read_all(container: DockerContainer) -> bytes:
    (output,) = container.outputs
    found = b""
    while True:
        select.select([output], [], [], 60)
        pieces = container.read(output)
        if pieces is None:
            return found
        found += b"".join(data for _, data in pieces)


def test_no_line_of_containers_that_end_at_once_is_lost() -> None:
    engine = Engine(ENGINE)
    whole = b"".join(b"%d\n" % n for n in range(1, 5001))
    for _ in range(8):
        made = docker("create", BASE, "sh", "-c", MANY)
        engine.post(f"/containers/{made}/start")
        container = DockerContainer(
            engine, made, stop_signal="SIGTERM", complain=lambda _: None, settle=lambda: None
        )
        found = _read_all(container)
        assert select.select([container.exited], [], [], 0)[0]
        assert container.collect().exit_code == 3
        docker("rm", "-f", made)
        assert found == whole


def test_the_streams_keep_their_order(agent: MakeAgent) -> None:
    node = agent("i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i; echo $i >&2; done").start()
    node.wait()
    lines = [line for line in node.lines() if not line.startswith("[trainshed]")]
    assert sorted(map(int, lines)) == sorted([*range(1, 301), *range(1, 301)])


def test_bytes_that_are_no_text_and_lines_without_end_arrive(agent: MakeAgent) -> None:
    node = agent(r"printf 'a\377b\n'; head -c 300000 /dev/zero | tr '\0' x; printf '\nend'").start()
    node.wait()
    lines = [line for line in node.lines() if not line.startswith("[trainshed]")]
    assert lines[-1] == "end"
    assert sum(line.count("x") for line in lines) == 300000
    assert lines[0].startswith("a") and lines[0].endswith("b")


def test_an_engine_that_is_away_for_a_while_costs_neither_line_nor_job(
    agent: MakeAgent, relay: Relay
) -> None:
    script = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo n $i; sleep 0.02; done; exit 4"
    node = agent(script, engine=relay.url).start()
    for line in ("n 20", "n 100"):
        node.wait_for_line(line)
        relay.cut()
        relay.open()
    node.wait()
    assert node.ended() == ("failed", "AlgorithmError: n 300, exit code: 4")
    numbers = [int(line.split()[1]) for line in node.lines() if line.startswith("n ")]
    assert numbers == list(range(1, 301))


def test_the_job_log_tells_of_an_engine_that_is_away(agent: MakeAgent, relay: Relay) -> None:
    node = agent("echo up; sleep 2; echo late", engine=relay.url).start()
    node.wait_for_line("up")
    relay.cut()
    node.wait_for_line("does not answer")
    docker("wait", node.container)
    relay.open()
    node.wait()
    assert node.ended() == ("completed", "")
    assert node.lines()[-1] == "late"


def test_a_stop_reaches_the_container_once_the_engine_is_back(
    agent: MakeAgent, relay: Relay
) -> None:
    script = "trap 'echo saving; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    node = agent(script, engine=relay.url, grace=60.0).start()
    node.wait_for_line("up")
    relay.cut()
    node.signal(15)
    node.wait_for_line("does not answer")
    relay.open()
    node.wait()
    assert node.ended() == ("stopped", "")
    assert node.lines()[-1] == "saving"


def test_a_container_that_started_although_no_answer_came_is_not_started_again(
    agent: MakeAgent, relay: Relay, tmp_path: Path
) -> None:
    node = agent("echo ran; echo 1 >>/opt/ml/model/ran", engine=relay.url)
    relay.cut_at = b"/start "
    node.start()
    node.wait_for_container_that_ended()
    relay.open()
    node.wait()
    assert node.ended() == ("completed", "")
    assert [line for line in node.lines() if line == "ran"] == ["ran"]
    with tarfile.open(tmp_path / "out/job-1/output/model.tar.gz") as tar:
        made = tar.extractfile("ran")
        assert made is not None
        assert made.read() == b"1\n"


def test_an_engine_that_never_comes_back_ends_the_wait(relay: Relay) -> None:
    made = docker("run", "-d", BASE, "sleep", "600")
    told: list[str] = []
    following = Following(Engine(relay.url.removeprefix("unix://")), made, patience_s=1.0,
                          complain=told.append)  # fmt: skip
    try:
        relay.cut()
        while following.written.take() is not None:
            select.select([following.written.fd], [], [], 60)
    finally:
        docker("rm", "-f", made)
    assert "does not answer" in following.trouble
    assert len(told) == 1
    following.close()


def test_a_container_that_is_read_by_nobody_holds_no_memory() -> None:
    made = docker("run", "-d", BASE, "sh", "-c", "yes " + 99 * "x" + " | head -c 30000000")
    following = Following(Engine(ENGINE), made, patience_s=1.0, complain=lambda _: None)
    docker("wait", made)
    size = 0
    try:
        while (pieces := following.written.take()) is not None:
            assert sum(len(data) for _, data in pieces) < 5 * 1024 * 1024
            assert {stream for stream, _ in pieces} <= {Stream.STDOUT}
            size += sum(len(data) for _, data in pieces)
            select.select([following.written.fd], [], [], 60)
    finally:
        docker("rm", "-f", made)
    following.close()
    assert size == 30000000

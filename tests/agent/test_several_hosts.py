"""Nodes of one job on one machine: they find each other, and bring one result together."""

import json
import signal
import tarfile
from collections.abc import Callable
from pathlib import Path

from tests.agent.conftest import Agent

from trainshed.domain.facts import Kind

MakeAgent = Callable[..., Agent]
HOSTS = ("algo-1", "algo-2")
TALK = """
import os, socket, sys, time
host = socket.gethostname()
if host == "algo-1":
    with socket.create_server(("algo-1", 7977)) as server:
        peer, address = server.accept()
        print("heard", peer.recv(100).decode(), flush=True)
else:
    while True:
        try:
            peer = socket.create_connection(("algo-1", 7977), timeout=5)
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    peer.sendall(b"a word from " + host.encode())
for name in ("same", host):
    with open(f"/opt/ml/model/{name}", "w") as file:
        file.write(host)
with open(f"/opt/ml/output/data/{host}", "w") as file:
    file.write("data")
"""


def _pair(agent: MakeAgent, **changes: object) -> list[Agent]:
    return [agent(host=host, hosts=HOSTS, node_id=f"job-1.1.{host}", **changes) for host in HOSTS]


def test_two_hosts_find_each_other_and_make_one_model(
    agent: MakeAgent, python: Callable[[str], tuple[str, ...]], tmp_path: Path
) -> None:
    nodes = _pair(agent, entrypoint=python(TALK))
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait()
        assert node.ended() == ("completed", "")
    assert "heard a word from algo-2" in nodes[0].lines()
    with tarfile.open(tmp_path / "out/job-1/output/model.tar.gz") as tar:
        assert tar.getnames() == ["algo-1", "algo-2", "same"]
        kept = tar.extractfile("same")
        assert kept is not None
        assert kept.read() == b"algo-2"
    with tarfile.open(tmp_path / "out/job-1/output/output.tar.gz") as tar:
        assert tar.getnames() == ["algo-1", "algo-2"]
    assert any("same was made by more than one host" in line for line in nodes[0].lines())
    assert sorted(p.name for p in (tmp_path / "out/job-1/output").iterdir()) == [
        "model.tar.gz",
        "output.tar.gz",
    ]


def test_the_first_host_waits_no_longer_when_it_is_asked_twice(
    agent: MakeAgent, tmp_path: Path
) -> None:
    first, _ = _pair(agent, entrypoint=("/bin/sh", "-c", "echo 1 >/opt/ml/model/w"))
    first.start()
    first.reports.wait_for(lambda: first.fact(Kind.UPLOADING))
    first.signal(signal.SIGTERM)
    first.signal(signal.SIGTERM)
    (first.folder / "stop").write_text("2")
    first.signal(signal.SIGTERM)
    first.wait()
    assert first.ended() == ("completed", "")
    assert any("algo-2 were not waited for" in line for line in first.lines())
    assert (tmp_path / "out/job-1/output/model.tar.gz").exists()


def test_a_host_whose_input_fails_does_not_keep_the_first_waiting(
    agent: MakeAgent, tmp_path: Path
) -> None:
    channel = {
        "ChannelName": "train",
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"file://{tmp_path}/nothing"}
        },
    }
    first, second = _pair(agent)
    second.plan = agent(
        host="algo-2", hosts=HOSTS, node_id=second.plan.node_id, channels=(channel,)
    ).plan
    first.start()
    second.start()
    first.wait()
    second.wait()
    assert first.ended()[0] == "completed"
    assert second.ended()[0] == "failed"


def test_a_marker_of_an_earlier_attempt_is_not_believed(agent: MakeAgent, tmp_path: Path) -> None:
    part = tmp_path / "out/job-1/output/.parts/algo-2"
    part.mkdir(parents=True)
    (part / "done").write_text(json.dumps({"node": "job-1.0.algo-2", "parts": []}))
    first, second = _pair(
        agent, entrypoint=("/bin/sh", "-c", "hostname >/opt/ml/model/$(hostname)")
    )
    first.start()
    first.reports.wait_for(lambda: first.fact(Kind.UPLOADING))
    second.start().wait()
    first.wait()
    with tarfile.open(tmp_path / "out/job-1/output/model.tar.gz") as tar:
        assert tar.getnames() == ["algo-1", "algo-2"]


def test_a_first_host_that_died_after_delivering_does_not_wait_again(
    agent: MakeAgent, tmp_path: Path
) -> None:
    nodes = _pair(agent, entrypoint=("/bin/sh", "-c", "hostname >/opt/ml/model/$(hostname)"))
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait()
    first = nodes[0]
    journal = first.folder / "journal.jsonl"
    kept = journal.read_text().splitlines(keepends=True)[:-1]
    journal.write_text("".join(kept))
    first.start().wait()
    assert '"completed"' in journal.read_text()
    with tarfile.open(tmp_path / "out/job-1/output/model.tar.gz") as tar:
        assert tar.getnames() == ["algo-1", "algo-2"]

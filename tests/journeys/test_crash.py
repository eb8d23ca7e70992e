"""The server, or an agent, is killed while jobs run: nothing is lost and nothing runs twice.

Each script writes a line into a file of its own outside at every start, so a second run shows.
"""

import hashlib
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.journeys.conftest import settings
from tests.journeys.shed import BUCKET, Shed, channel, until

from trainshed.testing.server import Server

COUNTS = """
import os, pathlib, socket, time
host, job = socket.gethostname(), os.environ["TRAINING_JOB_NAME"]
outside = pathlib.Path(os.environ["OUTSIDE"])
def note(what):
    fd = os.open(outside / f"{job}.{host}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.write(fd, f"{what}\\n".encode())
    os.close(fd)
def gate(name):
    while not (outside / name).exists():
        time.sleep(0.01)
note("ran")
for line in range(500):
    print("line", line, flush=True)
    if line == 250:
        note("halfway")
        gate(os.environ["GATE"])
pathlib.Path(f"/opt/ml/model/{host}").write_text("x" * 100_000)
note("done")
"""


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


@pytest.fixture
def crashing(tmp_path: Path) -> Iterator[Shed]:
    server = Server(tmp_path / "data", settings(tmp_path))
    shed = Shed(server.start(), tmp_path)
    yield shed
    if server.running:
        server.stop()


def began(shed: Shed, outside: Path, gate: str, nodes: int = 1, **changes: object) -> str:
    """Create a job that waits halfway for a gate; return its name."""
    variables = {"OUTSIDE": str(outside), "GATE": gate}
    return shed.create(COUNTS, nodes=nodes, Environment=variables, **changes)


def noted(outside: Path, name: str, host: str = "algo-1") -> list[str]:
    path = outside / f"{name}.{host}"
    return path.read_text().splitlines() if path.exists() else []


def until_noted(outside: Path, name: str, what: str, host: str = "algo-1") -> None:
    until(lambda: what in noted(outside, name, host))


def until_journal(shed: Shed, name_part: str, kind: str) -> None:
    """Return once the journal of a node has a fact of this kind, server or no server."""

    def written() -> bool:
        return any(
            json.loads(line)["kind"] == kind
            for journal in shed.server.data.glob(f"nodes/*{name_part}/journal.jsonl")
            for line in journal.read_text().splitlines()
        )

    until(written)


def assert_ran_once(shed: Shed, outside: Path, name: str, nodes: int = 1) -> None:
    """Check that a job completed as if nothing had happened."""
    told = shed.ended(name)
    assert told["TrainingJobStatus"] == "Completed", told
    hosts = [f"algo-{rank}" for rank in range(1, nodes + 1)]
    for host in hosts:
        assert noted(outside, name, host) == ["ran", "halfway", "done"]
        lines = [line for line in shed.lines(name, host) if line.startswith("line ")]
        assert lines == [f"line {number}" for number in range(500)]
    model = shed.archive(name)
    assert model == dict.fromkeys(hosts, b"x" * 100_000)


def assert_nothing_remains(shed: Shed) -> None:
    """Check that no process and no folder of any job is left, once the last are removed."""
    until(lambda: not shed.server.remains(), lambda: str(shed.server.remains()))


def at_once(shed: Shed, outside: Path, nodes: list[tuple[str, str]]) -> None:
    """Kill the server while the jobs may still be starting."""


def in_the_middle(shed: Shed, outside: Path, nodes: list[tuple[str, str]]) -> None:
    """Kill the server when every script has come halfway."""
    for name, host in nodes:
        until_noted(outside, name, "halfway", host)


def told_of_all(shed: Shed, outside: Path, nodes: list[tuple[str, str]]) -> None:
    """Kill the server when it knows what every script has said so far."""
    for name, host in nodes:
        shed.until_line(name, "line 250", host)


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        (at_once, Server.kill),
        (in_the_middle, Server.kill),
        (told_of_all, Server.kill),
        (in_the_middle, Server.stop),
    ],
)
def test_jobs_outlive_their_server(
    crashing: Shed,
    outside: Path,
    moment: Callable[[Shed, Path, list[tuple[str, str]]], None],
    end: Callable[[Server], None],
) -> None:
    long = [began(crashing, outside, "last") for _ in range(2)]
    pair = began(crashing, outside, "last", nodes=2)
    folder = {"S3OutputPath": f"file://{crashing.folder}/shared/output"}
    ends_meanwhile = began(crashing, outside, "first", OutputDataConfig=folder)
    uploads_meanwhile = began(crashing, outside, "first", nodes=2)
    first = [(name, "algo-1") for name in (*long, pair, ends_meanwhile, uploads_meanwhile)]
    moment(crashing, outside, [*first, (pair, "algo-2"), (uploads_meanwhile, "algo-2")])
    known = crashing.server.agents()
    assert moment is at_once or len(known) == 7
    end(crashing.server)
    (outside / "first").touch()
    for node in known:
        plan = json.loads((crashing.server.data / "nodes" / node / "plan.json").read_text())
        if plan["environment"]["GATE"] == "first":
            to_a_folder = plan["output_path"].startswith("file://")
            until_journal(crashing, node, "ended" if to_a_folder else "uploading")
    crashing.server.start()
    (outside / "last").touch()
    for name in (*long, ends_meanwhile):
        assert_ran_once(crashing, outside, name)
    for name in (pair, uploads_meanwhile):
        assert_ran_once(crashing, outside, name, nodes=2)
    assert_nothing_remains(crashing)


def test_jobs_in_line_wait_through_a_crash_and_run_in_their_order(
    tmp_path: Path, outside: Path
) -> None:
    server = Server(tmp_path / "data", settings(tmp_path, max_nodes=1))
    shed = Shed(server.start(), tmp_path)
    names = [began(shed, outside, "gate") for _ in range(3)]
    until_noted(outside, names[0], "halfway")
    server.kill()
    (outside / "gate").touch()
    server.start()
    ends = []
    for name in names:
        assert_ran_once(shed, outside, name)
        ends.append(shed.describe(name)["TrainingEndTime"])
    assert ends == sorted(ends)
    assert_nothing_remains(shed)
    server.stop()


def test_a_stop_that_was_answered_outlives_a_killed_server(crashing: Shed, outside: Path) -> None:
    script = (
        "import os, pathlib, signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "print('training', flush=True)\n"
        "while True: signal.pause()\n"
    )
    name = crashing.create(script)
    crashing.until_line(name, "training")
    crashing.sagemaker.stop_training_job(TrainingJobName=name)
    crashing.server.kill()
    crashing.server.start()
    assert crashing.ended(name)["TrainingJobStatus"] == "Stopped"
    assert_nothing_remains(crashing)


def kill_agent(shed: Shed, host: str = "algo-1") -> None:
    (pid,) = [pid for node, pid in shed.server.agents().items() if node.endswith(f".{host}")]
    os.kill(pid, signal.SIGKILL)


def test_a_job_whose_agent_is_killed_fails_and_says_that_it_was_lost(
    crashing: Shed, outside: Path
) -> None:
    name = began(crashing, outside, "gate")
    until_noted(outside, name, "halfway")
    kill_agent(crashing)
    reason = crashing.failed(name)
    assert reason.startswith("InternalServerError: the agent on algo-1 ended while the container")
    assert noted(outside, name) == ["ran", "halfway"]
    assert_nothing_remains(crashing)


def test_agents_are_heard_by_a_server_that_comes_back_on_another_port(
    crashing: Shed, outside: Path
) -> None:
    name = began(crashing, outside, "gate", nodes=2)
    for host in ("algo-1", "algo-2"):
        until_noted(outside, name, "halfway", host)
    crashing.server.kill()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    before = crashing.server.address
    crashing.server.start(port)
    assert crashing.server.address == ("127.0.0.1", port) != before
    crashing.connect()
    (outside / "gate").touch()
    assert_ran_once(crashing, outside, name, nodes=2)
    assert_nothing_remains(crashing)


def test_results_are_carried_out_by_another_agent_when_the_first_is_killed_over_it(
    crashing: Shed, outside: Path
) -> None:
    name = began(crashing, outside, "gate")
    until_noted(outside, name, "halfway")
    crashing.server.kill()
    (outside / "gate").touch()
    until_journal(crashing, "", "uploading")
    kill_agent(crashing)
    crashing.server.start()
    assert_ran_once(crashing, outside, name)
    assert_nothing_remains(crashing)


def test_inputs_come_in_whole_although_the_server_is_killed_meanwhile(crashing: Shed) -> None:
    content = os.urandom(8 << 20)
    crashing.s3.put_object(Bucket=BUCKET, Key="big/file", Body=content)
    crashing.put({f"big/small-{number}": str(number) for number in range(50)})
    name = crashing.create(
        "import hashlib, pathlib\n"
        "data = pathlib.Path('/opt/ml/input/data/train')\n"
        "print(hashlib.sha256((data / 'file').read_bytes()).hexdigest())\n"
        "print(sum(int(each.read_text()) for each in data.glob('small-*')))\n",
        InputDataConfig=[channel("train", "big")],
    )
    until_journal(crashing, "", "downloading")
    crashing.server.kill()
    crashing.server.start()
    assert crashing.ended(name)["TrainingJobStatus"] == "Completed"
    said = [line for line in crashing.lines(name) if not line.startswith("[trainshed]")]
    assert said == [hashlib.sha256(content).hexdigest(), str(sum(range(50)))]
    assert_nothing_remains(crashing)


def test_a_lost_node_is_retried_when_the_job_says_so(crashing: Shed, outside: Path) -> None:
    name = began(crashing, outside, "gate", nodes=2, RetryStrategy={"MaximumRetryAttempts": 1})
    for host in ("algo-1", "algo-2"):
        until_noted(outside, name, "halfway", host)
        # What an agent has not read when it is killed dies with its program.
        crashing.until_line(name, "line 250", host)
    kill_agent(crashing, "algo-2")
    for host in ("algo-1", "algo-2"):
        until(lambda host=host: noted(outside, name, host).count("halfway") == 2)  # type: ignore[misc]
    (outside / "gate").touch()
    told = crashing.ended(name)
    assert told["TrainingJobStatus"] == "Completed", told
    statuses = [each["Status"] for each in told["SecondaryStatusTransitions"]]
    assert statuses[-4:] == ["Starting", "Training", "Uploading", "Completed"]
    assert "Interrupted" in statuses
    for host in ("algo-1", "algo-2"):
        assert noted(outside, name, host) == ["ran", "halfway", "ran", "halfway", "done"]
        lines = [line for line in crashing.lines(name, host) if line.startswith("line ")]
        first, second = [*range(251)], [*range(500)]
        assert lines == [f"line {number}" for number in (*first, *second)]
    assert crashing.archive(name).keys() == {"algo-1", "algo-2"}
    assert_nothing_remains(crashing)


def test_objects_answered_before_a_crash_are_there_after_it(crashing: Shed) -> None:
    bodies = {f"kept/{number}": os.urandom(50_000) for number in range(10)}
    for key, body in bodies.items():
        crashing.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    crashing.server.kill()
    crashing.server.start()
    for key, body in bodies.items():
        assert crashing.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body

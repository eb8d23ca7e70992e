"""An agent that is killed while its container goes on, and started again over its journal."""

import json
import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.agent.docker.conftest import DockerAgent, docker

from trainshed.domain.facts import Kind

pytestmark = pytest.mark.docker
MakeAgent = Callable[..., DockerAgent]
STARTED = {"kind": "started", "runtime": "docker", "pid": 1}
TRAIN = {"kind": "training"}
STOP = {"kind": "stopping", "reason": "asked"}
COUNTING = (
    "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo out $i; echo err $i >&2; sleep 0.01; done; "
    "echo 1 >/opt/ml/model/w; exit 7"
)


def _write_journal(node: DockerAgent, *facts: dict[str, Any]) -> None:
    node.folder.mkdir(parents=True)
    lines = [json.dumps({"n": n, "at": time.time(), **fact}) for n, fact in enumerate(facts, 1)]
    (node.folder / "journal.jsonl").write_text("".join(f"{line}\n" for line in lines))


def _journal(node: DockerAgent) -> list[str]:
    lines = (node.folder / "journal.jsonl").read_text().splitlines()
    return [json.loads(line)["kind"] for line in lines]


def _lines_of(node: DockerAgent, word: str) -> list[int]:
    return [int(line.split()[1]) for line in node.lines() if line.startswith(word)]


def test_a_killed_agent_leaves_its_container_running_and_the_next_one_goes_on(
    agent: MakeAgent, tmp_path: Path
) -> None:
    node = agent(COUNTING).start()
    for line in ("out 20", "out 90", "out 200"):
        node.wait_for_line(line)
        node.kill()
        assert node.inspect()["State"]["Running"]
        node.start()
    node.wait()
    assert node.ended() == ("failed", "AlgorithmError: err 400, exit code: 7")
    assert _lines_of(node, "out") == list(range(1, 401))
    assert _lines_of(node, "err") == list(range(1, 401))
    assert node.kinds().count("training") == 1
    assert (tmp_path / "out/job-1/output/model.tar.gz").exists()


def test_a_disk_that_was_full_for_a_while_costs_no_line(agent: MakeAgent) -> None:
    node = agent(COUNTING).start()
    node.wait_for_line("out 20")
    size = (node.folder / "journal.jsonl").stat().st_size
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (size, size))
    assert node.process is not None
    assert node.process.wait(60) != 0
    assert node.inspect()["State"]["Running"]
    node.start().wait()
    assert node.ended() == ("failed", "AlgorithmError: err 400, exit code: 7")
    assert _lines_of(node, "out") == list(range(1, 401))


def test_a_disk_that_has_room_for_the_reason_only_ends_the_container_and_says_why(
    agent: MakeAgent,
) -> None:
    node = agent("while :; do seq 1 1000; done").start()
    node.wait_for_line("1000")
    size = (node.folder / "journal.jsonl").stat().st_size + 4096
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (size, size))
    node.wait()
    outcome, reason = node.ended()
    assert outcome == "lost"
    assert "File too large" in reason
    assert node.left() == ""


def test_a_container_that_ended_while_nobody_watched_is_accounted_for(agent: MakeAgent) -> None:
    node = agent("echo up; sleep 1; echo late; exit 5").start()
    node.wait_for_line("up")
    node.kill()
    docker("wait", node.container)
    node.start().wait()
    assert node.ended() == ("failed", "AlgorithmError: late, exit code: 5")
    assert node.lines()[-2:] == ["up", "late"]


def test_a_container_is_found_where_it_is_although_the_settings_name_another_engine(
    agent: MakeAgent,
) -> None:
    node = agent("echo up; sleep 1; exit 5").start()
    node.wait_for_line("up")
    node.kill()
    node.plan = replace(node.plan, engine="unix:///nowhere/docker.sock")
    node.start().wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert reason.endswith("exit code: 5")


def test_a_killed_agent_is_stopping_still(agent: MakeAgent, tmp_path: Path) -> None:
    script = "trap '' TERM; echo 1 >/opt/ml/model/w; echo up; while :; do sleep 0.1; done"
    node = agent(script, grace=3.0).start()
    node.wait_for_line("up")
    node.signal(signal.SIGTERM)
    node.reports.wait_for(lambda: node.fact(Kind.STOPPING))
    node.kill()
    node.start().wait()
    assert node.ended() == ("stopped", "")
    assert (tmp_path / "out/job-1/output/model.tar.gz").exists()


def test_a_container_that_was_made_and_never_started_is_started(agent: MakeAgent) -> None:
    node = agent("echo ran")
    _write_journal(node, STARTED, TRAIN)
    docker("create", "--name", node.container, "--label", f"trainshed.node={node.plan.node_id}",
           "trainshed-test/python:base", "echo", "made before")  # fmt: skip
    node.start().wait()
    docker("rm", "-f", node.container, check=False)
    assert node.ended() == ("completed", "")
    assert node.lines() == ["made before"]


def test_a_container_that_is_gone_is_lost_and_not_run_again(agent: MakeAgent) -> None:
    node = agent("echo ran")
    _write_journal(node, STARTED, TRAIN)
    node.start().wait()
    assert node.ended() == (
        "lost",
        "InternalServerError: the container of algo-1 was removed while it ran",
    )
    assert node.lines() == []


def test_a_container_that_is_gone_and_was_to_be_stopped_is_stopped(agent: MakeAgent) -> None:
    node = agent("echo ran")
    _write_journal(node, STARTED, TRAIN, STOP)
    node.start().wait()
    assert node.ended() == ("stopped", "")


def test_one_that_was_made_for_an_agent_that_never_came_to_it_is_made_anew(
    agent: MakeAgent,
) -> None:
    node = agent("echo ran")
    _write_journal(node, STARTED)
    docker("create", "--name", node.container, "--label", f"trainshed.node={node.plan.node_id}",
           "trainshed-test/python:base", "echo", "stale")  # fmt: skip
    node.start().wait()
    assert node.ended() == ("completed", "")
    assert node.lines()[-1] == "ran"


@pytest.mark.parametrize("step", range(12))
def test_an_agent_killed_anywhere_ends_its_node_well(agent: MakeAgent, step: int) -> None:
    """The kill comes as soon as the journal has so many facts, or a little later."""
    node = agent("echo one; sleep 0.3; echo 1 >/opt/ml/model/w; echo two")
    node.start()
    facts, later = step // 2 + 1, step % 2 * 0.1
    pause = threading.Event().wait
    while node.process is not None and node.process.poll() is None:
        journal = node.folder / "journal.jsonl"
        if journal.exists() and len(_journal(node)) >= facts:
            pause(later)
            break
        pause(0.001)
    node.kill()
    node.start().wait()
    assert node.ended() == ("completed", "")
    assert [line for line in node.lines() if line in {"one", "two"}] == ["one", "two"]
    assert node.kinds().count("training") == 1


def test_a_container_whose_folder_is_deleted_is_ended_and_removed(agent: MakeAgent) -> None:
    node = agent("echo up; sleep 600").start()
    node.wait_for_line("up")
    shutil.rmtree(node.folder)
    node.wait()
    assert node.left() == ""


def test_a_container_that_somebody_removes_is_lost(agent: MakeAgent) -> None:
    node = agent("echo up; sleep 600").start()
    node.wait_for_line("up")
    docker("rm", "-f", node.container)
    node.wait()
    outcome, reason = node.ended()
    assert outcome == "lost"
    assert reason.startswith("InternalServerError: the container was removed")

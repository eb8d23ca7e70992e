"""An agent that is killed and started again over its journal."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import Agent, until

from trainshed.agent.journal import Journal
from trainshed.domain.facts import Kind

MakeAgent = Callable[..., Agent]
STARTED = {"kind": "started", "runtime": "process", "pid": 1}
TRAIN = {"kind": "training"}
STOP = {"kind": "stopping", "reason": "asked"}
DONE = {"kind": "exited", "exit_code": 0, "oom": False, "reason": ""}
FAILED = {"kind": "exited", "exit_code": 2, "oom": False, "reason": "AlgorithmError: x"}


def _write_journal(node: Agent, *facts: dict[str, Any], tail: str = "") -> None:
    node.folder.mkdir(parents=True)
    lines = [json.dumps({"n": n, "at": 5.0 + n, **fact}) for n, fact in enumerate(facts, 1)]
    (node.folder / "journal.jsonl").write_text("".join(f"{line}\n" for line in lines) + tail)


@pytest.mark.parametrize(
    ("facts", "outcome", "ran"),
    [
        ([], "completed", True),
        ([STARTED], "completed", True),
        ([STARTED, {"kind": "downloading"}], "completed", True),
        ([STARTED, TRAIN], "lost", False),
        ([STARTED, TRAIN, STOP], "stopped", False),
        ([STARTED, TRAIN, DONE], "completed", False),
        ([STARTED, TRAIN, FAILED], "failed", False),
        ([STARTED, TRAIN, STOP, DONE], "stopped", False),
        ([STARTED, TRAIN, DONE, {"kind": "uploading"}], "completed", False),
    ],
)  # fmt: skip
def test_the_journal_decides_where_the_next_agent_goes_on(
    agent: MakeAgent, facts: list[dict[str, Any]], outcome: str, ran: bool
) -> None:
    node = agent("echo the script ran")
    _write_journal(node, *facts, tail='{"n": 9, "at"')
    node.start().wait()
    assert node.ended()[0] == outcome
    assert node.lines() == (["the script ran"] if ran else [])
    assert node.kinds().count("training") == 1
    assert node.kinds()[: len(facts)] == [fact["kind"] for fact in facts]


def test_a_node_that_ended_already_only_reports(agent: MakeAgent) -> None:
    node = agent("echo the script ran")
    _write_journal(
        node, STARTED, {"kind": "ended", "outcome": "failed", "reason": "ClientError: y"}
    )
    node.start().wait()
    assert node.kinds() == ["started", "ended"]
    assert node.ended() == ("failed", "ClientError: y")


def test_a_killed_agent_takes_its_container_along_and_the_next_one_reports_the_loss(
    agent: MakeAgent, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    node = agent(f"(setsid sleep 600 & ) ; echo up; echo done >{pid_file}; sleep 600").start()
    node.wait_for_line("up")
    children = _descendants(node.pid)
    assert len(children) >= 3
    node.kill()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
    node.start().wait()
    outcome, reason = node.ended()
    assert outcome == "lost"
    assert reason.startswith("InternalServerError: the agent on algo-1 ended while the container")
    assert node.lines() == ["up"]


def test_a_killed_agent_is_stopping_still(agent: MakeAgent, tmp_path: Path) -> None:
    node = agent("trap '' TERM; echo 1 >/opt/ml/model/w; echo up; while :; do sleep 0.01; done",
                 grace=600.0).start()  # fmt: skip
    node.wait_for_line("up")
    node.signal(15)
    node.reports.wait_for(lambda: node.fact(Kind.STOPPING))
    node.kill()
    node.start().wait()
    assert node.ended() == ("stopped", "")
    assert (tmp_path / "out/job-1/output/model.tar.gz").exists()


def test_a_second_agent_on_the_same_folder_leaves_at_once(agent: MakeAgent) -> None:
    node = agent("echo up; sleep 600").start()
    node.wait_for_line("up")
    other = Agent(node.folder.parents[1], node.plan, node.reports).start()
    other.wait()
    words = (node.folder / "agent.lock").read_text().split()
    assert words[0] == str(node.pid)
    assert words[1] == Path(f"/proc/{node.pid}/stat").read_text().rpartition(")")[2].split()[19]


def test_a_torn_line_is_cut_and_numbers_go_on(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    first = Journal(path)
    first.append(Kind.STARTED, runtime="x")
    with path.open("a") as file:
        file.write('{"n": 2, "at": 1.0, "kind": "train')
    again = Journal(path)
    assert again.length == 1
    assert again.append(Kind.TRAINING).n == 2
    assert [fact.kind for fact in Journal(path).after(0, 9)] == [Kind.STARTED, Kind.TRAINING]


def _descendants(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (entry / "stat").exists():
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            parents[int(entry.name)] = int(fields[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]

"""A node that is to be taken away: its program saves, and checkpoints are all that is kept."""

import json
import signal
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import Agent

from trainshed.domain.facts import Kind
from trainshed.domain.notice import Notice

MakeAgent = Callable[..., Agent]
WHY = "the place wants it back"
SAVING = (
    "trap 'echo saving; echo 7 >/opt/ml/checkpoints/7; echo 7 >/opt/ml/model/w; exit 3' TERM; "
    "echo up; while :; do sleep 0.01; done"
)
DEAF = "trap '' TERM; echo 7 >/opt/ml/model/w; echo up; while :; do sleep 0.01; done"
STARTED = {"kind": "started", "runtime": "process", "pid": 1}
TRAIN = {"kind": "training"}
TOLD = {"kind": "notice", "deadline": 0.0, "reason": WHY}
STOP = {"kind": "stopping", "reason": "notice"}
DONE = {"kind": "exited", "exit_code": 0, "oom": False, "reason": ""}


def give(node: Agent, left: float | None) -> None:
    """Write a notice, and wake the agent if there is one."""
    now = time.time()
    node.folder.mkdir(parents=True, exist_ok=True)
    notice = Notice(at=now, deadline=0.0 if left is None else now + left, reason=WHY)
    (node.folder / "notice").write_bytes(notice.to_bytes())
    if node.process is not None:
        node.signal(signal.SIGTERM)


def keeping(tmp_path: Path, uri: str = "kept") -> dict[str, Any]:
    return {"request": {"CheckpointConfig": {"S3Uri": f"file://{tmp_path}/{uri}"}}}


@pytest.mark.parametrize("left", [3600.0, None])
def test_the_program_saves_and_its_checkpoints_are_kept_but_no_results(
    agent: MakeAgent, tmp_path: Path, left: float | None
) -> None:
    node = agent(SAVING, grace=60.0, **keeping(tmp_path)).start()
    node.wait_for_line("up")
    give(node, left)
    node.wait()
    assert node.ended() == ("interrupted", WHY)
    ran = node.kinds()[node.kinds().index("training") :]
    assert ran == ["training", "notice", "stopping", "exited", "checkpoint", "ended"]
    stopping = node.fact(Kind.STOPPING)
    assert stopping is not None
    assert stopping.detail == {"reason": "notice"}
    assert (tmp_path / "kept/7").read_text() == "7\n"
    assert not (tmp_path / "out").exists()
    when = "will be taken away in 3600 s" if left else "is to be given up as soon as its checkpoin"
    said = [line for line in node.lines() if f"this node {when}" in line]
    assert len(said) == 1
    assert said[0].endswith(f"({WHY}): asked the program to stop and save")
    assert said[0].removeprefix("[trainshed] ") in (node.folder / "agent.log").read_text()


def test_a_deaf_program_is_killed_early_enough_to_end_before_the_deadline(
    agent: MakeAgent,
) -> None:
    node = agent(DEAF, grace=3600.0).start()
    node.wait_for_line("up")
    give(node, 4.5)
    node.wait()
    ended, notice = node.fact(Kind.ENDED), node.fact(Kind.NOTICE)
    assert ended is not None
    assert notice is not None
    assert node.ended() == ("interrupted", WHY)
    assert ended.at < notice.detail["deadline"]
    assert any("and is killed" in line for line in node.lines())


def test_a_notice_that_is_found_at_the_start_keeps_the_program_from_running(
    agent: MakeAgent,
) -> None:
    node = agent("echo never")
    give(node, 3600.0)
    node.start().wait()
    assert sorted(node.kinds()) == ["ended", "notice", "started"]
    assert node.ended() == ("interrupted", WHY)
    assert not any("never" in line.split() for line in node.lines())


def test_a_node_that_is_given_up_waits_until_its_checkpoints_are_kept(
    agent: MakeAgent, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "kept"
    node = agent(SAVING, grace=60.0, **keeping(tmp_path, "kept/here")).start()
    node.wait_for_line("up")
    in_the_way.write_text("")
    give(node, None)
    node.reports.wait_for(lambda: node.fact(Kind.EXITED))
    node.wait_for_line("NOT kept, and are tried again until the node is taken away")
    assert node.fact(Kind.ENDED) is None
    in_the_way.unlink()
    node.wait()
    assert node.ended() == ("interrupted", WHY)
    assert (tmp_path / "kept/here/7").read_text() == "7\n"
    kept = node.fact(Kind.CHECKPOINT)
    assert kept is not None
    assert kept.detail["trouble"] == ""


def test_what_is_not_kept_by_the_deadline_is_named_before_it(
    agent: MakeAgent, tmp_path: Path
) -> None:
    node = agent(SAVING, grace=60.0, **keeping(tmp_path, "kept/here")).start()
    node.wait_for_line("up")
    (tmp_path / "kept").write_text("in the way of a folder")
    give(node, 5.0)
    node.wait()
    ended, notice = node.fact(Kind.ENDED), node.fact(Kind.NOTICE)
    assert ended is not None
    assert notice is not None
    assert node.ended() == ("interrupted", WHY)
    assert ended.at < notice.detail["deadline"]
    assert any("checkpoints are NOT kept in whole: 7: " in line for line in node.lines())


def test_an_agent_that_dies_before_the_checkpoints_are_kept_is_followed_by_one_that_keeps_them(
    agent: MakeAgent, tmp_path: Path
) -> None:
    node = agent(SAVING, grace=60.0, **keeping(tmp_path, "kept/here")).start()
    node.wait_for_line("up")
    (tmp_path / "kept").write_text("in the way")
    give(node, None)
    node.reports.wait_for(lambda: node.fact(Kind.EXITED))
    node.kill()
    (tmp_path / "kept").unlink()
    node.start().wait()
    assert node.ended() == ("interrupted", WHY)
    assert (tmp_path / "kept/here/7").read_text() == "7\n"
    kept = node.fact(Kind.CHECKPOINT)
    assert kept is not None
    assert kept.detail["files"] == 1
    assert node.kinds()[-1] == "ended"


def test_a_notice_is_told_while_results_wait_and_ends_that_at_its_deadline(
    agent: MakeAgent,
) -> None:
    nowhere = {"endpoint": "http://127.0.0.1:1", "access_key": "a", "secret_key": "b"}
    objects = {**nowhere, "region": "us-east-1"}
    script = "echo 7 >/opt/ml/model/w"
    node = agent(script, output_path="s3://bucket/out", objects=objects).start()
    node.reports.wait_for(lambda: node.fact(Kind.UPLOADING))
    give(node, 4.0)
    node.reports.wait_for(lambda: node.fact(Kind.NOTICE))
    assert node.fact(Kind.ENDED) is None
    node.wait()
    ended, notice = node.fact(Kind.ENDED), node.fact(Kind.NOTICE)
    assert ended is not None
    assert notice is not None
    assert node.ended() == ("interrupted", WHY)
    assert ended.at < notice.detail["deadline"]
    assert any("the results were not stored before the node" in line for line in node.lines())


def test_a_node_that_waits_for_its_peers_results_waits_no_longer_than_its_notice(
    agent: MakeAgent,
) -> None:
    node = agent("echo 7 >/opt/ml/model/w", hosts=("algo-1", "algo-2")).start()
    node.reports.wait_for(lambda: node.fact(Kind.UPLOADING))
    give(node, 2.5)
    node.wait()
    ended, notice = node.fact(Kind.ENDED), node.fact(Kind.NOTICE)
    assert ended is not None
    assert notice is not None
    assert node.ended() == ("interrupted", WHY)
    assert ended.at < notice.detail["deadline"]


def test_a_wish_to_stop_that_comes_over_a_notice_has_the_results_delivered(
    agent: MakeAgent, tmp_path: Path
) -> None:
    script = SAVING.replace("echo saving;", "echo saving; while [ ! -e go ]; do sleep 0.01; done;")
    node = agent(f"cd {tmp_path}; {script}", grace=60.0).start()
    node.wait_for_line("up")
    give(node, 3600.0)
    node.wait_for_line("saving")
    (node.folder / "stop").write_text("1")
    node.signal(signal.SIGTERM)
    node.reports.wait_for(lambda: node.kinds().count("stopping") == 2)
    (tmp_path / "go").touch()
    node.wait()
    assert node.ended() == ("stopped", "")
    with tarfile.open(tmp_path / "out/job-1/output/model.tar.gz") as tar:
        assert tar.getnames() == ["w"]


def _write_journal(node: Agent, *facts: dict[str, Any]) -> None:
    lines = [json.dumps({"n": n, "at": 5.0 + n, **fact}) for n, fact in enumerate(facts, 1)]
    (node.folder / "journal.jsonl").write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize(
    ("facts", "stop", "outcome", "delivered"),
    [
        ([STARTED], "0", "interrupted", False),
        ([STARTED], "1", "stopped", False),
        ([STARTED, TRAIN], "0", "interrupted", False),
        ([STARTED, TRAIN], "1", "stopped", True),
        ([STARTED, TRAIN, TOLD, STOP], "0", "interrupted", False),
        ([STARTED, TRAIN, TOLD, STOP, DONE], "0", "interrupted", False),
        ([STARTED, TRAIN, TOLD, STOP, DONE], "1", "stopped", True),
        ([STARTED, TRAIN, DONE], "0", "completed", True),
        ([STARTED, TRAIN, DONE, TOLD], "0", "completed", True),
    ],
)  # fmt: skip
def test_an_agent_that_starts_over_goes_on_with_the_notice(
    agent: MakeAgent,
    tmp_path: Path,
    facts: list[dict[str, Any]],
    stop: str,
    outcome: str,
    delivered: bool,
) -> None:
    node = agent("echo ran")
    give(node, None)
    (node.folder / "stop").write_text(stop)
    (node.folder / "ml/model").mkdir(parents=True)
    (node.folder / "ml/output/data").mkdir(parents=True)
    (node.folder / "ml/model/w").write_text("7")
    _write_journal(node, *facts)
    node.start().wait()
    assert node.ended()[0] == outcome
    assert "ran" not in node.lines()
    assert node.kinds().count("notice") == 1
    assert (tmp_path / "out/job-1/output/model.tar.gz").exists() is delivered


def test_a_notice_is_remembered_when_only_the_journal_tells_of_it(agent: MakeAgent) -> None:
    node = agent("echo ran")
    node.folder.mkdir(parents=True)
    _write_journal(node, STARTED, TRAIN, TOLD)
    node.start().wait()
    assert node.ended() == ("interrupted", WHY)


def test_a_notice_that_leaves_less_time_takes_the_place_of_another(agent: MakeAgent) -> None:
    node = agent(DEAF, grace=3600.0).start()
    node.wait_for_line("up")
    give(node, None)
    node.reports.wait_for(lambda: node.fact(Kind.STOPPING))
    give(node, 2.0)
    node.wait()
    assert node.ended() == ("interrupted", WHY)
    assert node.kinds().count("notice") == 2
    assert node.kinds().count("stopping") == 1

"""A node that is asked to stop, or runs too long: TERM, grace, KILL, and a delivery."""

import signal
import tarfile
from collections.abc import Callable
from pathlib import Path

from tests.agent.conftest import Agent, until

from trainshed.domain.facts import Kind

MakeAgent = Callable[..., Agent]
SAVING = (
    "trap 'echo saving; echo 7 >/opt/ml/model/w; exit 0' TERM; echo up; "
    "while :; do sleep 0.01; done"
)
DEAF = "trap '' TERM; echo 7 >/opt/ml/model/w; echo up; while :; do sleep 0.01; done"


def test_a_script_may_save_its_model_when_it_is_stopped(agent: MakeAgent, tmp_path: Path) -> None:
    node = agent(SAVING, grace=60.0).start()
    node.wait_for_line("up")
    node.signal(signal.SIGTERM)
    node.wait()
    assert node.ended() == ("stopped", "")
    assert node.kinds() == ["started", "training", "stopping", "exited", "uploading", "ended"]
    stopping = node.fact(Kind.STOPPING)
    assert stopping is not None
    assert stopping.detail == {"reason": "asked"}
    assert node.lines() == ["up", "saving"]
    with tarfile.open(tmp_path / "out/job-1/output/model.tar.gz") as tar:
        assert tar.getnames() == ["w"]


def test_a_script_that_ignores_the_signal_is_killed_after_the_grace(
    agent: MakeAgent, tmp_path: Path
) -> None:
    node = agent(DEAF, grace=0.3).start()
    node.wait_for_line("up")
    node.signal(signal.SIGTERM)
    node.wait()
    assert node.ended() == ("stopped", "")
    exited = node.fact(Kind.EXITED)
    assert exited is not None
    assert (exited.detail["exit_code"], exited.detail["oom"]) == (137, False)
    assert node.lines()[0] == "up"
    assert node.lines()[1].startswith("[trainshed] it did not end within 0.3 s of the signal")
    assert (tmp_path / "out/job-1/output/model.tar.gz").exists()


def test_max_runtime_stops_the_script_as_a_user_would(agent: MakeAgent) -> None:
    node = agent(SAVING, grace=60.0, max_runtime=0.5).start()
    node.wait()
    stopping = node.fact(Kind.STOPPING)
    assert stopping is not None
    assert stopping.detail == {"reason": "max_runtime"}
    assert node.ended() == ("stopped", "")


def test_a_wish_that_came_before_the_agent_is_found_in_the_file(agent: MakeAgent) -> None:
    node = agent("echo never")
    node.folder.mkdir(parents=True)
    (node.folder / "stop").write_text("1")
    node.start().wait()
    assert node.kinds() == ["started", "stopping", "ended"]
    assert node.ended() == ("stopped", "")
    assert node.lines() == []


def test_a_stop_right_at_the_start_is_not_lost(agent: MakeAgent) -> None:
    node = agent(SAVING, grace=1.0).start()
    until(
        lambda: (node.folder / "agent.lock").exists() and (node.folder / "agent.lock").read_text()
    )
    node.signal(signal.SIGTERM)
    node.wait()
    assert node.ended() == ("stopped", "")


def test_a_job_that_the_server_forgot_is_ended_without_delivering(
    agent: MakeAgent, tmp_path: Path
) -> None:
    node = agent(f"while :; do echo line; sleep 0.05; done; {DEAF}", grace=3600.0).start()
    node.wait_for_line("line")
    node.reports.forget(node.plan.node_id)
    node.wait()
    assert not (tmp_path / "out").exists()

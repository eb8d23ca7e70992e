"""The store is away while a job saves, and when it ends."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.agent.checkpoints.conftest import Store
from tests.agent.conftest import Agent, until

from trainshed.domain.facts import Kind

MakeAgent = Callable[..., Agent]
Saving = Callable[..., Agent]


@pytest.fixture
def saving(agent: MakeAgent, store: Store, tmp_path: Path) -> Saving:
    """Return what starts a job, waits until its first file is kept, and has the store go away."""

    def start(name: str, then: str) -> Agent:
        script = (
            "cd /opt/ml/checkpoints; echo 1 >first;"
            f"until [ -e {tmp_path}/go ]; do sleep 0.05; done; {then}"
        )
        node = agent(
            script,
            node_id=f"{name}.1.algo-1",
            objects=store.access,
            request={"CheckpointConfig": {"S3Uri": f"s3://kept/{name}/"}},
        ).start()
        until(lambda: store.checkpoints(f"{name}/") == {"first": b"1\n"})
        store.server.stop()
        (tmp_path / "go").touch()
        return node

    return start


def exited(node: Agent) -> bool:
    return node.fact(Kind.EXITED) is not None


def test_a_job_that_ended_waits_for_it_also_when_its_agent_dies_over_that(
    saving: Saving, store: Store
) -> None:
    node = saving("waits", "echo 2 >second; rm first")
    node.reports.wait_for(lambda: exited(node))
    node.kill()
    node.start()
    store.server.start()
    node.wait()
    assert node.ended() == ("completed", "")
    assert store.checkpoints("waits/") == {"second": b"2\n"}


def test_a_job_that_nobody_waits_for_says_what_is_not_kept(saving: Saving, store: Store) -> None:
    node = saving("hurried", "echo 2 >second; rm first")
    node.reports.wait_for(lambda: exited(node))
    (node.folder / "stop").write_text("2")
    node.signal(signal.SIGTERM)
    node.wait()
    store.server.start()
    (said,) = [line for line in node.lines() if "NOT kept" in line]
    what = "first, second: s3://kept/hurried/second: "
    assert said.startswith(f"[trainshed] checkpoints are NOT kept in whole: {what}")
    assert store.checkpoints("hurried/") == {"first": b"1\n"}


def test_a_job_that_is_stopped_waits_no_longer_than_its_grace(saving: Saving, store: Store) -> None:
    node = saving("bounded", "echo 2 >second; rm first")
    node.reports.wait_for(lambda: exited(node))
    node.signal(signal.SIGTERM)
    node.wait()
    store.server.start()
    assert any("is not waited for longer than 1 s" in line for line in node.lines())
    assert any("NOT kept in whole: first, second" in line for line in node.lines())
    assert node.ended() == ("completed", "")


def test_a_job_that_runs_goes_on(saving: Saving, store: Store, tmp_path: Path) -> None:
    node = saving("runs", f"echo 2 >second; until [ -e {tmp_path}/end ]; do sleep 0.05; done")
    until(
        lambda: '"seen"' in (node.folder / "checkpoints.jsonl").read_text().rpartition("second")[2]
    )
    store.server.start()
    until(lambda: store.checkpoints("runs/") == {"first": b"1\n", "second": b"2\n"}, timeout=60)
    (tmp_path / "end").touch()
    node.wait()
    assert node.ended() == ("completed", "")


def with_a_bad_plan(node: Agent, store: Store) -> Agent:
    """Start a node's next agent on a plan that no server of ours would write."""
    node.kill()
    node.plan = replace(node.plan, objects={**store.access, "endpoint": "http://127.0.0.1:none"})
    return node.start()


def test_a_fault_of_our_own_beside_the_container_is_said_and_ends_nothing_else(
    saving: Saving, store: Store
) -> None:
    node = with_a_bad_plan(saving("beside", "echo 2 >second"), store)
    node.wait()
    store.server.start()
    assert any("NOT kept while the container runs, by a fault" in line for line in node.lines())
    assert "ValueError: Port" in (node.folder / "agent.log").read_text()
    assert "the agent failed" not in node.ended()[1]


def test_a_fault_of_our_own_after_the_container_ends_the_node_and_keeps_what_it_made(
    saving: Saving, store: Store, tmp_path: Path
) -> None:
    node = saving("after", "echo 2 >second; echo 7 >/opt/ml/model/w")
    node.reports.wait_for(lambda: exited(node))
    node.plan = replace(node.plan, unsent=str(tmp_path / "unsent"))
    with_a_bad_plan(node, store).wait()
    store.server.start()
    outcome, reason = node.ended()
    assert outcome == "lost"
    assert reason.startswith("InternalServerError: the agent failed: ValueError: Port")
    assert (tmp_path / "unsent/job-1/after.1.algo-1/model/w").read_text() == "7\n"

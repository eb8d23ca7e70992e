"""The store is away while a job saves, and when it ends."""

import signal
from collections.abc import Callable
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

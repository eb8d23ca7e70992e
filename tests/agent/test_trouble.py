"""Full disks, hostile patterns, and what this place does not do."""

import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agent.conftest import Agent

from trainshed.agent.journal import Journal
from trainshed.agent.log import OutputLog
from trainshed.agent.watching.metrics import Metrics
from trainshed.domain.facts import Kind

MakeAgent = Callable[..., Agent]


def test_a_log_that_fits_nowhere_ends_the_container_and_the_job_says_why(
    agent: MakeAgent,
) -> None:
    node = agent("echo up; trap '' TERM; while :; do seq 1 100; done").start()
    node.wait_for_line("up")
    size = (node.folder / "journal.jsonl").stat().st_size + 4096
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (size, size))
    node.reports.wait_for(lambda: node.fact(Kind.ENDED))
    outcome, reason = node.ended()
    assert outcome == "lost"
    assert "File too large" in reason
    node.wait()
    assert node.reports.log(node.plan.node_id) == (node.folder / "output.log").read_bytes()


@pytest.fixture
def full_at_100_bytes() -> Callable[[], None]:
    """Return what takes the limit away again."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_did_not_fit_leaves_nothing_half_written(
    tmp_path: Path, full_at_100_bytes: Callable[[], None]
) -> None:
    journal, log = Journal(tmp_path / "journal"), OutputLog(tmp_path / "log")
    try:
        journal.append(Kind.STARTED)
        with pytest.raises(OSError, match="too large"):
            journal.append(Kind.EXITED, reason="x" * 100)
        with pytest.raises(OSError, match="too large"):
            log.add(b"y" * 200 + b"\n")
    finally:
        full_at_100_bytes()
    journal.append(Kind.ENDED)
    log.add(b"z\n")
    assert [fact.kind for fact in Journal(tmp_path / "journal").after(0, 9)] == [
        Kind.STARTED,
        Kind.ENDED,
    ]
    assert (tmp_path / "log").read_bytes().endswith(b" z\n")
    assert log.size == (tmp_path / "log").stat().st_size


def test_facts_are_read_again_from_any_number_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    for value in range(5):
        journal.append(Kind.METRICS, points=[["loss", value, 1.0]])
    assert [fact.n for fact in journal.after(0, 2)] == [1, 2]
    assert [fact.n for fact in journal.after(3, 9)] == [4, 5]
    assert journal.after(5, 9) == journal.after(7, 9) == []
    last = journal.last(Kind.METRICS)
    assert last is not None
    assert last.detail == journal.after(4, 1)[0].detail == {"points": [["loss", 4, 1.0]]}


def test_a_pattern_that_never_ends_holds_nothing_up() -> None:
    said: list[str] = []
    metrics = Metrics(
        [{"Name": "bad", "Regex": "(a+)+$"}, {"Name": "good", "Regex": "b=(.)"}], said.append
    )
    metrics.scan(b"a" * 60 + b"!\nb=7\n", 1000)
    assert metrics.drain() == [("good", 7.0, 1.0)]
    assert len(said) == 1
    assert said[0].startswith("metric bad: the regex '(a+)+$' took more than")
    metrics.scan(b"a\n", 1000)
    assert metrics.drain() == []


def test_the_checkpoints_folder_is_there_also_when_nothing_is_kept_of_it(
    agent: MakeAgent,
) -> None:
    node = agent("echo 1 >/opt/ml/checkpoints/x; echo 1 >/opt/ml/input/y; echo fine")
    node.start().wait()
    assert node.lines() == ["fine"]
    assert node.ended() == ("completed", "")


def test_an_agent_that_has_no_room_to_say_what_failed_still_ends_the_job(agent: MakeAgent) -> None:
    node = agent("echo never")
    node.folder.mkdir(parents=True)
    (node.folder / "agent.log").symlink_to("/dev/full")
    (node.folder / "ml").write_text("in the way")
    node.start().wait()
    outcome, reason = node.ended()
    assert outcome == "lost"
    assert reason.startswith("InternalServerError: the agent failed: FileExistsError")

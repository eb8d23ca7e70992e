"""Following, until the job ends. Time passes when the command sleeps."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from trainshed.client.errors import ClientError, JobNotFound, ServerUnreachable
from trainshed.operator.smlogs import words
from trainshed.operator.smlogs.cluster import Cluster
from trainshed.operator.smlogs.command import PATIENCE, NotStarted, Show, Terminal
from trainshed.operator.smlogs.lines import Layout, Line
from trainshed.operator.smlogs.objects import Job
from trainshed.operator.smlogs.source import NoSource, Wanted
from trainshed.testing.api_server import ApiServer, path_of

NAMED = {"region": "us-east-2", "trainingJobName": "digits-cf1e"}
RUNNING = {"trainingJobStatus": "InProgress", "secondaryStatus": "Training"}
COMPLETED = {"trainingJobStatus": "Completed", "secondaryStatus": "Completed"}


@dataclass
class Log:
    """A source, and who finds it."""

    lines: list[str] = field(default_factory=list)
    fails: int = 0
    """Looks that find nobody there."""
    unknown: int = 0
    """Times that the source is not found yet."""
    lag: float = 0.0
    where: str = "here"
    wanted: Wanted | None = None

    def source(self, job: Job, wanted: Wanted) -> "Log":
        self.wanted = wanted
        if self.unknown:
            self.unknown -= 1
            raise NoSource([("here", "it does not know the job")], later=True)
        return self

    def check(self) -> None:
        pass

    def look(self) -> Iterator[Line]:
        if self.fails:
            self.fails -= 1
            raise ServerUnreachable("it went away")
        while self.lines:
            yield Line("s", 0, self.lines.pop(0))


@dataclass
class Run:
    api: ApiServer
    cluster: Cluster
    log: Log = field(default_factory=Log)
    out: io.StringIO = field(default_factory=io.StringIO)
    err: io.StringIO = field(default_factory=io.StringIO)
    slept: float = 0.0
    then: list[Callable[[], Any]] = field(default_factory=list)
    """What happens while the command sleeps, one each time."""

    @property
    def job(self) -> dict[str, Any]:
        return self.api.objects[path_of("trainingjobs", "lab", "digits")]

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        if self.then:
            self.then.pop(0)()
        assert self.slept < 1000, self.err.getvalue()

    def show(self, *options: str) -> Job | None:
        asked = words.read(["tj", "digits", *options], datetime(2026, 1, 1, tzinfo=UTC))
        layout = Layout(stream=False, time=False)
        terminal = Terminal(out=self.out, err=self.err, layout=layout)
        return Show(
            asked=asked,
            cluster=self.cluster,
            choice=self.log,
            terminal=terminal,
            sleep=self.sleep,
        ).run()

    def ends(self) -> None:
        self.job["status"] = COMPLETED


@pytest.fixture
def run(api: ApiServer, cluster: Cluster) -> Run:
    api.put("trainingjobs", "lab", "digits", spec=NAMED, status=RUNNING)
    return Run(api, cluster)


def test_lines_are_told_as_they_come_and_the_last_after_the_end(run: Run) -> None:
    run.log.lines = ["a"]
    run.then = [
        lambda: run.log.lines.append("b"),
        lambda: (run.log.lines.append("c"), run.ends()),
    ]
    ended = run.show("-f")
    assert ended is not None
    assert ended.status == "Completed"
    assert run.out.getvalue() == "a\nb\nc\n"


def test_a_place_that_lags_is_looked_at_once_more_after_the_end(run: Run) -> None:
    run.log.lag = 3.0
    run.then = [run.ends, lambda: run.log.lines.append("late")]
    run.show("-f")
    assert run.out.getvalue() == "late\n"


def test_without_following_nothing_is_waited_for(run: Run) -> None:
    run.log.lines = ["a"]
    assert run.show() is None
    assert (run.out.getvalue(), run.slept) == ("a\n", 0.0)


def test_what_was_asked_for_reaches_the_source(run: Run) -> None:
    run.show("-p", "algo-2", "--tail", "7", "--since", "1m", "--last-attempt")
    assert run.log.wanted == Wanted(
        job="digits-cf1e",
        hosts="algo-2",
        since=int(datetime(2025, 12, 31, 23, 59, tzinfo=UTC).timestamp() * 1000),
        tail=7,
        last_attempt=True,
    )


def test_a_job_that_has_not_started_is_told_of_and_waited_for(run: Run) -> None:
    run.job["spec"] = {"region": "us-east-2"}
    run.job["status"] = {}
    with pytest.raises(NotStarted, match="the operator has not touched it") as refused:
        run.show()
    assert refused.value.remedy == "with -f, this command waits for it"
    run.then = [lambda: run.job.update(spec=NAMED, status=COMPLETED)]
    run.log.lines = ["a"]
    assert run.show("-f") is not None
    told = run.err.getvalue().splitlines()
    assert told[0] == '"digits" has not started yet; waiting for it'
    assert told[1].startswith('"digits" has SageMaker TrainingJobName "digits-cf1e"')
    assert run.out.getvalue() == "a\n"


def test_a_log_that_is_not_there_yet_is_waited_for_and_said_once(run: Run) -> None:
    run.log.unknown = 3
    run.log.lines = ["a"]
    run.then = [lambda: None] * 3 + [run.ends]
    run.show("-f")
    assert run.out.getvalue() == "a\n"
    assert run.err.getvalue().count("waiting for its first lines") == 1


def test_a_log_that_never_was_is_an_error_at_the_end(run: Run) -> None:
    run.log.unknown = 99
    run.then = [run.ends]
    with pytest.raises(NoSource, match="it does not know the job"):
        run.show("-f")


def test_an_object_that_stalled_is_not_waited_for(run: Run) -> None:
    bad = {"reason": "BadSpec", "message": "no such instance type"}
    run.job["status"] = {
        "conditions": [
            {"type": "Ready", "status": "False", **bad},
            {"type": "Stalled", "status": "True", **bad},
        ]
    }
    for options in ((), ("-f",)):
        run.log.unknown = 1
        with pytest.raises(NotStarted, match="has stalled: no such instance type"):
            run.show(*options)


def test_a_server_that_goes_away_is_waited_for(run: Run) -> None:
    run.log.fails = 5
    run.log.lines = ["a"]
    run.then = [run.ends]
    run.show("-f")
    assert run.out.getvalue() == "a\n"
    assert run.err.getvalue().count("it went away; trying again") == 1


def test_a_server_that_stays_away_is_given_up(run: Run) -> None:
    run.log.fails = 10_000
    with pytest.raises(ServerUnreachable):
        run.show("-f")
    assert PATIENCE <= run.slept < PATIENCE + 10


def test_an_object_that_is_deleted_ends_it_with_what_was_known(run: Run) -> None:
    run.log.lines = ["a"]
    run.then = [lambda: run.api.objects.clear()]
    with pytest.raises(JobNotFound, match="was deleted; its status was InProgress"):
        run.show("-f")
    assert run.out.getvalue() == "a\n"


def test_another_object_of_the_name_is_not_taken_for_it(run: Run) -> None:
    run.then = [lambda: run.job["metadata"].update(uid="another")]
    with pytest.raises(JobNotFound, match="another object has its name now"):
        run.show("-f")


def test_rights_that_are_missing_end_it_at_once(run: Run) -> None:
    run.then = [lambda: run.api.forbidden.add(".*")]
    with pytest.raises(ClientError, match="cannot get"):
        run.show("-f")
    assert run.slept < 1

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.client.fake_server import FakeServer, Job, Refusal, serving

from trainshed.client.api import Api
from trainshed.client.errors import ApiError, ServerUnreachable
from trainshed.client.follow import (
    FASTEST,
    SLOWEST,
    Away,
    Event,
    Follower,
    Line,
    Metric,
    Over,
    Phase,
    follow,
    node_of,
)

STREAM = "one/algo-1-1767225600"


def script(fake: FakeServer, *steps: Callable[[Job], None]) -> None:
    """Let one step happen each time the job is described."""
    waiting: Iterator[Callable[[Job], None]] = iter(steps)

    def next_step(job: Job) -> None:
        for step in waiting:
            step(job)
            return

    fake.on_describe = next_step


def told(fake: FakeServer, follower: Follower | None = None) -> list[Event]:
    events = follow(follower or Follower("one"), fake.api, sleep=lambda seconds: None)
    return list(events)


def say(fake: FakeServer, *texts: str, stream: str = STREAM, at: int = 1) -> None:
    fake.lines.setdefault(stream, []).extend((at, text) for text in texts)


def complete(fake: FakeServer, job: Job) -> None:
    fake.move(job, "Completed", "Completed")


def test_phases_lines_and_metrics_come_once_and_the_end_comes_last(fake: FakeServer) -> None:
    job = fake.add_job("one")

    def starts(job: Job) -> None:
        fake.move(job, "Starting", message="Launching")

    def is_prepared(job: Job) -> None:
        job["SecondaryStatusTransitions"][-1]["StatusMessage"] = "Preparing"

    def trains(job: Job) -> None:
        fake.move(job, "Training")
        say(fake, "a", "b", "c", "d", "e")
        metric = {"MetricName": "loss", "Value": 0.5, "Timestamp": 3.0}
        job["FinalMetricDataList"] = [metric]

    def ends(job: Job) -> None:
        say(fake, "f")
        complete(fake, job)

    script(fake, starts, is_prepared, trains, ends)
    events = told(fake)
    phases = [
        (event.status, event.message, event.entered) for event in events if isinstance(event, Phase)
    ]
    assert phases == [
        ("Starting", "Launching", True),
        ("Starting", "Preparing", False),
        ("Training", "Training", True),
        ("Completed", "Completed", True),
    ]
    assert [event.text for event in events if isinstance(event, Line)] == list("abcdef")
    assert [event for event in events if isinstance(event, Metric)] == [Metric("loss", 0.5, 3.0)]
    assert events[-1] == Over(job)
    assert events.index(Line("algo-1", 1, "f")) < events.index(
        next(event for event in events if isinstance(event, Phase) and event.status == "Completed")
    )


def test_the_lines_of_each_node_carry_its_name(fake: FakeServer) -> None:
    job = fake.add_job("one")
    say(fake, "from one")
    say(fake, "from ten", stream="one/algo-10-1767225600")
    say(fake, "of another job", stream="one-more/algo-1-1767225600")
    complete(fake, job)
    lines = [(e.node, e.text) for e in told(fake) if isinstance(e, Line)]
    assert lines == [("algo-1", "from one"), ("algo-10", "from ten")]


def test_only_lines_since_a_moment_when_asked(fake: FakeServer) -> None:
    job = fake.add_job("one")
    say(fake, "old", at=5)
    say(fake, "new", at=10)
    complete(fake, job)
    lines = [e.text for e in told(fake, Follower("one", since=7)) if isinstance(e, Line)]
    assert lines == ["new"]


def test_a_token_the_server_forgot_costs_and_repeats_no_line(fake: FakeServer) -> None:
    fake.add_job("one")

    def first(job: Job) -> None:
        say(fake, "a", at=1)
        say(fake, "b", "c", at=2)

    def forgets(job: Job) -> None:
        fake.refuse_tokens = True
        say(fake, "d", at=2)
        say(fake, "e", at=3)

    script(fake, first, forgets, lambda job: complete(fake, job))
    assert [e.text for e in told(fake) if isinstance(e, Line)] == list("abcde")


def test_a_server_that_went_away_is_waited_for_and_found_at_its_new_address(
    fake: FakeServer,
) -> None:
    job = fake.add_job("one")
    say(fake, "before")
    with ExitStack() as second, ExitStack() as first:
        old = first.enter_context(serving(FakeServer(jobs=fake.jobs, lines=fake.lines)))
        current: list[Callable[[], Api]] = [old.api]
        waited: list[float] = []

        def sleep(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 2:
                first.close()
            if len(waited) == 5:
                say(fake, "after")
                complete(fake, job)
                new = second.enter_context(serving(FakeServer(jobs=fake.jobs, lines=fake.lines)))
                current[0] = new.api

        events = list(follow(Follower("one"), lambda: current[0](), sleep=sleep))
    kinds = [event for event in events if isinstance(event, Line | Away)]
    assert kinds == [Line("algo-1", 1, "before"), Away(), Line("algo-1", 1, "after")]
    assert isinstance(events[-1], Over)


def test_a_server_that_stays_away_is_given_up(fake: FakeServer) -> None:
    with serving(FakeServer()) as gone:
        gone.add_job("one")
        api = gone.api()
    waited: list[float] = []
    events = follow(Follower("one"), lambda: api, sleep=waited.append, patience=3.0)
    assert next(events) == Away()
    with pytest.raises(ServerUnreachable):
        list(events)
    assert sum(waited) == 3.0


def test_a_server_that_has_a_bad_moment_is_asked_again(fake: FakeServer) -> None:
    fake.add_job("one")

    def has_a_bad_moment(job: Job) -> None:
        raise Refusal(503, "ServiceUnavailable", "starting")

    script(fake, has_a_bad_moment, lambda job: complete(fake, job))
    events = told(fake)
    assert events[0] == Away()
    assert isinstance(events[-1], Over)


def test_a_job_that_was_deleted_ends_the_following(fake: FakeServer) -> None:
    fake.add_job("one")
    script(fake, lambda job: fake.move(job, "Training"), lambda job: fake.jobs.clear())
    with pytest.raises(ApiError, match="not found"):
        told(fake)


def test_looks_are_close_while_there_is_news_and_slow_down_without(fake: FakeServer) -> None:
    fake.add_job("one")
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 12:
            say(fake, "news")
        if len(waited) == 13:
            complete(fake, fake.jobs["one"])

    list(follow(Follower("one"), fake.api, sleep=sleep))
    assert waited[:11] == sorted(waited[:11])
    assert waited[11] == SLOWEST
    assert waited[12] == FASTEST


def test_a_stream_is_named_after_its_node() -> None:
    assert node_of("job-1/algo-12-1767225600") == "algo-12"


def test_lines_of_more_nodes_than_one_page_of_streams_names_all_come(fake: FakeServer) -> None:
    job = fake.add_job("one")
    for rank in range(1, 121):
        say(fake, "here", stream=f"one/algo-{rank}-1767225600")
    complete(fake, job)
    lines = [event.node for event in told(fake) if isinstance(event, Line)]
    assert sorted(lines) == sorted(f"algo-{rank}" for rank in range(1, 121))

"""The line as it is told: who stands where, what for, and who has the nodes meanwhile."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.api.trainshed.rows import Rows, S, at

from trainshed.api.trainshed.queue import DescribeQueue, Lineup
from trainshed.domain.errors import RequestRejected
from trainshed.domain.training import AttemptEnd, PastAttempt, TrainingJob
from trainshed.drivers.base import Capabilities
from trainshed.wire.message import Call, Reply
from trainshed.wire.model import load
from trainshed.wire.protocols.json import render

BACKENDS = {"local": Capabilities(max_nodes=4), "docker": Capabilities(max_nodes=2)}


@pytest.fixture
def rows() -> Rows:
    return Rows()


async def describe(
    rows: Rows, lineup: Callable[[], Lineup] | None = None, **params: Any
) -> dict[str, Any]:
    operation = DescribeQueue(records=rows, backends=BACKENDS, default="local", lineup=lineup)
    call = Call(
        service="trainshed",
        operation="DescribeQueue",
        params=params,
        region="us-east-1",
        access_key="key",
        request_id="request",
    )
    answer = await operation.describe_queue(call)
    render(load("trainshed"), "DescribeQueue", Reply(result=answer), "request")
    return answer


def names(answer: dict[str, Any]) -> list[str]:
    return [each["TrainingJobName"] for each in answer["WaitingJobs"]]


async def test_higher_priorities_stand_first_and_among_equals_who_came_first(rows: Rows) -> None:
    rows.waits("young", 20)
    rows.waits("old", 10)
    rows.waits("urgent", 30, priority=90)
    rows.waits("patient", 0, priority=10)
    answer = await describe(rows)
    assert names(answer) == ["urgent", "old", "young", "patient"]
    assert [each["Position"] for each in answer["WaitingJobs"]] == [1, 2, 3, 4]


async def test_each_backend_has_a_line_of_its_own(rows: Rows) -> None:
    rows.waits("here", 0)
    rows.waits("there", 1, backend="docker")
    answer = await describe(rows)
    assert [(each["Backend"], each["Position"]) for each in answer["WaitingJobs"]] == [
        ("local", 1),
        ("docker", 1),
    ]
    assert names(await describe(rows, Backend="docker")) == ["there"]


async def test_a_job_in_line_tells_whose_it_is_and_what_it_waits_for(rows: Rows) -> None:
    rows.waits("digits", 7, project="vision", nodes=3, instance_types=("ml.g5.xlarge", "ml.p3"))
    (told,) = (await describe(rows))["WaitingJobs"]
    assert told == {
        "Position": 1,
        "TrainingJobName": "digits",
        "TrainingJobArn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/digits",
        "Backend": "local",
        "Project": "vision",
        "Priority": 50,
        "Nodes": 3,
        "InstanceType": "ml.g5.xlarge, ml.p3",
        "AttemptNumber": 1,
        "SinceTime": at(7),
        "Reason": "Training job waiting for capacity: 4 of 4 nodes are in use",
    }


async def test_an_interrupted_job_waits_since_then(rows: Rows) -> None:
    interrupted = rows.trains("digits").moved_to(S.INTERRUPTED, at=at(50))
    past = PastAttempt(
        number=1, backend="local", started=at(1), ended=at(50), end=AttemptEnd.PREEMPTED
    )
    rows.put(replace(interrupted, attempt=None, past=(past,)))
    (told,) = (await describe(rows))["WaitingJobs"]
    assert (told["AttemptNumber"], told["SinceTime"]) == (2, at(50))
    assert told["Reason"] == "Training job interrupted"


async def test_projects_and_backends_tell_who_has_the_nodes(rows: Rows) -> None:
    rows.trains("a", project="vision", nodes=3)
    rows.trains("b", backend="docker")
    rows.waits("c", project="vision")
    ended = rows.trains("ended", project="done").moved_to(S.FAILED, at=at(9))
    rows.put(ended)  # its node is not cleaned yet
    rows.put(replace(rows.trains("gone").moved_to(S.FAILED, at=at(9)), cleaned=True))
    answer = await describe(rows)
    told = {each["Project"]: each for each in answer["Projects"]}
    assert told["vision"] == {
        "Project": "vision",
        "RunningJobs": 1,
        "WaitingJobs": 1,
        "NodesInUse": 3,
        "Share": 0.6,
    }
    assert (told["done"]["NodesInUse"], told["default"]["NodesInUse"]) == (1, 1)
    assert answer["Backends"] == [
        {"Backend": "docker", "NodesInUse": 1, "NodesTotal": 2, "WaitingJobs": 0},
        {"Backend": "local", "NodesInUse": 4, "NodesTotal": 4, "WaitingJobs": 1},
    ]


async def test_one_projects_jobs_keep_their_places_in_the_whole_line(rows: Rows) -> None:
    rows.waits("a", 0)
    rows.waits("b", 1, project="vision")
    (told,) = (await describe(rows, Project="vision"))["WaitingJobs"]
    assert (told["TrainingJobName"], told["Position"]) == ("b", 2)
    assert names(await describe(rows, Project="default")) == ["a"]


async def test_an_empty_line_is_told_as_one(rows: Rows) -> None:
    answer = await describe(rows)
    assert answer["WaitingJobs"] == answer["Projects"] == []
    assert [each["NodesInUse"] for each in answer["Backends"]] == [0, 0]


@given(priorities=st.lists(st.integers(0, 99), max_size=12), size=st.integers(1, 5))
async def test_pages_hold_every_job_once_and_in_order(priorities: list[int], size: int) -> None:
    rows = Rows()
    for number, priority in enumerate(priorities):
        rows.waits(f"job-{number}", number % 3, priority=priority)
    whole = names(await describe(rows))
    paged: list[str] = []
    params: dict[str, Any] = {"MaxResults": size}
    while True:
        answer = await describe(rows, **params)
        assert len(answer["WaitingJobs"]) <= size
        paged += names(answer)
        if "NextToken" not in answer:
            break
        params["NextToken"] = answer["NextToken"]
    assert paged == whole
    assert sorted(whole) == sorted(f"job-{n}" for n in range(len(priorities)))


async def test_a_page_goes_on_behind_its_place_though_its_last_job_has_left(rows: Rows) -> None:
    kept = [rows.waits(f"job-{number}", number) for number in range(4)]
    token = (await describe(rows, MaxResults=2))["NextToken"]
    del rows.jobs[kept[1].arn]
    assert names(await describe(rows, MaxResults=2, NextToken=token)) == ["job-2", "job-3"]


async def test_a_token_of_another_question_is_refused(rows: Rows) -> None:
    for number in range(3):
        rows.waits(f"job-{number}", number)
    token = (await describe(rows, MaxResults=1))["NextToken"]
    with pytest.raises(RequestRejected, match="Invalid NextToken"):
        await describe(rows, MaxResults=1, NextToken=token, Project="vision")


class Backwards:
    """Has the last one go first."""

    def __init__(self) -> None:
        self.arns: list[str] = []

    def note(self, job: TrainingJob) -> None:
        self.arns.append(job.arn)

    def reasons(self) -> dict[str, str]:
        return {arn: f"reason {n}" for n, arn in enumerate(reversed(self.arns))}


async def test_whoever_knows_the_order_is_asked_for_it_on_every_page(rows: Rows) -> None:
    for n in range(5):
        rows.waits(f"j{n}", n)
    first = await describe(rows, Backwards, MaxResults=3)
    second = await describe(rows, Backwards, MaxResults=3, NextToken=first["NextToken"])
    told = first["WaitingJobs"] + second["WaitingJobs"]
    assert [each["TrainingJobName"] for each in told] == ["j4", "j3", "j2", "j1", "j0"]
    assert [each["Position"] for each in told] == [1, 2, 3, 4, 5]
    assert [each["Reason"] for each in told] == [f"reason {n}" for n in range(5)]


class First(Backwards):
    """Knows only who goes first."""

    def reasons(self) -> dict[str, str]:
        return dict(list(super().reasons().items())[:1])


async def test_behind_those_whose_order_is_known_the_others_stand_by_priority(rows: Rows) -> None:
    rows.waits("a", 0)
    rows.waits("b", 1, priority=60)
    rows.waits("c", 2, priority=10)
    told = (await describe(rows, First))["WaitingJobs"]
    assert [each["TrainingJobName"] for each in told] == ["c", "b", "a"]
    assert told[0]["Reason"] == "reason 0"
    assert told[1]["Reason"] != "reason 1"

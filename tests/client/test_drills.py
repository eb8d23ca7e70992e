"""A drill outlives its server: who asks waits until one answers again."""

from typing import Any

import pytest

from trainshed.client.drills import Asked, Drills
from trainshed.client.errors import ServerUnreachable


class Telling:
    """Calls to a server that answers as told, or is away."""

    def __init__(self, answers: list[dict[str, Any] | None]) -> None:
        self.answers = answers
        self.slept: list[float] = []
        self.away = 0

    def connect(self) -> Any:
        return self

    def call(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        answer = self.answers.pop(0)
        if answer is None:
            raise ServerUnreachable("no server answers", "")
        return answer

    def drills(self) -> Drills:
        def away() -> None:
            self.away += 1

        return Drills("digits", self.connect, sleep=self.slept.append, away=away)


def drill(status: str, attempt: int = 2) -> dict[str, Any]:
    return {"Drill": {"Status": status, "AttemptNumber": attempt}}


def training(seconds: float, status: str = "InProgress") -> dict[str, Any]:
    return {
        "TrainingJobStatus": status,
        "SecondaryStatus": "Training",
        "Phases": [
            {"Phase": "Training", "Seconds": 500.0, "EndTime": 1.0},
            {"Phase": "Training", "Seconds": seconds},
        ],
    }


def test_a_server_that_is_away_is_waited_for_and_told_of_once() -> None:
    server = Telling([drill("Asked"), None, None, drill("Interrupted"), None, drill("Resumed")])
    told: list[str] = []
    done = server.drills().outcome(2, lambda each: told.append(each["Status"]))
    assert done["Status"] == "Resumed"
    assert told == ["Asked", "Interrupted", "Resumed"]
    assert server.away == 2


def test_what_became_of_another_drill_does_not_count() -> None:
    server = Telling([drill("Resumed", 1), {}, drill("StartedOver")])
    assert server.drills().outcome(2, lambda _: None)["Status"] == "StartedOver"


def test_a_job_is_ready_once_its_present_attempt_has_trained_for_long_enough() -> None:
    server = Telling([training(1), training(4), training(5), training(6)])
    assert server.drills().ready(5)
    assert len(server.slept) == 2


def test_a_job_that_is_over_is_never_ready() -> None:
    assert not Telling([training(1), training(1, "Completed")]).drills().ready(5)


@pytest.mark.parametrize(
    ("asked", "request_"),
    [
        (Asked(notice=None), {"Kind": "SuddenLoss"}),
        (
            Asked(notice=7, host="algo-2"),
            {"Kind": "Notice", "NoticeInSeconds": 7, "Host": "algo-2"},
        ),
    ],
)
def test_a_drill_is_asked_for_as_the_model_has_it(asked: Asked, request_: dict[str, Any]) -> None:
    assert asked.request("digits") == {"TrainingJobName": "digits", **request_}

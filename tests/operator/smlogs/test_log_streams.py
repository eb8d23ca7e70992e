"""Lines out of a service's log: each once, whatever breaks off in between."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.client.errors import ApiError, ServerUnreachable
from trainshed.operator.smlogs.lines import Line
from trainshed.operator.smlogs.log_streams import LogStreams
from trainshed.operator.smlogs.source import UnknownThere, Wanted
from trainshed.operator.smlogs.subjects import TRAINING

JOB = "digits"


class Service:
    """As much of CloudWatch Logs as is asked for here, with pages of two lines."""

    page = 2

    def __init__(self) -> None:
        self.lines: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self.jobs: set[str] = set()
        self.fails_after: int | None = None
        """Calls that are still answered."""
        self.forgets_tokens = False
        self.gaps = False
        """Whether every other page is empty, as where the service looks through quiet times."""

    def write(self, stream: str, *texts: str, at: int = 0) -> None:
        self.lines[f"{JOB}/{stream}"] += [(at, text) for text in texts]

    def call(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        if self.fails_after is not None:
            if self.fails_after == 0:
                raise ServerUnreachable("it went away")
            self.fails_after -= 1
        asked = dict(params or {})
        match operation:
            case "DescribeLogStreams":
                return self._streams(asked)
            case "GetLogEvents":
                return self._events(asked)
            case "DescribeTrainingJob" if asked["TrainingJobName"] in self.jobs:
                return {"TrainingJobStatus": "InProgress"}
            case _:
                raise ApiError("ValidationException", "Requested resource not found.", 400)

    def _streams(self, asked: dict[str, Any]) -> dict[str, Any]:
        if not self.lines:
            raise ApiError("ResourceNotFoundException", "The specified log group…", 400)
        names = sorted(n for n in self.lines if n.startswith(asked["logStreamNamePrefix"]))
        begin = int(asked.get("nextToken", 0))
        answer: dict[str, Any] = {
            "logStreams": [{"logStreamName": n} for n in names[begin : begin + self.page]]
        }
        if begin + self.page < len(names):
            answer["nextToken"] = str(begin + self.page)
        return answer

    def _events(self, asked: dict[str, Any]) -> dict[str, Any]:
        lines = self.lines[asked["logStreamName"]]
        limit = min(asked.get("limit", self.page), self.page)
        token = asked.get("nextToken")
        if token and self.forgets_tokens:
            self.forgets_tokens = False
            raise ApiError("InvalidParameterException", "The specified nextToken is invalid.", 400)
        if self.gaps and asked.get("startFromHead") and not (token or "").endswith("-"):
            gap = token or "f0"
            return {"events": [], "nextForwardToken": f"{gap}-", "nextBackwardToken": ""}
        token = token.rstrip("-") if token else token
        start = asked.get("startTime", 0)
        low = next((n for n, (at, _) in enumerate(lines) if at >= start), len(lines))
        if asked.get("startFromHead"):
            begin = max(int(token[1:]), low) if token else low
            end = min(begin + limit, len(lines))
        else:
            end = int(token[1:]) if token else len(lines)
            begin = max(end - limit, low)
            begin = min(begin, end)
        same = token == f"f{end}"
        return {
            "events": [{"timestamp": at, "message": text} for at, text in lines[begin:end]],
            "nextForwardToken": asked["nextToken"] if same and self.gaps else f"f{end}",
            "nextBackwardToken": f"b{begin}",
        }


def source(service: Service, **wanted: Any) -> LogStreams:
    asked = Wanted(job=JOB, **wanted)
    return LogStreams(calls=service, subject=TRAINING, wanted=asked, where="here")


def texts(found: LogStreams) -> list[str]:
    return [line.text for line in found.look()]


def test_all_nodes_are_told_by_time() -> None:
    service = Service()
    for at in range(6):
        service.write(f"algo-{at % 3 + 1}-100", f"line {at}", at=at)
    found = source(service)
    assert texts(found) == [f"line {at}" for at in range(6)]
    assert texts(found) == []


def test_a_job_without_a_line_has_none_and_that_is_no_error() -> None:
    service = Service()
    service.jobs.add(JOB)
    found = source(service)
    found.check()
    assert texts(found) == []


def test_a_job_that_nobody_knows_is_told_so() -> None:
    with pytest.raises(UnknownThere, match="Requested resource not found"):
        source(Service()).check()


def test_a_name_that_begins_another_is_not_taken_for_it() -> None:
    service = Service()
    service.write("algo-1-100", "mine")
    service.lines[f"{JOB}-2/algo-1-100"].append((0, "another's"))
    assert texts(source(service)) == ["mine"]


def test_a_node_that_reports_late_is_not_left_out() -> None:
    service = Service()
    service.write("algo-1-100", "new", at=50)
    found = source(service)
    assert texts(found) == ["new"]
    service.write("algo-2-100", "old", at=10)
    assert texts(found) == ["old"]


def test_only_hosts_that_were_asked_for_are_told() -> None:
    service = Service()
    service.write("algo-1-100", "one")
    service.write("algo-4-100", "four")
    assert texts(source(service, hosts="algo-4")) == ["four"]


def test_only_what_came_since_is_told() -> None:
    service = Service()
    service.write("algo-1-100", "early", at=10)
    service.write("algo-1-100", "late", at=20)
    assert texts(source(service, since=20)) == ["late"]


def test_an_early_attempt_is_left_out_and_a_later_one_told() -> None:
    service = Service()
    service.write("algo-1-100", "first")
    service.write("algo-1-200", "second")
    found = source(service, last_attempt=True)
    assert texts(found) == ["second"]
    service.write("algo-1-100", "first again")
    service.write("algo-1-300", "third")
    assert texts(found) == ["third"]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 7, 50])
def test_a_tail_is_the_last_of_all_nodes_and_then_all_that_comes(count: int) -> None:
    service = Service()
    for at in range(7):
        service.write(f"algo-{at % 2 + 1}-100", f"{at}", at=at)
    found = source(service, tail=count)
    assert texts(found) == [f"{at}" for at in range(max(0, 7 - count), 7)]
    service.write("algo-1-100", "a", "b", "c", at=8)
    service.write("algo-3-100", "d", at=9)
    assert texts(found) == ["a", "b", "c", "d"]


def test_an_empty_page_is_not_taken_for_the_end() -> None:
    service = Service()
    service.gaps = True
    service.write("algo-1-100", "a", "b", "c", "d", "e")
    assert texts(source(service)) == ["a", "b", "c", "d", "e"]


def test_a_token_that_is_too_old_begins_again_behind_the_last_line() -> None:
    service = Service()
    service.write("algo-1-100", "a", "b", "c", at=5)
    found = source(service)
    assert texts(found) == ["a", "b", "c"]
    service.write("algo-1-100", "d", at=5)
    service.forgets_tokens = True
    assert texts(found) == ["d"]


steps = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 3), st.integers(1, 5)),  # a host writes so many lines
        st.integers(0, 12),  # a look, that breaks off after so many calls
        st.just("forget"),
    ),
    max_size=25,
)


@given(steps, st.booleans())
def test_every_line_is_told_once_whatever_breaks_off(script: list[Any], clock_stands: bool) -> None:
    service = Service()
    service.write("algo-1-100")
    found, told, number = source(service), list[Line](), 0
    for step in script:
        if step == "forget":
            service.forgets_tokens = True
        elif isinstance(step, tuple):
            for _ in range(step[1]):
                number += 1
                service.write(f"algo-{step[0]}-100", f"{number}", at=7 if clock_stands else number)
        else:
            service.fails_after = step
            try:
                for line in found.look():
                    told.append(line)
            except ServerUnreachable:
                pass
    service.fails_after = None
    told += found.look()
    for stream, lines in service.lines.items():
        assert [line.text for line in told if line.stream == stream] == [text for _, text in lines]


@given(st.integers(0, 12), st.integers(0, 8))
def test_a_tail_that_broke_off_is_told_at_the_next_look(calls: int, count: int) -> None:
    service = Service()
    for at in range(9):
        service.write(f"algo-{at % 2 + 1}-100", f"{at}", at=at)
    found, told = source(service, tail=count), list[str]()
    service.fails_after = calls
    try:
        for line in found.look():
            told.append(line.text)
    except ServerUnreachable:
        service.fails_after = None
        told += texts(found)
    assert told == [f"{at}" for at in range(max(0, 9 - count), 9)]

"""Follows a job: its phases, its lines and its metrics, as they come, until it is over.

What was seen is remembered here, not on the server, so the server may restart meanwhile: the
follower asks again from where it was.
"""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Final

from trainshed.client.api import Api
from trainshed.client.errors import ApiError, ServerUnreachable
from trainshed.client.references import describe
from trainshed.domain.names import TRAINING_LOG_GROUP

FASTEST: Final = 0.1
"""Seconds between two looks while there is news."""
SLOWEST: Final = 1.0
"""Seconds between two looks when there has been none for a while."""
PATIENCE: Final = 60.0
"""Seconds to wait for a server that went away."""
ENDED: Final = frozenset({"Completed", "Failed", "Stopped"})
"""The ``TrainingJobStatus`` values after which nothing changes."""
_AFTER_LINES: Final = ENDED | {"Uploading", "MaxRuntimeExceeded"}
"""The ``SecondaryStatus`` values that a job has when its containers have written their last."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A SecondaryStatus was entered, or its message changed."""

    status: str
    message: str
    start: float
    """Seconds since the epoch."""
    entered: bool
    """False when only the message changed."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line a node wrote."""

    node: str
    """``algo-1`` is rank 0."""
    at: int
    """Milliseconds since the epoch."""
    text: str


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric has a new value."""

    name: str
    value: float
    at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Away:
    """The server does not answer; it is waited for."""


@dataclass(frozen=True, slots=True)
class Over:
    """The job is over, and everything it wrote has been told. Always the last event."""

    job: Mapping[str, Any]
    """DescribeTrainingJob's last answer."""


Event = Phase | Line | Metric | Away | Over


@dataclass(slots=True)
class _Stream:
    token: str | None = None
    last: int = 0
    """Milliseconds of the newest line told."""
    at_last: int = 0
    """Lines told that carry exactly ``last``."""


@dataclass(slots=True)
class Follower:
    """What has been told of one job. ``look`` may be called as often as one likes."""

    name: str
    since: int | None = None
    """Tell only lines from this time on, milliseconds since the epoch."""
    with_lines: bool = True
    _phases: dict[tuple[str, float], str] = field(default_factory=dict)
    _metrics: dict[str, tuple[float, float]] = field(default_factory=dict)
    _streams: dict[str, _Stream] = field(default_factory=dict)

    def look(self, api: Api) -> Iterator[Event]:
        """Yield what is new since the last look; ends with ``Over`` when the job is over."""
        job = describe(api, self.name)
        if self.with_lines:
            yield from self._news_of_phases(job, stop_at=_AFTER_LINES)
            yield from self.lines(api)
        yield from self._news_of_phases(job)
        yield from self._news_of_metrics(job)
        if job["TrainingJobStatus"] in ENDED:
            yield Over(job)

    def lines(self, api: Api) -> Iterator[Line]:
        """Yield the lines that are new since the last look, each stream's in its own order."""
        for stream in streams(api, self.name):
            seen = self._streams.setdefault(stream, _Stream())
            yield from self._lines_of(api, stream, seen)

    def _news_of_phases(
        self, job: Mapping[str, Any], stop_at: Set[str] = frozenset()
    ) -> Iterator[Phase]:
        for entry in job.get("SecondaryStatusTransitions", ()):
            if entry["Status"] in stop_at:
                return
            key = (entry["Status"], entry["StartTime"])
            message = entry.get("StatusMessage", "")
            known = self._phases.get(key)
            if known != message:
                self._phases[key] = message
                yield Phase(entry["Status"], message, entry["StartTime"], known is None)

    def _news_of_metrics(self, job: Mapping[str, Any]) -> Iterator[Metric]:
        for entry in job.get("FinalMetricDataList", ()):
            value = (float(entry["Value"]), float(entry.get("Timestamp", 0.0)))
            if self._metrics.get(entry["MetricName"]) != value:
                self._metrics[entry["MetricName"]] = value
                yield Metric(entry["MetricName"], *value)

    def _lines_of(self, api: Api, stream: str, seen: _Stream) -> Iterator[Line]:
        node = node_of(stream)
        skip = 0
        while True:
            page: dict[str, Any] = {"startFromHead": True}
            if seen.token is not None:
                page["nextToken"] = seen.token
            start = seen.last if seen.token is None and seen.last else self.since
            if start is not None:
                page["startTime"] = start
            try:
                answer = _events(api, stream, page)
            except ApiError as error:
                if seen.token is None or error.code != "InvalidParameterException":
                    raise
                seen.token, skip = None, seen.at_last  # an old token: again from the last line
                continue
            for event in answer["events"]:
                at = int(event["timestamp"])
                if skip and at == seen.last:
                    skip -= 1
                    continue
                seen.at_last = seen.at_last + 1 if at == seen.last else 1
                seen.last = at
                yield Line(node, at, event["message"])
            seen.token = answer.get("nextForwardToken", seen.token)
            if not answer["events"]:
                return


def follow(
    follower: Follower,
    connect: Callable[[], Api],
    *,
    sleep: Callable[[float], None],
    patience: float = PATIENCE,
) -> Iterator[Event]:
    """Yield a job's events from the beginning (or where ``follower`` is) until it is over.

    A server that went away is looked for again with ``connect``, which may find it at another
    address; ``Away`` says so once each time.

    Args:
        follower: what has been told so far.
        connect: returns the server, or raises ServerUnreachable.
        sleep: waits for a number of seconds.
        patience: seconds to wait for a server that went away.

    Raises:
        ApiError: the job is not there (any more).
        ServerUnreachable: no server came back in time.
    """
    api = connect()
    delay = FASTEST
    away = 0.0
    while True:
        news = False
        try:
            if away:
                api = connect()
            for event in follower.look(api):
                news = True
                yield event
                if isinstance(event, Over):
                    return
            away = 0.0
        except (ServerUnreachable, ApiError) as error:
            # A server that is just starting, or ending, may answer with a 5xx before it is gone.
            if away >= patience or (isinstance(error, ApiError) and error.status < 500):
                raise
            if not away:
                yield Away()
            away += SLOWEST
            sleep(SLOWEST)
            continue
        delay = FASTEST if news else min(SLOWEST, delay * 1.5)
        sleep(delay)


def streams(api: Api, name: str) -> list[str]:
    """Return the names of a job's log streams, sorted; none before the first line."""
    found: list[str] = []
    asked: dict[str, Any] = {
        "logGroupName": TRAINING_LOG_GROUP,
        "logStreamNamePrefix": f"{name}/",
        "orderBy": "LogStreamName",
        "limit": 50,
    }
    while True:
        try:
            answer = api.call("logs", "DescribeLogStreams", asked)
        except ApiError as error:
            if error.code == "ResourceNotFoundException":
                return []
            raise
        found += [stream["logStreamName"] for stream in answer["logStreams"]]
        if "nextToken" not in answer:
            return found
        asked["nextToken"] = answer["nextToken"]


def node_of(stream: str) -> str:
    """Return the node's name in ``job/algo-1-1767225600``."""
    return stream.rpartition("/")[2].rpartition("-")[0]


def _events(api: Api, stream: str, page: Mapping[str, Any]) -> dict[str, Any]:
    asked = {"logGroupName": TRAINING_LOG_GROUP, "logStreamName": stream, **page}
    return api.call("logs", "GetLogEvents", asked)

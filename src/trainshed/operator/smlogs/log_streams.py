"""Lines out of CloudWatch Logs, or of a server that speaks like it.

Each stream is read from where its last page ended, not the whole group by time: a node that reports
late would be left out, or others told twice.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Protocol

from trainshed.client.errors import ApiError
from trainshed.operator.smlogs.lines import Line, merged
from trainshed.operator.smlogs.source import UnknownThere, Wanted
from trainshed.operator.smlogs.streams import of_last_attempt
from trainshed.operator.smlogs.subjects import Subject

_PAGE: Final = 10_000
"""Lines of a page; the service's own limit."""
_NO_SUCH: Final = frozenset({"ValidationException", "ResourceNotFound"})


class Calls(Protocol):
    """Who carries out operations of ``sagemaker`` and ``logs``."""

    def call(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the operation's answer.

        Raises:
            ApiError: it was refused.
            ServerUnreachable: no answer came.
        """
        ...


class _Stream:
    """One stream, and how far it was read. What was fetched and is not told is kept."""

    def __init__(self, calls: Calls, group: str, name: str, since: int | None) -> None:
        self._calls = calls
        self._asked: dict[str, Any] = {"logGroupName": group, "logStreamName": name}
        if since is not None:
            self._asked["startTime"] = since
        self._name = name
        self._token: str | None = None
        self._kept: deque[Line] = deque()
        self._at_end = False
        self._newest = -1
        """Milliseconds of the last line fetched."""
        self._at_newest = 0
        """Lines fetched that carry exactly that."""
        self._known = 0
        """So many lines at ``_newest`` come once more."""

    def go_on(self) -> None:
        """Have lines looked for again that came after the end."""
        self._at_end = False

    def head(self) -> Line | None:
        """Return the next line, and leave it there; None when there is none for now."""
        while not self._kept and not self._at_end:
            self._fetch()
        return self._kept[0] if self._kept else None

    def take(self) -> Line:
        """Return the next line, and have it told."""
        return self._kept.popleft()

    def keep_last(self, count: int) -> None:
        """Go to the end; of what is before it only the last ``count`` lines are to be told."""
        answer = self._page(startFromHead=False, limit=min(max(count, 1), _PAGE))
        forwards = answer["nextForwardToken"]
        events = deque(answer["events"])
        while len(events) < count:
            backwards = answer["nextBackwardToken"]
            answer = self._page(startFromHead=False, limit=_PAGE, nextToken=backwards)
            if answer["nextBackwardToken"] == backwards:
                break
            events.extendleft(reversed(answer["events"]))
        self._keep(events)
        self._token = forwards
        for _ in range(len(self._kept) - count):
            self._kept.popleft()
        self._at_end = True

    def kept(self) -> list[Line]:
        """Return what was fetched and is not told."""
        return list(self._kept)

    def _fetch(self) -> None:
        told: dict[str, Any] = {"nextToken": self._token} if self._token else {}
        try:
            answer = self._page(startFromHead=True, **told)
        except ApiError as error:
            if error.code == "ResourceNotFoundException":
                self._at_end = True  # it was deleted, and may come again
                return
            if self._token is None or error.code != "InvalidParameterException":
                raise
            # A token is good for a day: again from the last line that was fetched.
            self._token, self._known = None, self._at_newest
            if self._newest >= 0:
                self._asked["startTime"] = self._newest
            return
        self._keep(answer["events"])
        before, self._token = self._token, answer.get("nextForwardToken")
        self._at_end = self._token is None or self._token == before

    def _keep(self, events: Any) -> None:  # noqa: ANN401 - as the service has them
        for event in events:
            line = Line(self._name, int(event["timestamp"]), event["message"])
            if self._known and line.at == self._newest:
                self._known -= 1
                continue
            self._at_newest = self._at_newest + 1 if line.at == self._newest else 1
            self._newest = line.at
            self._kept.append(line)

    def _page(self, **how: Any) -> dict[str, Any]:  # noqa: ANN401
        return self._calls.call("logs", "GetLogEvents", {**self._asked, **how})


@dataclass(slots=True, kw_only=True)
class LogStreams:
    """The streams of one job."""

    calls: Calls
    subject: Subject
    wanted: Wanted
    where: str
    lag: float = 0.0
    _streams: dict[str, _Stream] = field(default_factory=dict, init=False)
    _former: set[str] = field(default_factory=set, init=False)
    """Streams of former attempts, where these are not asked for."""
    _looked: bool = field(default=False, init=False)

    def check(self) -> None:
        """Return when the job has lines there, or is known there and may have some later."""
        if self._names():
            return
        name = {self.subject.name_member: self.wanted.job}
        try:
            self.calls.call("sagemaker", f"Describe{self.subject.resource}", name)
        except ApiError as error:
            if error.code in _NO_SUCH:
                raise UnknownThere(f"it does not know the job: {error.message}") from error
            raise

    def look(self) -> Iterator[Line]:
        """Yield the lines that are new since the last look, of all nodes, by time."""
        names = self._names()
        if not self._looked and self.wanted.last_attempt:
            self._former = set(names) - set(of_last_attempt(names))
        for name in names:
            if name not in self._streams and name not in self._former:
                self._streams[name] = self._begun(name)
            elif name in self._streams and self._looked:
                self._streams[name].go_on()
        streams = list(self._streams.values())
        if not self._looked and self.wanted.tail is not None:
            self._forget_all_but(self.wanted.tail)
        self._looked = True
        yield from merged(streams)

    def _begun(self, name: str) -> _Stream:
        stream = _Stream(self.calls, self.subject.log_group, name, self.wanted.since)
        if not self._looked and self.wanted.tail is not None:
            stream.keep_last(self.wanted.tail)
        return stream

    def _forget_all_but(self, count: int) -> None:
        """Take, and not tell, what is not among the last ``count`` lines of all streams."""
        streams = list(self._streams.values())
        fetched = sum(len(stream.kept()) for stream in streams)
        for _ in islice(merged(streams), max(0, fetched - count)):
            pass

    def _names(self) -> list[str]:
        found: list[str] = []
        asked: dict[str, Any] = {
            "logGroupName": self.subject.log_group,
            "logStreamNamePrefix": self.wanted.prefix,
            "orderBy": "LogStreamName",
            "limit": 50,
        }
        while True:
            try:
                answer = self.calls.call("logs", "DescribeLogStreams", asked)
            except ApiError as error:
                if error.code == "ResourceNotFoundException":
                    return []  # the group comes with the first line
                raise
            found += [stream["logStreamName"] for stream in answer["logStreams"]]
            if not answer.get("nextToken"):
                return found
            asked["nextToken"] = answer["nextToken"]

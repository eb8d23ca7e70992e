"""Lines out of pods, by the API server: for jobs that run on this cluster.

What a pod wrote is there as long as the pod is, and the kubelet keeps only so much of it; so this
place is asked when no server can be.
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from trainshed.client.errors import ApiError
from trainshed.domain import pods
from trainshed.operator.smlogs.lines import Line, merged
from trainshed.operator.smlogs.source import UnknownThere, Wanted

_TIMED: Final = re.compile(
    r"(?P<whole>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.(?P<fraction>\d+))?(?P<zone>Z|[+-]\d\d:\d\d) ?",
    re.ASCII,
)


class Reads(Protocol):
    """The slice of ``Cluster`` that pods are read by."""

    def get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return an object, or a list."""
        ...

    def lines(self, path: str, params: Mapping[str, str]) -> Iterator[bytes]:
        """Yield what a container wrote, line by line."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pod:
    path: str
    """Where the API server has it."""
    stream: str
    """``<job>/<host>-<number>``; later pods have greater numbers."""
    attempt: int


class _Unread:
    """One pod's lines, and how far they were read."""

    def __init__(self, cluster: Reads, pod: _Pod, wanted: Wanted) -> None:
        self._cluster = cluster
        self._path = pod.path
        self._stream = pod.stream
        self._since = wanted.since
        self._tail = wanted.tail
        self._newest = 0
        """The time of the last line taken, nanoseconds."""
        self._at_newest = 0
        """Lines taken that carry exactly that."""
        self._lines: Iterator[tuple[int, Line]] | None = None
        self._head: tuple[int, Line] | None = None

    def go_on(self) -> None:
        """Have lines looked for again that came after the end."""
        self._lines = self._read()
        self._head = None

    def head(self) -> Line | None:
        """Return the next line, and leave it there; None when there is none for now."""
        if self._head is None and self._lines is not None:
            self._head = next(self._lines, None)
            if self._head is None:
                self._lines = None
        return self._head[1] if self._head else None

    def take(self) -> Line:
        """Return the next line, and have it told."""
        if self._head is None:
            raise LookupError(self._stream)
        at, line = self._head
        self._at_newest = self._at_newest + 1 if at == self._newest else 1
        self._newest, self._head = at, None
        return line

    def _read(self) -> Iterator[tuple[int, Line]]:
        asked = {"container": pods.MAIN, "timestamps": "true"}
        if self._newest:
            asked["sinceTime"] = _since(self._newest // 1_000_000)
        elif self._since is not None:
            asked["sinceTime"] = _since(self._since)
        if self._tail is not None and not self._newest:
            asked["tailLines"] = str(self._tail)
        known, newest = self._at_newest, self._newest
        at = newest
        try:
            for raw in self._cluster.lines(f"{self._path}/log", asked):
                at, text = timed(raw.decode("utf-8", "replace"), at)
                if at < newest:
                    continue
                if at == newest and known:
                    known -= 1
                    continue
                ms = at // 1_000_000
                if self._since is None or ms >= self._since:
                    yield at, Line(self._stream, ms, text)
        except ApiError as error:
            # 400: its container has not begun; 404: the pod is gone, and with it its lines.
            if error.status not in {400, 404}:
                raise
        self._tail = None


@dataclass(slots=True, kw_only=True)
class PodLogs:
    """The pods of one job."""

    cluster: Reads
    namespace: str
    wanted: Wanted
    lag: float = 0.0
    _unread: dict[str, _Unread] = field(default_factory=dict, init=False)
    _former: set[str] = field(default_factory=set, init=False)
    _looked: bool = field(default=False, init=False)

    @property
    def where(self) -> str:
        """For people."""
        return f"pods in {self.namespace or 'all namespaces'}"

    def check(self) -> None:
        """Return when the job has pods; others than those asked for may come."""
        if not self._listed():
            raise UnknownThere(f"none is labelled {pods.JOB_LABEL}={self.wanted.job}")

    def look(self) -> Iterator[Line]:
        """Yield the lines that are new since the last look, of all nodes, by time."""
        found = self._found()
        if not self._looked and self.wanted.last_attempt:
            newest = max((pod.attempt for pod in found), default=0)
            self._former = {pod.stream for pod in found if pod.attempt < newest}
        for pod in found:
            if pod.stream not in self._unread and pod.stream not in self._former:
                self._unread[pod.stream] = _Unread(self.cluster, pod, self.wanted)
        for unread in self._unread.values():
            unread.go_on()
        lines = merged(self._unread.values())
        if not self._looked and self.wanted.tail is not None:
            lines = self._last(lines, self.wanted.tail)
        self._looked = True
        yield from lines

    def _last(self, lines: Iterator[Line], count: int) -> Iterator[Line]:
        with ExitStack() as undo:
            undo.callback(self._unread.clear)  # what was taken and not told is taken again
            kept = deque(lines, maxlen=count)
            undo.pop_all()
        return iter(kept)

    def _found(self) -> list[_Pod]:
        found = [_pod(self.wanted.job, each) for each in self._listed()]
        return [pod for pod in found if pod.stream.startswith(self.wanted.prefix)]

    def _listed(self) -> list[dict[str, Any]]:
        place = f"/namespaces/{self.namespace}" if self.namespace else ""
        asked = {"labelSelector": f"{pods.JOB_LABEL}={self.wanted.job}"}
        return self.cluster.get(f"/api/v1{place}/pods", asked).get("items") or []


def timed(line: str, before: int) -> tuple[int, str]:
    """Return when a line was written, in nanoseconds since the epoch, and its text.

    Args:
        line: as the API server gives it, ``2026-01-01T12:00:00.123456789Z text``.
        before: the time of the line before, for one that has none: an error of the kubelet's.
    """
    found = _TIMED.match(line)
    if found is None:
        return before, line
    seconds = datetime.fromisoformat(found["whole"] + found["zone"]).timestamp()
    fraction = (found["fraction"] or "")[:9].ljust(9, "0")
    return int(seconds) * 1_000_000_000 + int(fraction), line[found.end() :]


def _pod(job: str, content: dict[str, Any]) -> _Pod:
    metadata = content["metadata"]
    labels = metadata.get("labels") or {}
    host = labels.get(pods.NODE_LABEL, "").rpartition(".")[2]
    host = host or (content.get("spec") or {}).get("hostname") or metadata["name"]
    attempt = labels.get(pods.ATTEMPT_LABEL, "").rpartition(".")[2]
    began = datetime.fromisoformat(metadata["creationTimestamp"])
    return _Pod(
        path=f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}",
        stream=f"{job}/{host}-{int(began.timestamp() * 1000)}",
        attempt=int(attempt) if attempt.isascii() and attempt.isdigit() else 0,
    )


def _since(ms: int) -> str:
    """Return the whole second that a moment lies in, as the API server reads it."""
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"

"""Watches a container from its first line to its end: lines, metrics, stop, time limit."""

import os
import selectors
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from trainshed.agent.node import Node
from trainshed.agent.runtimes.base import Container, Stream
from trainshed.agent.watching.companions import Companion
from trainshed.agent.watching.lines import Lines, behind
from trainshed.agent.watching.metrics import Metrics
from trainshed.agent.watching.pace import Pace
from trainshed.agent.watching.stopping import Stopping
from trainshed.domain.facts import Kind

_METRICS_S: Final = 1.0
"""Longest time a metric waits to be told."""
_DRAIN_S: Final = 2.0
"""How long to read on after the end, should anybody still hold the pipes."""
_NAP_S: Final = 3600.0
"""Longest sleep: the kernel's own limit is 24 days, below the longest MaxRuntimeInSeconds."""


class Watch:
    """One container's run. Used from the main thread, where signals arrive."""

    def __init__(
        self, node: Node, container: Container, companions: Sequence[Companion] = ()
    ) -> None:
        self._node = node
        self._container = container
        self._companions = {one.fd: one for one in companions if one.fd >= 0}
        self._streams = {stream: Lines() for stream in Stream}
        self._metrics = Metrics(node.plan.metrics, node.log.say)
        self._pace = Pace(container.outputs)
        self._selector = selectors.DefaultSelector()
        self._stopping = Stopping(node, container, lambda: sum(one.left_s() for one in companions))
        self._told_at = time.monotonic()
        self._lines = 0
        """How many the container has written."""
        self._logged, self._scanned = _known_of(node)
        self._exited_at: float | None = None
        self.trouble = ""
        """Why it could not go on, as a companion said it; "" when it could."""

    def run(self) -> None:
        """Return when the container is over and everything it wrote is in the log."""
        for fd in self._container.outputs:
            self._selector.register(fd, selectors.EVENT_READ, self._read)
        self._selector.register(self._container.events, selectors.EVENT_READ, self._hear)
        self._selector.register(self._container.exited, selectors.EVENT_READ, self._note_end)
        self._selector.register(self._node.stop.fd, selectors.EVENT_READ, self._wake)
        for fd in self._companions:
            self._selector.register(fd, selectors.EVENT_READ, self._heed)
        while not self._over():
            self._mind_the_time()
            for key, _ in self._selector.select(self._wait()):
                act: Callable[[int], None] = key.data
                act(key.fd)
        for stream in self._streams.values():
            self._keep(stream.flush())
        self._tell_metrics()
        self._selector.close()

    def tail(self) -> str:
        """Return the last of what the container wrote to stderr; of stdout, if that is nothing."""
        said = self._streams[Stream.STDERR].tail()
        return said if said.strip() else self._streams[Stream.STDOUT].tail()

    @property
    def killed(self) -> bool:
        """Whether the container had to be killed."""
        return self._stopping.killed

    def _over(self) -> bool:
        if self._exited_at is None:
            return False
        open_pipes = self._selector.get_map().keys() & set(self._container.outputs)
        return not open_pipes or time.monotonic() > self._exited_at + _DRAIN_S

    def _read(self, fd: int) -> None:
        written = self._container.read(fd)
        if written is None:
            self._selector.unregister(fd)
            return
        self._keep(b"".join(self._streams[stream].feed(data) for stream, data in written))
        self._pace.rest(sum(len(data) for _, data in written))

    def _keep(self, lines: bytes) -> None:
        """Log and scan whole lines; what an agent before us did already is passed over."""
        new, before = behind(lines, self._logged - self._lines), self._lines
        passed = lines.count(b"\n", 0, len(lines) - len(new))
        stamp, count = self._node.log.add(new)
        self._lines += passed + count
        if unscanned := behind(lines, self._scanned - before):
            self._metrics.scan(unscanned, stamp)

    def _hear(self, fd: int) -> None:
        if not self._container.hear():
            self._selector.unregister(fd)

    def _note_end(self, fd: int) -> None:
        self._exited_at = time.monotonic()
        self._selector.unregister(fd)

    def _heed(self, fd: int) -> None:
        """Kill a container that a companion says can't go on: what it computes now is wrong."""
        trouble = self._companions[fd].trouble()
        if not trouble:  # it had something else to say
            return
        self._selector.unregister(fd)
        self.trouble = self.trouble or trouble
        if self._exited_at is None:
            self._stopping.kill()

    def _wake(self, fd: int) -> None:
        os.read(fd, 4096)

    def _mind_the_time(self) -> None:
        """Do what is due now."""
        now = time.monotonic()
        if now >= self._told_at + _METRICS_S:
            self._told_at = now
            self._tell_metrics()
        if self._exited_at is None:
            self._stopping.mind(now)

    def _wait(self) -> float:
        """Return the seconds until something may be due."""
        soonest = min(self._due(), default=time.monotonic() + _NAP_S)
        return min(max(soonest - time.monotonic(), 0.0), _NAP_S)

    def _due(self) -> Iterator[float]:
        if self._metrics.pending:
            yield self._told_at + _METRICS_S
        if self._exited_at is not None:
            yield self._exited_at + _DRAIN_S
        else:
            yield from self._stopping.due()

    def _tell_metrics(self) -> None:
        if points := self._metrics.drain():
            self._node.journal.append(Kind.METRICS, points=points, lines=self._lines)


def _known_of(node: Node) -> tuple[int, int]:
    """Return how many of the container's lines an agent before us has logged, and scanned."""
    started, told = node.journal.last(Kind.TRAINING), node.journal.last(Kind.METRICS)
    logged = node.log.lines_since(started.detail.get("log", 0)) if started else 0
    return logged, told.detail.get("lines", 0) if told else 0

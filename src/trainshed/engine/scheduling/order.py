"""Whose turn it is: highest priority first, then the project furthest below its share, then age.

Waiting raises a job's priority, a level for each ``Policy.ageing`` seconds, up to the highest there
is; so whatever keeps coming, a job of low priority gets its turn. Among those of one priority the
projects take turns by what they use and lately used, divided by their weights: waiting counts for
nothing there, or whoever asked for most first would get most.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from typing import Final

from trainshed.engine.scheduling.board import Board, Line
from trainshed.engine.scheduling.quotas import Use
from trainshed.engine.scheduling.values import TOP_PRIORITY, Policy

_COMMITTED: Final = 7200.0
"""Seconds that a running job is taken to go on for, in its project's share: so the nodes that are
free at once are shared out, too, and not all given to whoever had least until now."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The next one in line."""

    arn: str
    line: Line
    since: float


def aged(priority: int, waited: float, policy: Policy) -> int:
    """Return the priority of a job that has waited for some seconds."""
    if not policy.ageing or waited < policy.ageing:
        return priority
    return min(TOP_PRIORITY, priority + int(waited / policy.ageing))


class _Queue:
    """The lines of one project and priority, merged by age."""

    __slots__ = ("heap", "project", "weight")

    def __init__(self, project: str, weight: float, lines: Iterable[Line]) -> None:
        self.project = project
        self.weight = weight
        self.heap = [(line.entries[0], n, 0, line) for n, line in enumerate(lines)]
        heapify(self.heap)

    def advance(self) -> None:
        """Go on to the next one, whatever line it is in."""
        _, n, position, line = self.heap[0]
        if position + 1 < len(line.entries):
            heapreplace(self.heap, (line.entries[position + 1], n, position + 1, line))
        else:
            heappop(self.heap)


class Order:
    """Goes through a board in order, as one by one is let in or passed over. It changes nothing."""

    def __init__(self, board: Board, use: Mapping[str, Use], now: float) -> None:
        """``use``: what each project uses, kept up by the caller."""
        self._policy = board.policy
        self._use = use
        self._now = now
        self._levels = {
            priority: [
                _Queue(name, board.policy.project(name).weight, groups.values())
                for name, groups in projects.items()
            ]
            for priority, projects in board.lines.items()
        }
        self._best: dict[int, _Queue] = {}
        """The queue whose turn it is, by priority, as far as it is known."""
        self._now_at: int = 0

    def turn(self) -> Turn | None:
        """Return whose turn it is; None when nobody is left."""
        if not self._levels:
            return None
        self._now_at = max(self._levels, key=self._rank)
        (_, arn, since), _, _, line = self._champion(self._now_at).heap[0]
        return Turn(arn, line, since)

    def let_in(self) -> None:
        """Go on after the one whose turn it was got its nodes: the projects are compared anew."""
        self._champion(self._now_at).advance()
        self._best.clear()
        self._tidy()

    def pass_over(self) -> None:
        """Go on without anybody of the line whose turn it was."""
        heappop(self._champion(self._now_at).heap)
        self._best.pop(self._now_at, None)
        self._tidy()

    def skip(self) -> None:
        """Go on without the one whose turn it was; it stays out."""
        self._champion(self._now_at).advance()
        self._best.pop(self._now_at, None)
        self._tidy()

    def _tidy(self) -> None:
        queues = self._levels[self._now_at]
        if all(queue.heap for queue in queues):
            return
        queues[:] = [queue for queue in queues if queue.heap]
        if not queues:
            del self._levels[self._now_at]

    def _rank(self, priority: int) -> tuple[int, float]:
        since = self._champion(priority).heap[0][0][2]
        return aged(priority, self._now - since, self._policy), -since

    def _champion(self, priority: int) -> _Queue:
        found = self._best.get(priority)
        if found is None:
            found = self._best[priority] = min(self._levels[priority], key=self._share)
        return found

    def _share(self, queue: _Queue) -> tuple[float, float, str]:
        (created, _, _), _, _, line = queue.heap[0]
        use = self._use.get(queue.project)
        load, spent = (use.load, use.spent) if use is not None else (0.0, 0.0)
        # Half of what the next one adds: else projects of wide jobs would always get more than
        # their share, or always less (the quotients of Webster and Sainte-Lague).
        coming = load + line.group.needs[0].load / 2
        return (spent + _COMMITTED * coming) / queue.weight, created, queue.project

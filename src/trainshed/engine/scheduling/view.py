"""How the line stands, for people: in which order, what each waits for, how much is in use.

Computed from rows alone, so every server can tell, not only the one that lets jobs in. What running
jobs had used before is not in the rows of those that are over: so the order between projects is as
near as a server that began just now would have it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trainshed.domain.training import TrainingJob
from trainshed.engine.scheduling.board import Board
from trainshed.engine.scheduling.jobs import note
from trainshed.engine.scheduling.order import Order, aged
from trainshed.engine.scheduling.quotas import Use
from trainshed.engine.scheduling.schedule import Cooling, schedule
from trainshed.engine.scheduling.values import Place, Policy

_TOLD: Final = 1000
"""How many are told in their true order: nobody looks further, and ten thousand take 0.1 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One that waits."""

    arn: str
    position: int
    """Among those that wait for the same backend, from 1."""
    priority: int
    """With what waiting has added."""
    reason: str
    """What it waits for, with figures of just now; "" for one that starts now."""
    starts_by: float | None = None
    """For the first in line: when it starts at the latest, in seconds since the epoch."""


class Lineup:
    """One look at the line, from rows."""

    def __init__(
        self, places: Mapping[str, Place], policy: Policy, default: str, now: float
    ) -> None:
        """Begin with nobody.

        Args:
            places: the backends, by name.
            policy: the rules.
            default: the backend of jobs that name none.
            now: seconds since the epoch.
        """
        self._board = Board(places, policy)
        self._board.now = now
        self._default = default

    def note(self, job: TrainingJob) -> None:
        """Count an open job, whether it waits or has nodes."""
        note(self._board, job, self._default)

    def standings(self) -> list[Standing]:
        """Return the first of those that wait, in order; see ``queue_view``."""
        self._board.recall()
        return queue_view(self._board, self._board.now, most=_TOLD)

    def reasons(self) -> dict[str, str]:
        """Return what the first in line wait for just now, by ARN, in order."""
        return {each.arn: each.reason for each in self.standings()}


def queue_view(
    board: Board, now: float, cooling: Cooling | None = None, most: int | None = None
) -> list[Standing]:
    """Return those that wait, in the order in which they would be let in if nodes became free.

    ``most``: no more than so many of them; all when it is None.
    """
    answer = schedule(board, now, cooling)
    heads = {head.arn: head for head in answer.heads}
    use = {name: each.copy() for name, each in board.use.items()}
    order = Order(board, use, now)
    before: dict[str, int] = {}
    found: list[Standing] = []
    while (turn := order.turn()) is not None and (most is None or len(found) < most):
        group = turn.line.group
        before[group.backend] = position = before.get(group.backend, 0) + 1
        use.setdefault(group.project, Use()).add(group.needs[0], 1)
        order.let_in()
        reason = answer.reasons.get(group)
        told = "" if reason is None or turn.arn in answer.admissions else reason.text
        head = heads.get(turn.arn)
        standing = Standing(
            arn=turn.arn,
            position=position,
            priority=aged(group.priority, now - turn.since, board.policy),
            reason=told and f"{told} ({_now(board, group.backend, position)})",
            starts_by=None if head is None else head.starts_by,
        )
        found.append(standing)
    return found


def _now(board: Board, backend: str, position: int) -> str:
    """Return how much of a backend is in use, and how many are before a job."""
    place, taken = board.places.get(backend), board.taken.get(backend)
    used = 0 if taken is None else taken.nodes
    total = 0 if place is None else place.nodes
    return f"{used} of {total} nodes in use, {position - 1} before it in line"

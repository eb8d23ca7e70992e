"""Deals out what is free: who starts now, what all others wait for, who makes room.

One pass through the line, in order (``order``). Who finds room starts. The first that finds none is
the head for what it lacks: room is kept for it from when running jobs must be over at the latest
(EASY backfill), and those behind it start only where that delays it by nothing. What a project may
not use, or a place does not have to give now, holds up nobody else.
"""

from collections.abc import Mapping

from trainshed.engine.scheduling import quotas
from trainshed.engine.scheduling.answers import Admission, Answer, Head, Reason
from trainshed.engine.scheduling.board import Board, Taken
from trainshed.engine.scheduling.order import Order, Turn
from trainshed.engine.scheduling.preemption import releases, victims
from trainshed.engine.scheduling.quotas import Use
from trainshed.engine.scheduling.room import Room
from trainshed.engine.scheduling.texts import capacity, cooling, launching, never, of_quota
from trainshed.engine.scheduling.values import Group, Need, Pool, Project

Cooling = Mapping[tuple[str, str], float]
"""(backend, instance type; "" for all types) that was refused, to until when it is left alone."""


def schedule(board: Board, now: float, cooling: Cooling | None = None) -> Answer:
    """Return what is to be told to those who wait, and to those in their way.

    It changes nothing: the next answer differs only once the board does, or time goes on.

    Args:
        board: who waits, runs and is kept warm.
        now: seconds since the epoch.
        cooling: what has no capacity for a while.
    """
    return _Pass(board, now, cooling or {}).run()


class _Pass:
    """One pass through the line."""

    def __init__(self, board: Board, now: float, cooling: Cooling) -> None:
        self._board = board
        self._now = now
        self._cooling = {key for key, until in cooling.items() if until > now}
        self._use = {name: use.copy() for name, use in board.use.items()}
        for use in self._use.values():
            use.advance(now, board.policy.half_life)
        self._rooms: dict[str, Room] = {}
        self._pools_taken: set[str] = set()
        self._over_quota: dict[str, set[str]] = {}
        """What projects have jobs waiting for: behind those, others of the project wait, too."""
        self._admissions: dict[str, Admission] = {}
        self._hopeless: dict[str, str] = {}
        self._reasons: dict[Group, Reason] = {}
        self._preemptions: dict[str, str] = {}
        self._releases: list[str] = []
        self._heads: list[Head] = []
        self._viable: dict[tuple[str, tuple[Need, ...]], tuple[tuple[int, ...], str]] = {}
        """What is possible at all for jobs of a project that ask for something."""
        self._in_vain: dict[tuple[str, tuple[Need, ...]], Reason] = {}
        """What the same wait for, where nothing of it is free: less and less is, in one pass."""

    def run(self) -> Answer:
        order = Order(self._board, self._use, self._now)
        while (turn := order.turn()) is not None:
            self._look_at(turn, order)
        return Answer(
            admissions=self._admissions,
            hopeless=self._hopeless,
            reasons=self._reasons,
            preemptions=self._preemptions,
            releases=tuple(self._releases),
            heads=tuple(self._heads),
        )

    def _look_at(self, turn: Turn, order: Order) -> None:
        group = turn.line.group
        room = self._room(group.backend)
        if room is None:  # planning says so, in the job's own FailureReason
            self._admissions[turn.arn] = Admission(admitted=True, backend=group.backend)
            order.skip()
            return
        options, why = self._options(group, room)
        if not options:
            self._hopeless.update((arn, why) for _, arn, _ in turn.line.entries)
            order.pass_over()
            return
        key = (group.project, group.needs)
        reason = None if self._has_pool(group) else self._in_vain.get(key)
        reason = reason or self._start(turn, options, room)
        if reason is None:
            order.let_in()
            return
        if not any(room.fits(need) for need in group.needs):
            self._in_vain[key] = reason
        self._reasons[group] = reason
        order.pass_over()

    def _options(self, group: Group, room: Room) -> tuple[tuple[int, ...], str]:
        """Return which of a group's needs are possible at all; where none is, why."""
        key = (group.project, group.needs)
        if (found := self._viable.get(key)) is None:
            project = self._board.policy.project(group.project)
            fits = [n for n, need in enumerate(group.needs) if room.ever(need)]
            allowed = [n for n in fits if not quotas.never(project, group.needs[n])]
            found = self._viable[key] = (tuple(allowed), "")
            if not allowed:
                found = self._viable[key] = ((), never(group, room.place, project, fits))
        return found

    def _start(self, turn: Turn, options: tuple[int, ...], room: Room) -> Reason | None:
        """Admit a job to the first of its options that has room; else return what it waits for."""
        group = turn.line.group
        ends = self._now + group.runtime
        project = self._board.policy.project(group.project)
        use = self._use.setdefault(group.project, Use())
        for n in options:
            if (pool := self._pool(group, n)) is None:
                continue
            need = group.needs[n]
            if not self._lacks(project, use, need, held=True) and not room.delays(need, ends, pool):
                self._admit(turn, n, room, pool)
                return None
        wanted: list[Need] = []
        lacking, cool = "", ""
        for n in options:
            need = group.needs[n]
            if dimension := self._lacks(project, use, need):
                lacking = lacking or dimension
            elif refused := self._refused(group.backend, need):
                cool = cool or refused
            elif self._fits(room, need, ends):
                self._admit(turn, n, room, None)
                return None
            else:
                wanted.append(need)
        if wanted:
            return self._wait(turn, wanted, room)
        if lacking:
            self._over_quota.setdefault(group.project, set()).add(lacking)
            return of_quota(project, lacking)
        return cooling(group.backend, cool)

    def _fits(self, room: Room, need: Need, ends: float) -> bool:
        return (
            not room.full_of_starts
            and room.fits(need)
            and room.may_start(need)
            and not room.delays(need, ends)
        )

    def _wait(self, turn: Turn, wanted: list[Need], room: Room) -> Reason:
        """Make a job the head for what it lacks, unless somebody is; return what it waits for."""
        group, need = turn.line.group, wanted[0]
        if room.full_of_starts:
            return launching(room.place)
        if room.fits(need) and not room.may_start(need) and not room.reservations:
            room.full_of_starts = True
            return launching(room.place)
        key = tuple(position for position, _ in need.bins)
        if key not in room.keys:
            room.keys.add(key)
            self._make_room(turn, wanted, room)
            at = room.reserve(turn.arn, wanted, patient=self._board.policy.backfill)
            self._heads.append(Head(turn.arn, group.backend, at))
        return capacity(room.place, need, room.short_of(need))

    def _make_room(self, turn: Turn, wanted: list[Need], room: Room) -> None:
        """Choose who is to end for a head, where that is what it waits for."""
        policy, backend = self._board.policy, turn.line.group.backend
        before = {head.arn for head in self._heads if head.backend == backend}
        if any(room.fits(each) for each in wanted):
            return
        if before:  # what both lack would be given to those before it
            wanted = [each for each in wanted if room.free.nodes - room.promised >= each.nodes]
        if self._now - turn.since >= policy.pool_patience:
            let_go = releases(self._board, backend, wanted, room.free, self._pools_taken)
            self._releases.extend(let_go)
            if let_go:
                return
        if policy.preemption:
            group = turn.line.group
            for arn in victims(self._board, turn.arn, group, wanted, room.free, before):
                self._preemptions[arn] = turn.arn

    def _admit(self, turn: Turn, n: int, room: Room, pool: Pool | None) -> None:
        group = turn.line.group
        need = group.needs[n]
        room.take(need, self._now + group.runtime, pool)
        use = self._use[group.project]
        use.jobs += 1
        if pool is None:
            use.add(need, 1)
        else:
            self._pools_taken.add(pool.arn)
        self._admissions[turn.arn] = Admission(
            admitted=True,
            backend=group.backend,
            instance_type=need.instance_type,
            pool="" if pool is None else pool.arn,
            pool_began=None if pool is None else pool.began,
            pool_chain="" if pool is None else pool.chain,
        )

    def _lacks(self, project: Project, use: Use, need: Need, *, held: bool = False) -> str:
        """Return what of its project's quota a job waits for; "" for nothing."""
        for dimension in sorted(self._over_quota.get(project.name, ())):
            if quotas.uses(need, dimension):
                return dimension
        return quotas.lacks(project, use, need, held=held)

    def _refused(self, backend: str, need: Need) -> str:
        """Return which instance type of ``need`` has no capacity for a while; "" for none."""
        if not self._cooling:
            return ""
        if (backend, "") in self._cooling:
            return need.types[0][0]
        return next((name for name, _ in need.types if (backend, name) in self._cooling), "")

    def _has_pool(self, group: Group) -> bool:
        return bool(self._board.pools) and any(map(self._board.pools.__contains__, group.pool_keys))

    def _pool(self, group: Group, n: int) -> Pool | None:
        """Return the warm nodes that fit, those that would be let go first."""
        key = group.pool_keys[n] if group.pool_keys and self._board.pools else ""
        pools = self._board.pools.get(key, {}).values() if key else ()
        free = (
            pool for pool in pools if pool.arn not in self._pools_taken and pool.ends > self._now
        )
        return min(free, key=lambda pool: (pool.ends, pool.arn), default=None)

    def _room(self, backend: str) -> Room | None:
        if (room := self._rooms.get(backend)) is None:
            place = self._board.places.get(backend)
            if place is None:
                return None
            taken = self._board.taken.get(backend) or Taken()
            room = self._rooms[backend] = Room(place, taken, self._board.users, self._now)
        return room

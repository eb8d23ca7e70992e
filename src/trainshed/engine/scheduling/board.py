"""Who waits, who runs and what is kept warm, counted as each of them changes.

A change costs what one job costs, however many there are. Values in, counters out: no I/O.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from trainshed.engine.scheduling.quotas import Use
from trainshed.engine.scheduling.values import (
    Group,
    Need,
    Place,
    Policy,
    Pool,
    Running,
    Types,
    Waiting,
)

_GroupKey = tuple[str, str, int, tuple[Need, ...], float, tuple[str, ...]]


class Line:
    """Those of one group, oldest first."""

    __slots__ = ("entries", "group")

    def __init__(self, group: Group) -> None:
        self.group = group
        self.entries: list[tuple[float, str, float]] = []
        """(created, ARN, since)."""


@dataclass(slots=True)
class Taken:
    """What is in use of a place."""

    nodes: int = 0
    bins: dict[int, int] = field(default_factory=dict)
    """Nodes by position in ``Place.capacity``."""
    starting: int = 0
    """Nodes that are still being started."""
    ends: list[tuple[float, str]] = field(default_factory=list)
    """(when it must be over, ARN) of all that hold nodes, soonest first."""
    preemptible: dict[str, Running] = field(default_factory=dict)
    """By ARN."""
    leaving: dict[str, Running] = field(default_factory=dict)
    """Those that end before their time, also for another job, by ARN."""

    def add(self, need: Need, times: int) -> None:
        """Count what a job takes; -1 times to count it no more."""
        self.nodes += times * need.nodes
        for position, nodes in need.bins:
            self.bins[position] = self.bins.get(position, 0) + times * nodes


class Board:
    """The copy of the line that a scheduler decides by."""

    def __init__(self, places: Mapping[str, Place], policy: Policy) -> None:
        """Begin with nobody. ``places`` by name."""
        self.now = 0.0
        """What time it is, as the caller last said: nodes are used until then."""
        self.places = places
        self.policy = policy
        self.lines: dict[int, dict[str, dict[Group, Line]]] = {}
        """By priority, project and group; none of them is empty."""
        self.taken: dict[str, Taken] = {}
        """By backend."""
        self.use: dict[str, Use] = {}
        """By project."""
        self.users: dict[str, Running | Pool] = {}
        """Who holds nodes, by ARN; of a pool that was taken over, its new user alone."""
        self.pools: dict[str, dict[str, Pool]] = {}
        """Warm nodes that may be had, by key, then by ARN."""
        self.handed: dict[str, str] = {}
        """ARN of a job whose warm nodes were taken over, to the ARN of who has them."""
        self.victims: dict[str, dict[str, Running]] = {}
        """Who makes room, by the ARN of the job it is for, then by its own."""
        self.waiting: dict[str, tuple[Group, float, float]] = {}
        """(group, created, since) by ARN."""
        self._needs: dict[tuple[str, Types, bool, str], Need] = {}
        self._kept: dict[str, Pool] = {}
        """All pools by ARN, also those that were taken over."""
        self._groups: dict[_GroupKey, Group] = {}

    def __contains__(self, arn: str) -> bool:
        """Tell whether a job waits, runs or keeps nodes warm."""
        return arn in self.waiting or arn in self.users or arn in self._kept

    def group(self, group: Group) -> Group:
        """Return the one value that stands for all groups like this one."""
        return self._groups.setdefault(_key(group), group)

    def need(self, backend: str, types: Types, *, spot: bool, instance_type: str) -> Need:
        """Return what nodes of these types take of a backend; see ``Place.need``."""
        key = (backend, types, spot, instance_type)
        if (found := self._needs.get(key)) is None:
            place = self.places.get(backend) or Place(name=backend, nodes=0)
            found = place.need(types, spot=spot, instance_type=instance_type)
            self._needs[key] = found
        return found

    def wait(self, job: Waiting) -> bool:
        """Put a job in line; tell whether that changes anything."""
        entry = (job.group, job.created, job.since)
        if self.waiting.get(job.arn) == entry:
            return False
        self.forget(job.arn)
        self.waiting[job.arn] = entry
        self._groups[_key(job.group)] = job.group
        projects = self.lines.setdefault(job.group.priority, {})
        groups = projects.setdefault(job.group.project, {})
        line = groups.get(job.group)
        if line is None:
            line = groups[job.group] = Line(job.group)
        insort(line.entries, (job.created, job.arn, job.since))
        return True

    def run(self, job: Running) -> bool:
        """Give a job its nodes; tell whether that changes anything."""
        if self.users.get(job.arn) == job:
            return False
        self.forget(job.arn)
        if job.pool:
            if (pool := self._kept.get(job.pool)) is not None:
                self._uncount(pool)
            self.handed[job.pool] = job.arn
        self._count(job)
        return True

    def keep(self, pool: Pool) -> bool:
        """Keep nodes warm; tell whether that changes anything."""
        if self._kept.get(pool.arn) == pool:
            return False
        self.forget(pool.arn)
        self._kept[pool.arn] = pool
        if pool.arn not in self.handed:
            self._count(pool)
        return True

    def forget(self, arn: str) -> bool:
        """Let go of a job; tell whether it was known."""
        if (entry := self.waiting.pop(arn, None)) is not None:
            self._leave_line(arn, *entry)
            return True
        kept = self._kept.pop(arn, None)
        if (user := self.users.get(arn)) is not None:
            self._uncount(user)
        if isinstance(user, Running) and user.pool:
            self.handed.pop(user.pool, None)
            # Its row says what became of the pool: with it, or still there to be had.
            if (pool := self._kept.get(user.pool)) is not None:
                self._count(pool)
        return kept is not None or user is not None

    def recall(self) -> None:
        """Count what the running jobs have used so far: all that is known after a start."""
        for use in self.use.values():
            use.spent, use.at = 0.0, self.now
        for user in self.users.values():
            if isinstance(user, Running):
                seconds = max(0.0, self.now - user.started)
                self.use[user.project].spent += user.need.load * seconds

    def taken_over(self) -> Iterator[tuple[str, str]]:
        """Yield (pool's job, who took it) of those whose rows say that they are still there."""
        for arn, by in self.handed.items():
            if arn in self._kept:
                yield arn, by

    def _leave_line(self, arn: str, group: Group, created: float, since: float) -> None:
        projects = self.lines[group.priority]
        groups = projects[group.project]
        entries = groups[group].entries
        del entries[bisect_left(entries, (created, arn, since))]
        if not entries:
            del groups[group]
            self._groups.pop(_key(group), None)
        if not groups:
            del projects[group.project]
        if not projects:
            del self.lines[group.priority]

    def _count(self, user: Running | Pool) -> None:
        self.users[user.arn] = user
        taken = self.taken.setdefault(user.backend, Taken())
        taken.add(user.need, 1)
        insort(taken.ends, (user.ends, user.arn))
        use = self.use.setdefault(user.project, Use(at=self.now))
        use.advance(self.now, self.policy.half_life)
        use.add(user.need, 1)
        if isinstance(user, Pool):
            self.pools.setdefault(user.key, {})[user.arn] = user
            return
        use.jobs += 1
        if user.launching:
            taken.starting += user.need.nodes
        if user.preemptible:
            taken.preemptible[user.arn] = user
        if user.leaving or user.preempted_for:
            taken.leaving[user.arn] = user
        if user.preempted_for:
            self.victims.setdefault(user.preempted_for, {})[user.arn] = user

    def _uncount(self, user: Running | Pool) -> None:
        if self.users.pop(user.arn, None) is None:
            return
        taken, use = self.taken[user.backend], self.use[user.project]
        taken.add(user.need, -1)
        del taken.ends[bisect_left(taken.ends, (user.ends, user.arn))]
        use.advance(self.now, self.policy.half_life)
        use.add(user.need, -1)
        if isinstance(user, Pool):
            _drop(self.pools, user.key, user.arn)
            return
        use.jobs -= 1
        if user.launching:
            taken.starting -= user.need.nodes
        taken.preemptible.pop(user.arn, None)
        taken.leaving.pop(user.arn, None)
        if user.preempted_for:
            _drop(self.victims, user.preempted_for, user.arn)


def _key(group: Group) -> _GroupKey:
    return (
        group.backend,
        group.project,
        group.priority,
        group.needs,
        group.runtime,
        group.pool_keys,
    )


def _drop(
    table: dict[str, dict[str, Pool]] | dict[str, dict[str, Running]], key: str, arn: str
) -> None:
    entries = table[key]
    entries.pop(arn, None)
    if not entries:
        del table[key]

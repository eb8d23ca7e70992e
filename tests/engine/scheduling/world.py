"""A queue in memory on a clock that tests turn: jobs come, get nodes, and end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush

from trainshed.engine.scheduling import (
    Answer,
    Board,
    Group,
    Place,
    Policy,
    Project,
    Running,
    Waiting,
    schedule,
)

HOUR = 3600.0


def place(nodes: int = 4, name: str = "local", **members: object) -> Place:
    """Return a backend where each node counts as one processor."""
    return Place(name=name, nodes=nodes, slots=True, **members)  # type: ignore[arg-type]


def policy(*projects: Project, **members: object) -> Policy:
    """Return rules for these projects."""
    named = {each.name: each for each in projects}
    return Policy(projects=named, **members)  # type: ignore[arg-type]


@dataclass
class World:
    """Some backends, and all that happens there."""

    places: Sequence[Place] = field(default_factory=lambda: (place(),))
    policy: Policy = field(default_factory=Policy)
    now: float = 0.0
    cooling: dict[tuple[str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with nobody."""
        self.board = Board({each.name: each for each in self.places}, self.policy)
        self.starts: dict[str, float] = {}
        self.lasts: dict[str, float] = {}
        """Seconds that a job really takes, by ARN."""
        self.groups: dict[str, Group] = {}
        self.preemptible: dict[str, bool] = {}
        self.used: dict[str, float] = {}
        """Node seconds by project."""
        self.hopeless: set[str] = set()
        self._ends: list[tuple[float, str]] = []

    def come(
        self,
        arn: str,
        nodes: int = 1,
        *,
        types: Sequence[str] = ("ml.m5.large",),
        project: str = "",
        priority: int = 50,
        runtime: float = HOUR,
        preemptible: bool = False,
        lasts: float | None = None,
        backend: str = "local",
        pool_keys: tuple[str, ...] = (),
        since: float | None = None,
    ) -> None:
        """Have a job stand in line from now on."""
        named = types if len(types) > 1 else ("",)
        needs = tuple(
            self.board.need(backend, ((name, nodes),), spot=False, instance_type=label)
            for name, label in zip(types, named, strict=True)
        )
        group = self.board.group(
            Group(
                backend=backend,
                project=project,
                priority=priority,
                needs=needs,
                runtime=runtime,
                pool_keys=pool_keys,
            )
        )
        self.lasts[arn] = runtime if lasts is None else lasts
        self.groups[arn] = group
        self.preemptible[arn] = preemptible
        since = self.now if since is None else since
        self.board.wait(Waiting(arn=arn, group=group, created=since, since=since))

    def run(self, arn: str, nodes: int = 1, **members: object) -> Running:
        """Have a job that has nodes already."""
        backend = str(members.pop("backend", "local"))
        kind = str(members.pop("instance_type", "ml.m5.large"))
        asked = {"project": "", "started": self.now, "ends": self.now + HOUR, **members}
        need = self.board.need(backend, ((kind, nodes),), spot=False, instance_type="")
        running = Running(arn=arn, backend=backend, need=need, **asked)  # type: ignore[arg-type]
        self.board.run(running)
        return running

    def ask(self) -> Answer:
        """Return what the scheduler says now; nothing happens."""
        return schedule(self.board, self.now, self.cooling)

    def deal(self) -> Answer:
        """Ask, and let in those who may start."""
        answer = self.ask()
        for arn, admission in answer.admissions.items():
            self._start(arn, admission.instance_type, admission.pool)
        self.hopeless |= answer.hopeless.keys()
        for arn in answer.hopeless:
            self.board.forget(arn)
        return answer

    def pass_until(self, end: float) -> None:
        """Have jobs end, and others start, until a time."""
        self.deal()
        while self._ends and self._ends[0][0] <= end:
            at, arn = heappop(self._ends)
            self.now = max(self.now, at)
            self.board.now = self.now
            self.end(arn)
            self.deal()
        self.now = end

    def end(self, arn: str) -> None:
        """Have a job end now."""
        user = self.board.users[arn]
        seconds = self.now - self.starts[arn]
        self.used[user.project] = self.used.get(user.project, 0.0) + seconds * user.need.nodes
        self.board.forget(arn)

    def drop(self, arn: str) -> None:
        """Take a job's nodes away before it is done."""
        self._ends = [each for each in self._ends if each[1] != arn]
        heapify(self._ends)
        self.end(arn)

    def preempt(self, victims: Mapping[str, str]) -> None:
        """Write who makes room for whom."""
        for arn, by in victims.items():
            running = self.board.users[arn]
            assert isinstance(running, Running)
            self.board.run(replace(running, preempted_for=by))

    def _start(self, arn: str, instance_type: str, pool: str) -> None:
        group = self.groups[arn]
        need = next(each for each in group.needs if each.instance_type == instance_type)
        self.starts[arn] = self.now
        running = Running(
            arn=arn,
            backend=group.backend,
            project=group.project,
            need=need,
            started=self.now,
            ends=self.now + group.runtime,
            priority=group.priority,
            preemptible=self.preemptible[arn],
            pool=pool,
        )
        self.board.run(running)
        heappush(self._ends, (self.now + min(self.lasts[arn], group.runtime), arn))

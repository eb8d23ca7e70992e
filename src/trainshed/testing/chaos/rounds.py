"""A round of chaos: a shed is hurt under load for a while, then left in peace and judged."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trainshed.testing.chaos.book import Book
from trainshed.testing.chaos.judge import Violation, judge
from trainshed.testing.chaos.load import User
from trainshed.testing.chaos.looking import Look
from trainshed.testing.chaos.orders import BUCKET
from trainshed.testing.chaos.schedule import KILLS, Due, Strike, strikes
from trainshed.testing.chaos.strikes import Striker, end_what_is_left
from trainshed.testing.chaos.victims import Victims
from trainshed.testing.faults import points
from trainshed.testing.postgres import private_postgres

SQLITE: Final = "SQLite"
POSTGRESQL: Final = "PostgreSQL"
_USERS: Final = 3
_END_S: Final = 120.0
"""How long all jobs may take to end in peace."""
_LAST: Final = 12
"""Of how many faults a violation tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a round is to do."""

    seed: str
    database: str
    seconds: float
    """For how long somebody strikes."""
    every: float
    """Seconds between two strikes, on average."""
    only: Strike | None = None
    """The one thing that somebody does, every so many seconds exactly; points kill nobody then."""
    points: tuple[str, ...] = ()
    """The points at which lives end; all of them in turn where none is named."""


@dataclass(kw_only=True)
class Outcome:
    """What came of a round."""

    task: Task
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By kind and place: a backend's nodes, or what serves them all."""
    others: Counter[str] = field(default_factory=Counter)
    """Strikes that kill nothing."""
    struck: Counter[str] = field(default_factory=Counter)
    """Crashes by point."""
    jobs: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By backend and end."""
    attempts: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    excused: int = 0
    """Calls that failed while nobody could answer."""
    violations: list[Violation] = field(default_factory=list)
    last: Sequence[str] = ()
    """The last things that were done."""
    seconds: float = 0.0

    @property
    def killed(self) -> int:
        """How many kills there were."""
        return sum(self.kills.values())

    @property
    def _number(self) -> str:
        return self.task.seed.rpartition("/")[2]

    def told(self) -> Iterator[str]:
        """Yield what to say of it once it is over."""
        yield (
            f"round {self.task.seed} on {self.task.database}: {self.killed} kills, "
            f"{sum(self.jobs.values())} jobs, {len(self.violations)} violations, "
            f"{self.seconds:.0f} s"
        )
        if self.task.points and self.violations:
            yield f"  again with: --round {self._number} --points {','.join(self.task.points)}"
        for found in self.violations:
            yield f"  {found.rule}: {found.job}: {found.what}"
            yield from (f"    {each}" for each in found.evidence)
        if self.violations:
            yield "  last faults:"
            yield from (f"    {each}" for each in self.last)


def play(task: Task, folder: Path) -> Outcome:
    """Play a round in an empty folder. To be called on the main thread."""
    began = time.monotonic()
    outcome = Outcome(task=task)
    outside = folder / "outside"
    outside.mkdir()
    with _victims(task, folder) as victims:
        book = Book()
        striker = Striker(victims, book)
        try:
            victims.start()
            users = _users(task, victims, book, outside)
            with _load(users):
                _strike(task, striker)
            victims.make_peace()
            _await_ends(users[0], book)
            look = Look(victims, book, outside)
            jobs = look.while_they_live()
            victims.stop()
            found = look.after(jobs)
        finally:
            victims.stop()
            end_what_is_left(victims)
        outcome.violations = judge(book, found, victims.outages())
        _count(outcome, victims, striker, book)
        for name, seen in found.jobs.items():
            outcome.jobs[book.promises[name].order.backend, seen.status] += 1
            outcome.attempts += seen.attempts
    outcome.seconds = time.monotonic() - began
    return outcome


@contextmanager
def _victims(task: Task, folder: Path) -> Iterator[Victims]:
    points_kill = task.only is None
    if task.database == SQLITE:
        yield Victims(folder, task.seed, None, "", points_kill=points_kill, only=task.points)
        return
    with private_postgres() as postgres, postgres.schema() as url:
        yield Victims(folder, task.seed, postgres, url, points_kill=points_kill, only=task.points)


def _users(task: Task, victims: Victims, book: Book, outside: Path) -> list[User]:
    server = victims.servers[0]
    users = [
        User(f"u{number}", book, server, outside, task.seed) for number in range(1, _USERS + 1)
    ]
    users[0].begin(BUCKET)
    return users


@contextmanager
def _load(users: Sequence[User]) -> Iterator[None]:
    """Have the users work within the block."""
    over = threading.Event()
    threads = [threading.Thread(target=user.run, args=(over,), daemon=True) for user in users]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _strike(task: Task, striker: Striker) -> None:
    """Strike until the time is over."""
    over = time.monotonic() + task.seconds
    several = task.database == POSTGRESQL
    for due in _dues(task, several=several):
        if time.monotonic() + due.after >= over:
            break
        time.sleep(due.after)
        striker.strike(due)
    time.sleep(max(0.0, over - time.monotonic()))


def _dues(task: Task, *, several: bool) -> Iterator[Due]:
    if task.only is None:
        yield from strikes(task.seed, several=several, every=task.every)
    turn = 0
    while True:
        turn += 1
        yield Due(task.every, task.only or Strike.SERVER, 0.25 if turn % 2 else 0.75)


def _await_ends(user: User, book: Book) -> None:
    """Return when every job has ended, or it took too long: the judge finds what has not."""
    deadline = time.monotonic() + _END_S
    while book.open() and time.monotonic() < deadline:
        user.see_ends()
        time.sleep(0.2)


def _count(outcome: Outcome, victims: Victims, striker: Striker, book: Book) -> None:
    place = {
        **dict.fromkeys((Strike.AGENT, Strike.PROGRAM, Strike.NODE), "local nodes"),
        **dict.fromkeys((Strike.BACKEND, Strike.DATABASE), "database"),
    }
    for strike, count in striker.done.items():
        if strike in KILLS:
            outcome.kills[f"{strike}, any moment", place.get(strike, "servers")] += count
        else:
            outcome.others[str(strike)] += count
    told = list(striker.told)
    for server in victims.servers:
        for line in server.struck():
            point = line.partition("#")[0]
            outcome.struck[point] += 1
            agents = point in points.AGENT
            kind = "agent, at a point" if agents else "server, at a point"
            outcome.kills[kind, "local nodes" if agents else "servers"] += 1
            told.append(f"{server.data.name}: {line}")
    outcome.last = told[-_LAST:]
    outcome.calls = book.calls
    outcome.excused = len(book.failures) - sum(v.rule == "failed-call" for v in outcome.violations)

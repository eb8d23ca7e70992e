"""The command: finds the object, finds its lines, prints them, and with ``-f`` goes on to the end.

The object is looked at before the lines: once it says that the job has ended, the next look at the
lines has all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TextIO, TypeVar

from trainshed.client.errors import ApiError, ClientError, JobNotFound, ServerUnreachable
from trainshed.operator.smlogs.cluster import Cluster
from trainshed.operator.smlogs.lines import Layout
from trainshed.operator.smlogs.objects import Job, find
from trainshed.operator.smlogs.source import NoSource, Source, Wanted
from trainshed.operator.smlogs.words import Asked

FASTEST: Final = 0.2
"""Seconds between two looks while there is news."""
SLOWEST: Final = 1.0
"""Seconds between two looks when there has been none for a while."""
WAITING: Final = 5.0
"""Seconds between two looks at most, while nobody has its log."""
PATIENCE: Final = 60.0
"""Seconds to wait for an API server or a server that went away."""
_FAULTS: Final = frozenset(range(500, 600))

T = TypeVar("T")


class Sources(Protocol):
    """Who knows where a job's lines are; ``choice.Choice`` is."""

    def source(self, job: Job, wanted: Wanted) -> Source:
        """Return the place that has them.

        Raises:
            NoSource: there is none now.
        """
        ...


class NotStarted(ClientError):
    """The object has become no job yet, or never will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """Where is written to."""

    out: TextIO
    err: TextIO
    layout: Layout

    def note(self, text: str) -> None:
        """Say something that is no line of the log."""
        print(text, file=self.err, flush=True)


@dataclass(slots=True, kw_only=True)
class Show:
    """One run of the command."""

    asked: Asked
    cluster: Cluster
    choice: Sources
    terminal: Terminal
    sleep: Callable[[float], None]
    _said: str = ""

    def run(self) -> Job | None:
        """Print the log; return the job as it ended when it was followed, else None.

        Raises:
            NotStarted: there is no job yet, and it is not followed; or there will never be one.
            ClientError: the object or its log can't be read.
        """
        job = self._find()
        if not job.resource or not job.region:
            if not self.asked.follow:
                raise _not_started(job)
            job = self._named(job)
        self.terminal.note(job.heading())
        wanted = Wanted(
            job=job.resource,
            hosts=self.asked.hosts,
            since=self.asked.since,
            tail=self.asked.tail,
            last_attempt=self.asked.last_attempt,
        )
        if not self.asked.follow:
            try:
                source = self.choice.source(job, wanted)
            except NoSource as error:
                if error.later and not job.over:
                    raise _not_started(job) from error
                raise
            self._tell(source)
            return None
        return self._follow(job, wanted)

    def _named(self, job: Job) -> Job:
        """Return the object once the operator has made a job of it."""
        self._say(f'"{job.name}" has not started yet; waiting for it')
        while not (job.resource and job.region):
            _check_stalled(job)
            self.sleep(SLOWEST)
            job = self._again(job)
        return job

    def _follow(self, job: Job, wanted: Wanted) -> Job:
        source: Source | None = None
        delay = FASTEST
        while True:
            _check_stalled(job)
            if source is None:
                source = self._source(job, wanted)
            news = False
            if source is not None:
                news = self._tell_patiently(source)
                if job.over:
                    self._tell_late(source)
                    return job
            slowest = SLOWEST if source is not None else WAITING
            delay = FASTEST if news else min(slowest, delay * 1.5)
            self.sleep(delay)
            before, job = job, self._again(job)
            if job.uid != before.uid:
                raise JobNotFound(
                    f'"{job.name}" was deleted, and another object has its name now',
                    "the same command shows the new one",
                )

    def _source(self, job: Job, wanted: Wanted) -> Source | None:
        try:
            return self.choice.source(job, wanted)
        except NoSource as error:
            if job.over or not error.later:
                raise
            self._say(f"waiting for its first lines: {error}")
            return None

    def _tell(self, source: Source) -> bool:
        """Print what is new; tell whether anything was."""
        news = False
        try:
            for line in source.look():
                news = True
                self.terminal.out.write(f"{self.terminal.layout.of(line)}\n")
        finally:
            self.terminal.out.flush()
        return news

    def _tell_patiently(self, source: Source) -> bool:
        return self._patiently(lambda: self._tell(source))

    def _tell_late(self, source: Source) -> None:
        waited = 0.0
        while waited < source.lag:
            self.sleep(SLOWEST)
            waited += SLOWEST
            self._tell_patiently(source)

    def _find(self) -> Job:
        return find(self.cluster, self.asked.subject, self.asked.name)

    def _again(self, job: Job) -> Job:
        """Return the object as it is now."""
        try:
            return self._patiently(self._find)
        except JobNotFound as error:
            ended = f"; its status was {job.status or 'none'}"
            raise JobNotFound(
                f'"{job.name}" was deleted{ended}, so how its job ends can\'t be told', error.remedy
            ) from error

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Return what ``ask`` returns, once whoever is asked answers again."""
        waited = 0.0
        while True:
            try:
                return ask()
            except (ServerUnreachable, ApiError) as error:
                passing = isinstance(error, ServerUnreachable) or error.status in {429, *_FAULTS}
                if not passing or waited >= PATIENCE:
                    raise
                self._say(f"{error}; trying again")
                self.sleep(SLOWEST)
                waited += SLOWEST

    def _say(self, text: str) -> None:
        """Say something once, however often it is so."""
        if text != self._said:
            self._said = text
            self.terminal.note(text)


def _check_stalled(job: Job) -> None:
    if job.hopeless and not job.over:
        raise NotStarted(
            f'"{job.name}" has stalled: {job.hopeless}',
            f"kubectl describe {job.subject.kind.lower()} {job.name}; edit it, or delete it",
        )


def _not_started(job: Job) -> NotStarted:
    _check_stalled(job)
    status = f'its status is "{job.status}"' if job.status else "the operator has not touched it"
    why = f": {job.additional}" if job.additional else ""
    return NotStarted(
        f'"{job.name}" has not started yet; {status}{why}',
        "with -f, this command waits for it",
    )

"""Brings the model of every job that gets over, for as long as it is let: each one once.

ListTrainingJobs is asked again and again for what changed lately. What was brought is written down
before and after, so whoever is killed, or restarted, neither misses a model nor brings one twice.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

from trainshed.client import fetch
from trainshed.client.api import Api
from trainshed.client.arrivals import Arrival, State
from trainshed.client.download import Download
from trainshed.client.errors import ApiError, ClientError, NoModel, ServerUnreachable
from trainshed.client.objects import Progress
from trainshed.client.references import describe
from trainshed.stores.flushing import flush_folder

_OVERLAP: Final = 300.0
"""Seconds that lists reach back behind what was read: a list may show a change late."""
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
"""Seconds between two tries to reach a server that is away; each pause is twice the last."""
_PAGE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which jobs' models are brought."""

    statuses: tuple[str, ...] = ("Completed",)
    name_contains: str = ""
    since: float | None = None
    """Jobs that were over before are left, at the first start; None for the time of that start."""


@dataclass(frozen=True, slots=True)
class Away:
    """The server does not answer, or not as it should; it is tried again until it does."""

    why: str


@dataclass(frozen=True, slots=True)
class Back:
    """The server answers again."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A model could not be brought; it is tried again at every look."""

    job: str
    error: ClientError


News = Arrival | Away | Back | Waiting


@dataclass(slots=True)
class ModelFollower:
    """Brings models into the folder of ``state``."""

    state: State
    wanted: Wanted
    connect: Callable[[], Api]
    """Returns the server, or raises ServerUnreachable."""
    sleep: Callable[[float], None]
    """Waits for a number of seconds."""
    progress: Progress
    every: float = 10.0
    """Seconds between two looks."""
    whole: Callable[[], AbstractContextManager[None]] = nullcontext
    """Around the telling of an arrival and its writing down: who ends us waits for the second."""

    def follow(self) -> Iterator[News]:
        """Yield what comes, for ever. An arrival is written down when the next news is asked for.

        Raises:
            ClientError: the server refuses to list jobs at all.
        """
        pause = 0.0
        told: dict[str, str] = {}
        while True:
            try:
                for news in self.look():
                    if pause:
                        pause = 0.0
                        yield Back()
                    if _is_new(news, told):
                        yield news
            except (ServerUnreachable, ApiError) as error:
                if isinstance(error, ApiError) and error.status < 500 and error.status != 429:
                    raise
                if not pause:
                    yield Away(str(error))
                pause = min(_LONGEST_PAUSE, pause * 2 or _FIRST_PAUSE)
                self.sleep(pause)
                continue
            if pause:
                pause = 0.0
                yield Back()
            self.sleep(self.every)

    def look(self) -> Iterator[News]:
        """Bring what there is to bring now.

        Raises:
            ServerUnreachable: the server is away; what came of a model stays for the next time.
            ApiError: it refuses to list jobs.
        """
        if self.state.arriving is not None:
            yield from self._place(self.state.arriving)
        with self.connect() as api:
            jobs, asked = self._listed(api)
            complete = True
            for job in jobs:
                try:
                    arrival = self._brought(api, job)
                except ServerUnreachable:
                    raise
                except ClientError as error:
                    complete = False
                    yield Waiting(job["TrainingJobName"], error)
                    continue
                yield from self._place(arrival)
            if complete:
                self.state.read_to(asked)

    def _listed(self, api: Api) -> tuple[list[Mapping[str, Any]], float]:
        """Return the jobs to be brought, the oldest first, and the server's time before that."""
        found: list[Mapping[str, Any]] = []
        asked = 0.0
        for status in self.wanted.statuses:
            page: dict[str, Any] = {
                "StatusEquals": status,
                "SortBy": "CreationTime",
                "SortOrder": "Ascending",
                "MaxResults": _PAGE,
                "NameContains": self.wanted.name_contains,
            }
            if self.state.began is not None:
                page["LastModifiedTimeAfter"] = max(0.0, self.state.read - _OVERLAP)
            elif self.wanted.since is not None:
                page["LastModifiedTimeAfter"] = self.wanted.since
            else:
                page["MaxResults"] = 1
            page = {key: value for key, value in page.items() if value != ""}
            while True:
                answer, date = api.call_at("sagemaker", "ListTrainingJobs", page)
                asked = asked or _epoch(date)
                if self.state.began is None:
                    self.state.begin(asked if self.wanted.since is None else self.wanted.since)
                found += [job for job in answer["TrainingJobSummaries"] if self._is_new(job)]
                if not answer.get("NextToken") or page["MaxResults"] == 1:
                    break
                page["NextToken"] = answer["NextToken"]
        return sorted(found, key=lambda job: float(job["CreationTime"])), asked

    def _is_new(self, job: Mapping[str, Any]) -> bool:
        return float(job["LastModifiedTime"]) >= (self.state.began or 0) and not self.state.knows(
            job
        )

    def _brought(self, api: Api, listed: Mapping[str, Any]) -> Arrival:
        """Put a job's model together in ``incoming``."""
        state = self.state
        job = describe(api, listed["TrainingJobName"])
        incoming = state.incoming
        _only(incoming, f"{job['TrainingJobName']} {job['CreationTime']}")
        how = Download(api=api, progress=self.progress)
        problem, files = "", list[Path]()
        try:
            files = fetch.fetch_model(how, job, incoming / "model")
        except NoModel as error:
            problem = str(error)
        arrival = Arrival(
            job=job["TrainingJobName"],
            created=float(job["CreationTime"]),
            status=job["TrainingJobStatus"],
            model=fetch.model_uri(job),
            folder="" if problem else self._free(job),
            files=len(files),
            bytes=sum(path.lstat().st_size for path in files),
            problem=problem,
        )
        if not problem:
            _keep(incoming / "model", files)
        state.will_place(arrival)
        return arrival

    def _free(self, job: Mapping[str, Any]) -> str:
        """Return a name for the model's folder that nothing has."""
        name = str(job["TrainingJobName"])
        if not (self.state.folder / name).exists():
            return name
        created = datetime.fromtimestamp(float(job["CreationTime"]), UTC)
        return f"{name}-{created:%Y%m%dT%H%M%SZ}"

    def _place(self, arrival: Arrival) -> Iterator[Arrival]:
        """Give a model its place, tell of it, write it down; each again if it was not done."""
        model = self.state.incoming / "model"
        if arrival.folder and model.exists():
            model.rename(self.state.folder / arrival.folder)
            flush_folder(self.state.folder)
        with self.whole():
            yield arrival
            self.state.placed(arrival)
        shutil.rmtree(self.state.incoming, ignore_errors=True)


def _is_new(news: News, told: dict[str, str]) -> bool:
    """Tell whether this was not said of a job the last time; keeps what was."""
    match news:
        case Waiting(job=job, error=error):
            if told.get(job) == str(error):
                return False
            told[job] = str(error)
        case Arrival(job=job):
            told.pop(job, None)
        case _:
            pass
    return True


def _only(incoming: Path, job: str) -> None:
    """Keep what came of this job's model before; drop what came of another's."""
    label = incoming / "job"
    if not label.is_file() or label.read_text() != job:
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir()
        label.write_text(job)


def _keep(folder: Path, files: list[Path]) -> None:
    """See that files outlive a loss of power."""
    for path in files:
        if path.is_file():
            _sync(path)
    above = {above for path in files for above in path.relative_to(folder).parents}
    for inner in above:
        flush_folder(folder / inner)
    flush_folder(folder.parent)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _epoch(date: str) -> float:
    return parsedate_to_datetime(date).timestamp() if date else 0.0

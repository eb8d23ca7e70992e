"""Training jobs in the records database.

The whole job is one JSON body; the columns beside it are copies to search and sort by. A swap
compares bodies, so what is written is what was read, member for member. Members that a newer
server wrote, and this one does not know, stay in the body.
"""

import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, Protocol

import msgspec

from trainshed.domain.facts import Fact, Kind
from trainshed.domain.training import TrainingJob, TrainingJobStatus
from trainshed.stores.records.base import (
    SCHEDULER,
    Connection,
    Database,
    JobQuery,
    MetricValue,
)
from trainshed.stores.records.changes import Marker
from trainshed.stores.records.feed import FORGET
from trainshed.stores.records.open_rows import each_open
from trainshed.stores.records.tags import DROP_TAGS, PUT_TAG

_ENCODER: Final = msgspec.json.Encoder()
_JOB: Final = msgspec.json.Decoder(TrainingJob)
_DETAIL: Final = msgspec.json.Decoder(dict[str, Any])
_RAW: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KNOWN_MEMBERS: Final = frozenset(field.name for field in fields(TrainingJob))

_GET: Final = "SELECT body FROM training_jobs WHERE arn = ?"
_LEADER: Final = f"SELECT server FROM leases WHERE name = '{SCHEDULER}'"  # noqa: S608 - ours
_GET_OWNED: Final = "SELECT body, owner FROM training_jobs WHERE arn = ?"
_GET_BY_ID: Final = "SELECT body FROM training_jobs WHERE id = ?"
_ADD: Final = (
    "INSERT INTO training_jobs (arn, id, region, name, created, owner, "
    "modified, status, open, backend, project, warm_pool, body) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (arn) DO NOTHING"
)
_PUT: Final = (
    "UPDATE training_jobs SET modified = ?, status = ?, open = ?, backend = ?, project = ?, "
    "warm_pool = ?, body = ? WHERE arn = ?"
)
_OPEN: Final = "SELECT arn FROM training_jobs WHERE open = 1 ORDER BY created, name"
_TAKEN: Final = "SELECT n FROM taken WHERE job_id = ? AND attempt = ? AND host = ?"
_TAKE: Final = (
    "INSERT INTO taken (job_id, attempt, host, n) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (job_id, attempt, host) DO UPDATE SET n = excluded.n"
)
_KEEP_FACT: Final = (
    "INSERT INTO facts (job_id, attempt, host, n, at, kind, detail) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_LAST_ONLY: Final = (Kind.CHECKPOINT, Kind.PROGRESS)
"""Kinds of facts of which only the last one counts."""
_DROP_FORMER: Final = "DELETE FROM facts WHERE job_id = ? AND attempt = ? AND host = ? AND kind = ?"
_COUNTS: Final = "SELECT status, count(*) FROM training_jobs GROUP BY status"
_CHECKPOINTS: Final = """
    SELECT j.body, f.attempt, f.host, f.n, f.at, f.kind, f.detail
    FROM training_jobs AS j JOIN facts AS f ON f.job_id = j.id
    WHERE j.open = 1 AND f.kind = 'checkpoint' ORDER BY j.name, f.host
"""
_KEEP_METRIC: Final = (
    "INSERT INTO final_metrics (job_id, name, value, at) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (job_id, name) DO UPDATE SET value = excluded.value, at = excluded.at "
    "WHERE excluded.at >= final_metrics.at"
)
_SORT_COLUMNS: Final = {"Name": "name", "CreationTime": "created", "Status": "status"}


Witness = Callable[[TrainingJob, TrainingJob], None]
"""Is told of a job as it was and as it was written."""


class SqlTrainingRecords:
    """``TrainingRecords`` in a database."""

    def __init__(self, database: Database, changes: Marker, witness: Witness | None = None) -> None:
        """Keep jobs in ``database``; tell ``changes`` of each change once it is on disk.

        ``witness`` is told of what each swap wrote, besides; it must be quick, and must not raise.
        """
        self._database = database
        self._changes = changes
        self._witness = witness

    async def add(self, job: TrainingJob, tags: Mapping[str, str], owner: str = "") -> bool:
        """Keep a new job and its tags; return False, changing nothing, if its ARN is taken."""
        row = (
            *(job.arn, job.id, job.region, job.name, job.created.timestamp(), owner),
            *_moving_columns(job),
            _ENCODER.encode(job),
        )

        def work(connection: Connection) -> bool:
            if not connection.execute(_ADD, row).rowcount:
                return False
            connection.execute(DROP_TAGS, (job.arn,))
            connection.executemany(PUT_TAG, [(job.arn, key, tags[key]) for key in tags])
            connection.tell(job.arn)
            return True

        return await self._write_and_mark(work, job.arn)

    async def get(self, arn: str) -> TrainingJob | None:
        """Return the job, or None."""
        rows = await self._database.read(_GET, (arn,))
        return _JOB.decode(rows[0][0]) if rows else None

    async def by_id(self, job_id: str) -> TrainingJob | None:
        """Return the job whose ``id`` that is, or None."""
        rows = await self._database.read(_GET_BY_ID, (job_id,))
        return _JOB.decode(rows[0][0]) if rows else None

    async def swap(
        self,
        old: TrainingJob,
        new: TrainingJob,
        owner: str | None = None,
        leader: str | None = None,
    ) -> bool:
        """Write ``new`` only if the row still equals ``old``; see ``TrainingRecords.swap``.

        Returns:
            Whether it was written.
        """
        expected, columns, body = _ENCODER.encode(old), _moving_columns(new), _ENCODER.encode(new)

        def work(connection: Connection) -> bool:
            row = connection.execute(_GET_OWNED, (old.arn,)).fetchone()
            if row is None or (owner is not None and row[1] != owner):
                return False
            if leader is not None and connection.execute(_LEADER).fetchone() != (leader,):
                return False
            written = body
            if row[0] != expected:
                if not _same(row[0], old):
                    return False
                written = _with_unknown_members(body, row[0])
            connection.execute(_PUT, (*columns, written, old.arn))
            connection.tell(old.arn)
            return True

        def after(swapped: bool) -> None:
            if swapped:
                self._changes.mark(old.arn)
                if self._witness is not None:
                    self._witness(old, new)

        return await self._database.write(work, after)

    async def remove(self, job: TrainingJob) -> bool:
        """Forget the job, its tags, facts and metrics, if the row still equals ``job``."""
        expected = _ENCODER.encode(job)

        def work(connection: Connection) -> bool:
            row = connection.execute(_GET, (job.arn,)).fetchone()
            if row is None or not (row[0] == expected or _same(row[0], job)):
                return False
            connection.execute("DELETE FROM training_jobs WHERE arn = ?", (job.arn,))
            connection.execute(FORGET)
            connection.execute(DROP_TAGS, (job.arn,))
            connection.execute("DELETE FROM facts WHERE job_id = ?", (job.id,))
            connection.execute("DELETE FROM taken WHERE job_id = ?", (job.id,))
            connection.execute("DELETE FROM final_metrics WHERE job_id = ?", (job.id,))
            connection.tell(job.arn)
            return True

        return await self._write_and_mark(work, job.arn)

    async def find(self, query: JobQuery) -> list[TrainingJob]:
        """Return one page of jobs."""
        rows = await self._database.read(*_page(query))
        return [_JOB.decode(body) for (body,) in rows]

    async def open_jobs(self) -> list[str]:
        """Return the ARNs of all jobs that are not over or not cleaned, oldest first."""
        return [arn for (arn,) in await self._database.read(_OPEN)]

    def each_open(self) -> AsyncIterator[TrainingJob]:
        """Yield all jobs that are not over or not cleaned, oldest first; see ``open_rows``."""
        return each_open(self._database)

    async def take(self, job_id: str, attempt: int, host: str, facts: Sequence[Fact]) -> int | None:
        """Take the facts whose turn it is, each number once; return the last one taken.

        See ``TrainingRecords.take``. Of several values of a metric the one with the latest time
        is final, whichever node it came from; values and times that are no finite number are
        passed over, because neither the API nor the file can hold them.
        """

        def work(connection: Connection) -> tuple[str, int, bool] | None:
            owner = connection.execute("SELECT arn FROM training_jobs WHERE id = ?", (job_id,))
            if (row := owner.fetchone()) is None:
                return None
            last = connection.execute(_TAKEN, (job_id, attempt, host)).fetchone()
            fresh = list(_next_facts(facts, last[0] if last else 0))
            if not fresh:
                return row[0], last[0] if last else 0, False
            lasts: dict[Kind, int] = {f.kind: f.n for f in fresh if f.kind in _LAST_ONLY}
            for kind in lasts:
                connection.execute(_DROP_FORMER, (job_id, attempt, host, kind.value))
            connection.executemany(
                _KEEP_FACT,
                [
                    (job_id, attempt, host, f.n, f.at, f.kind.value, _ENCODER.encode(f.detail))
                    for f in fresh
                    if f.kind is not Kind.METRICS and lasts.get(f.kind, f.n) == f.n
                ],
            )
            points = [(job_id, *point) for fact in fresh for point in _points(fact)]
            connection.executemany(_KEEP_METRIC, points)
            connection.execute(_TAKE, (job_id, attempt, host, fresh[-1].n))
            connection.tell(row[0])
            return row[0], fresh[-1].n, True

        def after(taken: tuple[str, int, bool] | None) -> None:
            if taken is not None and taken[2]:
                self._changes.mark(taken[0])

        taken = await self._database.write(work, after)
        return None if taken is None else taken[1]

    async def facts(self, job_id: str, attempt: int) -> Mapping[str, tuple[Fact, ...]]:
        """Return what each node of an attempt reported (without metrics), in order, by host."""
        rows = await self._database.read(
            "SELECT host, n, at, kind, detail FROM facts WHERE job_id = ? AND attempt = ? "
            "ORDER BY host, n",
            (job_id, attempt),
        )
        return {
            host: tuple(Fact(n, at, Kind(kind), _DETAIL.decode(d)) for _, n, at, kind, d in lines)
            for host, lines in groupby(rows, key=itemgetter(0))
        }

    async def counts(self) -> Mapping[TrainingJobStatus, int]:
        """Return how many jobs have each status; none of a status that no job has."""
        rows = await self._database.read(_COUNTS)
        return {TrainingJobStatus(status): n for status, n in rows}

    async def checkpoints(self) -> list[tuple[TrainingJob, str, Fact]]:
        """Return each open job's last ``checkpoint`` of each node: (job, host, fact)."""
        rows = await self._database.read(_CHECKPOINTS)
        found = []
        for body, attempt, host, n, at, kind, detail in rows:
            job = _JOB.decode(body)
            if job.attempt is not None and job.attempt.number == attempt:
                found.append((job, host, Fact(n, at, Kind(kind), _DETAIL.decode(detail))))
        return found

    async def final_metrics(self, job_id: str) -> list[MetricValue]:
        """Return the last value of each metric, ordered by name."""
        rows = await self._database.read(
            "SELECT name, value, at FROM final_metrics WHERE job_id = ? ORDER BY name", (job_id,)
        )
        return [
            MetricValue(name, value, datetime.fromtimestamp(at, UTC)) for name, value, at in rows
        ]

    async def _write_and_mark(self, work: "_Work", arn: str) -> bool:
        def after(changed: bool) -> None:
            if changed:
                self._changes.mark(arn)

        return await self._database.write(work, after)


class _Work(Protocol):
    def __call__(self, connection: Connection, /) -> bool: ...


def _moving_columns(job: TrainingJob) -> tuple[float, str, int, str, str, str]:
    """Return the values of the columns that change while a job goes on, in ``_PUT``'s order."""
    return (
        job.modified.timestamp(),
        job.status.value,
        int(not job.settled),
        job.backend if job.attempt is None else job.attempt.backend,
        job.project,
        job.warm_status.value if job.warm_status else "",
    )


def _same(body: bytes, job: TrainingJob) -> bool:
    """Tell whether a body is that of ``job``.

    One that was written before a member was added, or after one was that this program does not
    know yet, differs in bytes from the same job encoded by this program.
    """
    return _JOB.decode(body) == job


def _with_unknown_members(body: bytes, former: bytes) -> bytes:
    """Return ``body`` with those members of the one before it that this program does not know."""
    unknown = {
        name: value for name, value in _RAW.decode(former).items() if name not in _KNOWN_MEMBERS
    }
    return _ENCODER.encode({**_RAW.decode(body), **unknown}) if unknown else body


def _page(query: JobQuery) -> tuple[str, list[Any]]:
    """Return the SELECT of one page and its parameters.

    Times asked for are exclusive on both sides: created (or modified) *after* means later than,
    *before* means earlier than. ``name_contains`` is taken literally and minds the case.
    """
    column = _SORT_COLUMNS[query.sort_by]
    # Name alone is unique in a region; a second column would keep the index from serving.
    keys = ("name",) if column == "name" else (column, "name")
    filters: list[tuple[str, Any]] = [
        # What all databases have, and what minds the case in each of them.
        ("replace(name, ?, '') <> name", query.name_contains or None),
        ("created > ?", _seconds(query.created_after)),
        ("created < ?", _seconds(query.created_before)),
        ("modified > ?", _seconds(query.modified_after)),
        ("modified < ?", _seconds(query.modified_before)),
        ("status = ?", query.status.value if query.status else None),
        ("warm_pool = ?", query.warm_pool.value if query.warm_pool else None),
        # Said twice for the database, whose index has only those that have one.
        ("warm_pool <> ?", "" if query.warm_pool else None),
    ]
    conditions: list[str] = ["region = ?"]
    parameters: list[Any] = [query.region]
    for condition, value in filters:
        if value is not None:
            conditions.append(condition)
            parameters.append(value)
    if query.after is not None:
        marks = ", ".join("?" for _ in keys)
        conditions.append(f"({', '.join(keys)}) {'<' if query.descending else '>'} ({marks})")
        parameters.extend(query.after[-len(keys) :])
    order = ", ".join(f"{key} {'DESC' if query.descending else 'ASC'}" for key in keys)
    parameters.append(query.limit)
    where = " AND ".join(conditions)
    # Every word of it is ours; what the caller said goes in as parameters. An index alone answers
    # the inner query; bodies, which are some hundred times larger, are read for the page only.
    arns = f"SELECT arn FROM training_jobs WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608
    sql = f"SELECT body FROM training_jobs WHERE arn IN ({arns}) ORDER BY {order}"  # noqa: S608
    return sql, parameters


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _next_facts(facts: Sequence[Fact], last: int) -> Iterator[Fact]:
    """Yield the facts that follow number ``last`` without a gap."""
    for fact in facts:
        if fact.n > last + 1:
            return
        if fact.n == last + 1:
            yield fact
            last = fact.n


def _points(fact: Fact) -> Iterator[tuple[str, float, float]]:
    """Yield the (name, value, seconds) of a ``metrics`` fact that can be kept."""
    if fact.kind is not Kind.METRICS:
        return
    for point in fact.detail.get("points", ()):
        match point:
            case [str(name), float(value) | int(value), float(at) | int(at)] if math.isfinite(
                value
            ) and math.isfinite(at):
                yield name, float(value), float(at)

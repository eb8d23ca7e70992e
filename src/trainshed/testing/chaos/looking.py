"""Gathers what is there when a chaos run is over."""

import asyncio
import io
import json
import os
import sqlite3
import subprocess
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
from botocore.exceptions import ClientError

from trainshed.app.records import opened
from trainshed.app.settings import Records
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.names import TRAINING_LOG_GROUP, hosts, log_stream
from trainshed.domain.training import TrainingJob
from trainshed.stores.logs.format import decode
from trainshed.stores.records.base import Database
from trainshed.testing.chaos.book import Book, Promise
from trainshed.testing.chaos.findings import Findings, Run, Seen, Stay
from trainshed.testing.chaos.load import Clients
from trainshed.testing.chaos.orders import BUCKET, LOCAL
from trainshed.testing.chaos.storing import digest
from trainshed.testing.chaos.strikes import programs_below
from trainshed.testing.chaos.victims import Victims
from trainshed.testing.faults import acknowledged
from trainshed.testing.server import TRAINSHED
from trainshed.testing.simulation.life import Life, story

_CLEAN_S: Final = 45.0
"""How long nodes and warm pools may take to be removed once all jobs are over."""
_NO_LEFTOVER: Final = frozenset({"place"})
"""What garbage collection tells besides: that an engine of this machine can't be asked."""


class Look:
    """Looks at the servers, first while they live, then when they have ended."""

    def __init__(self, victims: Victims, book: Book, outside: Path) -> None:
        """Look at nothing yet."""
        self._victims = victims
        self._book = book
        self._outside = outside
        self._clients = Clients(victims.servers[0])
        self._left: list[str] = []
        self._lines: dict[str, list[str]] = {}
        self._objects: dict[str, str] = {}

    def while_they_live(self) -> dict[str, Seen]:
        """Return the jobs as they are described; note what is left when it should be gone."""
        self._await_clean()
        jobs = {}
        for promise in self._book.promises.values():
            if (seen := self._seen(promise)) is not None:
                jobs[promise.order.name] = seen
        self._objects = dict(self._stored())
        return jobs

    def after(self, jobs: Mapping[str, Seen]) -> Findings:
        """Return all that was found, once no server lives."""
        records = asyncio.run(self._records())
        heard: dict[str, dict[int, Fact]] = {}
        lines: dict[str, list[str]] = {}
        for server in self._victims.servers:
            folder = server.noted.with_name("acknowledged")
            for node, of_one in acknowledged.facts(folder).items():
                heard.setdefault(node, {}).update(of_one)
            for node, text in acknowledged.logs(folder).items():
                said = _lines(text)
                lines[node] = max(said, lines.get(node, []), key=len)
        return Findings(
            jobs={
                name: replace(seen, id=records.jobs[name].id, attempts=_last(records.jobs[name]))
                for name, seen in jobs.items()
            },
            runs=self._runs(),
            stays=self._stays(),
            streams=dict(self._streams(records.jobs.values())),
            acknowledged_facts=heard,
            acknowledged_lines=lines,
            facts=records.facts,
            taken=records.taken,
            objects=self._objects,
            left=[*self._left, *self._remains()],
            troubles=self._victims.troubles,
        )

    def _await_clean(self) -> None:
        deadline = time.monotonic() + _CLEAN_S
        while (left := self._leftovers()) and time.monotonic() < deadline:
            time.sleep(0.5)
        self._left = left

    def _leftovers(self) -> list[str]:
        remains = self._victims.servers[0].remains()
        if remains:
            return remains
        command = [str(TRAINSHED), "gc", "--dry-run", "--json", "--data-dir"]
        ran = subprocess.run(
            [*command, str(self._victims.servers[0].data)],
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            found = json.loads(ran.stdout)
        except ValueError:
            return [f"trainshed gc says {ran.stdout!r} {ran.stderr!r}"]
        deleted = [p.order.name for p in self._book.promises.values() if p.delete_asked]
        return [
            f"gc: {each['Kind']} {each['Name']}"
            for each in found
            if each["Kind"] not in _NO_LEFTOVER
            and not (each["Kind"] == "log stream" and any(n in each["Name"] for n in deleted))
        ]

    def _remains(self) -> list[str]:
        """Return what is left once no server lives."""
        left = self._victims.servers[0].remains()
        for node, pids in programs_below(self._victims.shared / "nodes").items():
            left += [f"process {pid} of node {node}" for pid in pids]
        for server in self._victims.servers:
            left += [f"process {pid} of {server.data.name}" for pid in _naming(str(server.data))]
        return left

    def _seen(self, promise: Promise) -> Seen | None:
        name = promise.order.name
        try:
            told = self._clients.sagemaker.describe_training_job(TrainingJobName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] in {"ValidationException", "ResourceNotFound"}:
                return None
            raise
        moves = [
            f"{each['StartTime']:%H:%M:%S.%f} {each['Status']}: {each.get('StatusMessage', '')}"
            for each in told["SecondaryStatusTransitions"]
        ]
        self._note_lines(name)
        wanted = promise.order.backend == LOCAL and told["TrainingJobStatus"] == "Completed"
        return Seen(
            id="",
            status=told["TrainingJobStatus"],
            reason=told.get("FailureReason", ""),
            transitions=moves,
            model=self._model(name) if wanted else None,
        )

    def _model(self, name: str) -> dict[str, bytes] | None:
        key = f"output/{name}/output/model.tar.gz"
        try:
            body = self._clients.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        except ClientError:
            return None
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            files = [member for member in tar if member.isfile()]
            return {each.name: _read(tar, each) for each in files}

    def _stored(self) -> Iterator[tuple[str, str]]:
        """Yield (key, digest) of what users keep in the bucket."""
        s3 = self._clients.s3
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="objects/"):
            for each in page.get("Contents", ()):
                body = s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read()
                yield each["Key"], digest(body)

    async def _records(self) -> "_Kept":
        server = self._victims.servers[0]
        records = Records(url=self._victims.url, shared=str(self._victims.shared))
        database, _ = opened(records if self._victims.several else Records(), server.data)
        try:
            return await _read_records(database)
        finally:
            database.close()

    def _runs(self) -> dict[tuple[str, str], list[Run]]:
        found = {}
        for path in self._outside.glob("*.runs"):
            job, host, _ = path.name.rsplit(".", 2)
            words = [line.split() for line in path.read_text().splitlines()]
            found[job, host] = [
                Run(each[0], each[1], int(each[2]) if len(each) > 3 else 0) for each in words
            ]
        return found

    def _stays(self) -> dict[tuple[str, str], list[Stay]]:
        path = self._victims.shared / "simulated" / "sim.db"
        if not path.exists():
            return {}
        found: dict[tuple[str, str], list[Stay]] = {}
        with closing(sqlite3.connect(path)) as database:
            for (body,) in database.execute("SELECT body FROM nodes"):
                life = msgspec.json.decode(body, type=Life)
                job, attempt, host = life.node_id.split(".")
                if (stay := _stay(life)) is not None:
                    found.setdefault((job, host), []).append(Stay(int(attempt), *stay))
        return found

    def _note_lines(self, name: str) -> None:
        """Keep all that is in the log of a job, by stream."""
        logs, group = self._clients.logs, TRAINING_LOG_GROUP
        for page in logs.get_paginator("describe_log_streams").paginate(
            logGroupName=group, logStreamNamePrefix=f"{name}/"
        ):
            for stream in page["logStreams"]:
                asked = {"logGroupName": group, "logStreamName": stream["logStreamName"]}
                lines: list[str] = []
                told = logs.get_log_events(**asked, startFromHead=True)
                while told["events"]:
                    lines += [event["message"] for event in told["events"]]
                    more = told["nextForwardToken"]
                    told = logs.get_log_events(**asked, startFromHead=True, nextToken=more)
                self._lines[stream["logStreamName"]] = lines

    def _streams(
        self, jobs: Iterable[TrainingJob]
    ) -> Iterator[tuple[tuple[str, str, str], Sequence[str]]]:
        for job in jobs:
            began = {each.number: each.started for each in job.past}
            if job.attempt is not None:
                began[job.attempt.number] = job.attempt.started
            for number, started in began.items():
                for host in hosts(job.instance_count):
                    lines = self._lines.get(log_stream(job.name, host, started))
                    if lines is not None:
                        yield (job.id, str(number), host), lines


class _Kept:
    """What the records have."""

    def __init__(self) -> None:
        self.jobs: dict[str, TrainingJob] = {}
        self.facts: dict[str, dict[int, Fact]] = {}
        self.taken: dict[str, int] = {}


async def _read_records(database: Database) -> _Kept:
    kept = _Kept()
    for (body,) in await database.read("SELECT body FROM training_jobs"):
        job = msgspec.json.decode(body, type=TrainingJob)
        kept.jobs[job.name] = job
    rows = await database.read("SELECT job_id, attempt, host, n, at, kind, detail FROM facts")
    for job_id, attempt, host, n, at, kind, detail in rows:
        of_node = kept.facts.setdefault(f"{job_id}.{attempt}.{host}", {})
        of_node[n] = Fact(n, at, Kind(kind), json.loads(bytes(detail)))
    for job_id, attempt, host, n in await database.read(
        "SELECT job_id, attempt, host, n FROM taken"
    ):
        kept.taken[f"{job_id}.{attempt}.{host}"] = n
    return kept


def _last(job: TrainingJob) -> int:
    """Return the number of the last attempt."""
    return job.attempt.number if job.attempt is not None else job.attempts


def _naming(text: str) -> list[int]:
    """Return the processes whose command line names something."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if text.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def _stay(life: Life) -> tuple[float, float] | None:
    """Return from when until when a node's program could run; None for one that never did."""
    told = story(life)
    ended = [fact.at for fact in told.facts if fact.kind in {Kind.EXITED, Kind.ENDED}]
    removed = float("inf") if life.removed is None else life.removed
    end = min([*ended, told.taken, removed])
    lost = told.silent[0] if life.script.lost_after is not None else float("inf")
    end = min(end, lost)
    return (life.began, end) if life.began < end else None


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file is not None else b""


def _lines(text: bytes) -> list[str]:
    return [decode(line)[1] for line in text.splitlines(keepends=True)]

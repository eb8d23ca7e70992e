"""Agents' reports: who may report what, and what is kept of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trainshed.api.reports import MAX_FACTS_BYTES, MAX_LOG_BYTES, Reports
from trainshed.domain import names
from trainshed.domain.errors import StoreError
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.training import Attempt, AttemptEnd, PastAttempt, TrainingJob
from trainshed.stores.logs.segments import Logs
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.jobs import NOON, facts, job

SECRET = "server secret"
STREAM = f"digits/algo-1-{int(NOON.timestamp()) * 1000}"


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict[str, Any]


class Agent:
    """Reports to the app as an agent's HTTP client would, in pieces of 64 KiB."""

    def __init__(self, reports: Reports, records: SqlTrainingRecords, logs: Logs) -> None:
        self.reports = reports
        self.records = records
        self.logs = logs
        self.job = replace(job("digits"), attempt=Attempt(number=1, backend="local", started=NOON))

    @property
    def node(self) -> str:
        return names.node_id(self.job.id, 1, "algo-1")

    async def send_facts(self, body: bytes | list[Any], **other: str) -> Answer:
        if isinstance(body, list):
            body = json.dumps({"facts": body}).encode()
        return await self.send("POST", "facts", body, **other)

    async def send_log(self, data: bytes, offset: int | str, **other: Any) -> Answer:
        return await self.send("PUT", "log", data, query=f"offset={offset}", **other)

    async def send(
        self,
        method: str,
        what: str,
        body: bytes,
        *,
        query: str = "",
        node: str = "",
        token: str | None = None,
        slowly: asyncio.Event | None = None,
    ) -> Answer:
        """Send a report; its last piece follows when ``slowly`` is set."""
        node = node or self.node
        token = names.report_token(SECRET, node) if token is None else token
        scope = {
            "type": "http",
            "method": method,
            "path": f"/agent/v1/nodes/{node}/{what}",
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(b"authorization", f"Bearer {token}".encode())],
        }
        pieces = [body[at : at + 65536] for at in range(0, len(body), 65536)] or [b""]
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            piece = pieces.pop(0)
            if not pieces and slowly is not None:
                await slowly.wait()
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.reports(scope, receive, send)
        answer = b"".join(message.get("body", b"") for message in sent)
        return Answer(sent[0]["status"], json.loads(answer))


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    database = SqliteDatabase(tmp_path / "records.db")
    records = SqlTrainingRecords(database, InProcessChanges())
    logs = Logs(tmp_path / "logs")
    made = Agent(Reports(records=records, logs=logs, secret=SECRET), records, logs)
    await records.add(made.job, {})
    yield made
    database.close()


def lines(*found: Fact) -> list[dict[str, Any]]:
    return [fact.line() for fact in found]


async def test_facts_are_taken_once_and_in_order(agent: Agent) -> None:
    told = facts(Kind.STARTED, Kind.DOWNLOADING, Kind.TRAINING)

    assert await agent.send_facts(lines(*told[:2])) == Answer(200, {"taken": 2})
    assert await agent.send_facts(lines(*told)) == Answer(200, {"taken": 3})
    assert await agent.send_facts(lines(*told[:1])) == Answer(200, {"taken": 3})
    assert await agent.send_facts([]) == Answer(200, {"taken": 3})

    assert await agent.records.facts(agent.job.id, 1) == {"algo-1": told}


async def test_a_gap_ends_the_taking(agent: Agent) -> None:
    told = facts(Kind.STARTED, Kind.DOWNLOADING, Kind.TRAINING)
    assert await agent.send_facts(lines(told[0], told[2])) == Answer(200, {"taken": 1})
    assert await agent.records.facts(agent.job.id, 1) == {"algo-1": told[:1]}


async def test_metrics_that_are_no_number_do_not_hold_up_the_journal(agent: Agent) -> None:
    points = [["loss", float("nan"), 1.0], ["acc", 0.5, 1.0], ["big", float("inf"), 2.0]]
    answer = await agent.send_facts([{"n": 1, "at": 1.0, "kind": "metrics", "points": points}])
    assert answer == Answer(200, {"taken": 1})
    assert [m.name for m in await agent.records.final_metrics(agent.job.id)] == ["acc"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "Expecting value"),
        (b"\xff", "decode"),
        (b"[]", 'a report is {"facts": [...]}'),
        (b'{"fact": []}', 'a report is {"facts": [...]}'),
        (b'{"facts": {}}', 'a report is {"facts": [...]}'),
        (b'{"facts": [7]}', "a fact is a JSON object; found 7"),
        (b'{"facts": [{"at": 1, "kind": "started"}]}', "a fact needs n"),
        (b'{"facts": [{"n": 1, "kind": "started"}]}', "fact 1 needs at"),
        (b'{"facts": [{"n": 1, "at": 1, "kind": "born"}]}', "'born' is not a valid Kind"),
        (b'{"facts": [{"n": 1, "at": 1, "kind": "metrics"}]}', "fact 1 needs points"),
        (
            b'{"facts": [{"n": 1, "at": 1, "kind": "metrics", "points": [["a", "b", 1]]}]}',
            "fact 1 needs points",
        ),
        (b'{"facts": [{"n": 1, "at": 1, "kind": "exited"}]}', "fact 1 needs exit_code"),
        (
            b'{"facts": [{"n": 1, "at": 1, "kind": "ended", "outcome": "fine"}]}',
            "'fine' is not a valid Outcome",
        ),
        (b"[" * 100_000, "maximum recursion"),
    ],
)
async def test_malformed_facts_are_refused_whole(agent: Agent, body: bytes, says: str) -> None:
    answer = await agent.send_facts(body)
    assert (answer.status, answer.body["code"]) == (400, "ValidationException")
    assert says in answer.body["message"]
    assert await agent.records.facts(agent.job.id, 1) == {}


async def test_half_characters_do_not_hold_up_the_journal(agent: Agent) -> None:
    line = {"n": 1, "at": 1.0, "kind": "ended", "outcome": "failed", "reason": "no \udc80.py"}
    assert (await agent.send_facts([line])).body == {"taken": 1}
    (fact,) = (await agent.records.facts(agent.job.id, 1))["algo-1"]
    assert fact.detail["reason"] == "no ?.py"


@pytest.mark.parametrize("at", ["1e300", "-1", "NaN", "Infinity", "9" * 400])
async def test_a_time_that_no_calendar_has_is_refused(agent: Agent, at: str) -> None:
    body = f'{{"facts": [{{"n": 1, "at": {at}, "kind": "started"}}]}}'.encode()
    assert (await agent.send_facts(body)).status == 400


async def test_log_bytes_go_to_the_stream_of_the_attempt(agent: Agent) -> None:
    assert await agent.send_log(b"one\n", 0) == Answer(200, {"taken": 4})
    assert await agent.send_log(b"one\ntwo\n", 0) == Answer(200, {"taken": 8})
    assert await agent.send_log(b"late\n", 20) == Answer(200, {"taken": 8})
    assert await agent.logs.held(names.TRAINING_LOG_GROUP, STREAM) == 8


@pytest.mark.parametrize("offset", ["", "-1", "1.5", "x", "\u0661"])
async def test_a_log_without_a_true_offset_is_refused(agent: Agent, offset: str) -> None:
    answer = await agent.send_log(b"one\n", offset)
    assert (answer.status, answer.body["code"]) == (400, "ValidationException")


@pytest.mark.parametrize("token", ["", "wrong", names.report_token(SECRET, "other.1.algo-1")])
async def test_a_node_needs_its_own_token(agent: Agent, token: str) -> None:
    for answer in (
        await agent.send_facts(lines(*facts(Kind.STARTED)), token=token),
        await agent.send_log(b"one\n", 0, token=token),
    ):
        assert (answer.status, answer.body["code"]) == (401, "AccessDeniedException")
    assert await agent.records.facts(agent.job.id, 1) == {}
    assert await agent.logs.held(names.TRAINING_LOG_GROUP, STREAM) == 0


@pytest.mark.parametrize("node", ["gone.1.algo-1", "gone", "gone.x.algo-1", "gone.1.", ".1.algo-1"])
async def test_a_node_of_no_job_is_not_found(agent: Agent, node: str) -> None:
    for answer in (
        await agent.send_facts(lines(*facts(Kind.STARTED)), node=node),
        await agent.send_log(b"one\n", 0, node=node),
    ):
        assert (answer.status, answer.body["code"]) == (404, "ResourceNotFound")


def over(number: int, started: datetime) -> PastAttempt:
    ended = started + timedelta(minutes=1)
    end = AttemptEnd.INTERRUPTED
    return PastAttempt(number=number, backend="local", started=started, ended=ended, end=end)


@pytest.mark.parametrize("again", [True, False])
async def test_late_bytes_of_a_former_attempt_go_to_its_own_stream(
    agent: Agent, again: bool
) -> None:
    assert await agent.send_log(b"one\n", 0) == Answer(200, {"taken": 4})
    later = NOON + timedelta(minutes=9)
    new = replace(
        agent.job,
        past=(over(1, NOON), over(2, later)),
        attempt=Attempt(number=3, backend="local", started=later + timedelta(minutes=9))
        if again
        else None,
    )
    assert await agent.records.swap(agent.job, new)
    assert await agent.send_log(b"two\n", 4) == Answer(200, {"taken": 8})
    second = names.node_id(agent.job.id, 2, "algo-1")
    assert await agent.send_log(b"other\n", 0, node=second) == Answer(200, {"taken": 6})
    assert await agent.logs.held(names.TRAINING_LOG_GROUP, STREAM) == 8
    stream = names.log_stream("digits", "algo-1", later)
    assert await agent.logs.held(names.TRAINING_LOG_GROUP, stream) == 6


@pytest.mark.parametrize("number", [None, 2])
async def test_the_log_of_an_attempt_that_never_was_is_not_taken(
    agent: Agent, number: int | None
) -> None:
    now = Attempt(number=number, backend="local", started=NOON) if number else None
    assert await agent.records.swap(agent.job, replace(agent.job, attempt=now))
    answer = await agent.send_log(b"one\n", 0)
    assert answer.status == 404
    assert "digits has no attempt 1" in answer.body["message"]


async def test_too_large_a_report_is_refused_before_it_is_read_whole(agent: Agent) -> None:
    for answer in (
        await agent.send_facts(b"x" * (MAX_FACTS_BYTES + 1)),
        await agent.send_log(b"x" * (MAX_LOG_BYTES + 1), 0),
    ):
        assert (answer.status, answer.body["code"]) == (413, "RequestTooLarge")
    assert await agent.send_log(b"x" * MAX_LOG_BYTES, 0) == Answer(200, {"taken": MAX_LOG_BYTES})


async def test_agents_that_send_slowly_keep_nobody_from_sending(agent: Agent) -> None:
    goes_on, data = asyncio.Event(), b"1 line\n" * 30_000
    slow = [asyncio.create_task(agent.send_log(data, 0, slowly=goes_on)) for _ in range(12)]
    assert await agent.send_log(data, 0) == Answer(200, {"taken": len(data)})
    assert not any(task.done() for task in slow)
    goes_on.set()
    assert {answer.status for answer in await asyncio.gather(*slow)} == {200}


class Full:
    """A log store whose disk is full."""

    async def append(self, group: str, stream: str, offset: int, data: bytes) -> int:
        raise StoreError("no space left on device")


class One:
    """Records of one job."""

    def __init__(self, only: TrainingJob) -> None:
        self.only = only

    async def by_id(self, job_id: str) -> TrainingJob | None:
        return self.only if job_id == self.only.id else None

    async def take(self, job_id: str, attempt: int, host: str, facts: Any) -> int | None:
        raise StoreError("no space left on device")


async def test_a_store_that_refuses_asks_the_agent_to_come_again(agent: Agent) -> None:
    agent.reports = Reports(records=One(agent.job), logs=Full(), secret=SECRET)
    for answer in (
        await agent.send_facts(lines(*facts(Kind.STARTED))),
        await agent.send_log(b"one\n", 0),
    ):
        assert answer == Answer(
            503, {"code": "ServiceUnavailable", "message": "no space left on device"}
        )

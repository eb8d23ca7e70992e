"""Somebody who watches jobs by AwaitTrainingJobs, called as the wire calls it."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from trainshed.api.trainshed.awaiting import AwaitTraining
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.feed import JobFeed
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.records_suite import REGION
from trainshed.wire.message import Call, Reply, stays
from trainshed.wire.model import load
from trainshed.wire.protocols import HttpRequest
from trainshed.wire.protocols.json import parse, render

MODEL, OPERATION = load("trainshed"), "AwaitTrainingJobs"


class Yard:
    """A server's records, and what tells of their changes."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.database = database
        self.changes = InProcessChanges()
        self.records = SqlTrainingRecords(database, self.changes)
        self.start()

    def start(self) -> None:
        """Be the next server over the same records, where there was one."""
        self.stopping = asyncio.Event()
        self.awaiting = AwaitTraining(
            feed=JobFeed(self.database), changes=self.changes, stopping=self.stopping
        )

    async def ask(
        self,
        token: str = "",
        *,
        region: str = REGION,
        gone: Callable[[], Coroutine[Any, Any, None]] = stays,
        **params: Any,
    ) -> dict[str, Any]:
        """Return an answer, held against the model, with the headers sent besides."""
        asked = {**({"Token": token} if token else {}), **params}
        body = json.dumps(asked).encode()
        call = Call(
            service="trainshed",
            operation=OPERATION,
            params=parse(MODEL, OPERATION, HttpRequest(method="POST", path="/", body=body)),
            region=region,
            access_key="key",
            request_id="request",
            gone=gone,
        )
        answer = await self.awaiting.await_training_jobs(call)
        reply = answer if isinstance(answer, Reply) else Reply(result=answer)
        render(MODEL, OPERATION, reply, "request")
        return {**reply.result, "headers": reply.headers}

    async def token(self) -> str:
        """Return the token of somebody who was told all there is."""
        token, more = "", True
        while more:
            answer = await self.ask(token, WaitSeconds=0, MaxResults=1000)
            token, more = answer["Token"], answer["HasMore"]
        return token


def told(answer: Mapping[str, Any]) -> list[str]:
    """Return what an answer names, in its order."""
    return [
        each["TrainingJobName"] + (" gone" if each["Deleted"] else "")
        for each in answer["TrainingJobSummaries"]
    ]


async def settled(*waiting: asyncio.Task[Any]) -> None:
    """Return once tasks have begun to wait."""
    for _ in range(20):
        await asyncio.sleep(0)
    assert not any(each.done() for each in waiting)

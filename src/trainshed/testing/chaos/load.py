"""The clients of a chaos run: boto3 as everybody has it, with its normal retries."""

import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

import boto3
import botocore.session
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from trainshed.testing.chaos.book import Book, Call, Promise
from trainshed.testing.chaos.orders import (
    BUCKET,
    LOCAL,
    LOCAL_KINDS,
    SIMULATED,
    SIMULATED_KINDS,
    order,
)
from trainshed.testing.chaos.storing import Storing
from trainshed.testing.server import Server
from trainshed.wire.model import OWN_MODELS

OVER: Final = frozenset({"Completed", "Failed", "Stopped"})
_MOST_OPEN: Final = {LOCAL: 5, SIMULATED: 10}
_PATIENCE: Final = 20
"""After so many calls that failed a user starts anew: boto3 has tokens for its retries, which are
used up by servers that are away for long, and are not had back soon."""
_REFUSALS: Final = frozenset(
    {
        *("ValidationException", "ResourceInUse", "ResourceNotFound", "ResourceNotFoundException"),
        *("NoSuchKey", "NoSuchUpload", "NoSuchBucket", "BucketAlreadyOwnedByYou", "404"),
    }
)


class Clients:
    """One user's boto3 clients, at one address."""

    def __init__(self, server: Server) -> None:
        """Make them; nothing is sent."""
        access_key, secret_key = server.keys
        session = botocore.session.get_session()
        session.get_component("data_loader").search_paths.append(str(OWN_MODELS))
        made = boto3.Session(
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name="us-east-1",
            botocore_session=session,
        )
        self.sagemaker, self.s3, self.logs, self.own = (
            made.client(name, endpoint_url=server.url)
            for name in ("sagemaker", "s3", "logs", "trainshed")
        )


class User:
    """Asks for jobs, and about them, one call after the other."""

    def __init__(self, name: str, book: Book, server: Server, outside: Path, seed: str) -> None:
        """Ask nothing yet; ``outside`` is where programs leave their notes."""
        self._name = name
        self._book = book
        self._server = server
        self._outside = outside
        self._chance = Random(f"{seed}/{name}")  # noqa: S311
        self._clients = Clients(server)
        self._storing = Storing(name, BUCKET, book, self._chance)
        self._made = 0
        self._failed = 0

    def run(self, over: threading.Event) -> None:
        """Go on until it is over."""
        doings: dict[Callable[[], None], int] = {
            self._create: 6,
            self._describe: 8,
            self._list: 2,
            self._stop: 1,
            self._drill: 2,
            self._read_log: 1,
            self._delete: 1,
            self._look_around: 1,
            self._store: 5,
        }
        while not over.wait(self._chance.uniform(0.05, 0.4)):
            (do,) = self._chance.choices(list(doings), list(doings.values()))
            do()

    def begin(self, bucket: str) -> None:
        """Make the bucket that all use."""
        make = self._clients.s3.create_bucket
        while self.call("CreateBucket", lambda: make(Bucket=bucket)) is None:
            time.sleep(0.2)

    def see_ends(self) -> None:
        """Ask about every job that nobody saw end."""
        for promise in self._book.open():
            self._see(promise)

    def call(self, operation: str, do: Callable[[], Any]) -> Any:
        """Return a call's answer; None where it failed, or was refused with reason."""
        began = time.monotonic()
        try:
            answer = do()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _REFUSALS:
                self._book.answered(operation)
                return code
            return self._note_failure(operation, began, error)
        except (BotoCoreError, Boto3Error) as error:
            return self._note_failure(operation, began, error)
        self._book.answered(operation)
        return answer

    def _note_failure(self, operation: str, began: float, error: Exception) -> None:
        """Write it down; wait for whoever is away, as people do."""
        now = time.monotonic()
        text = f"{type(error).__name__}: {error}"[:400]
        self._book.failed(Call(operation=operation, began=began, ended=now, error=text))
        self._failed += 1
        if self._failed % _PATIENCE == 0:
            self._clients = Clients(self._server)
        time.sleep(self._chance.uniform(0.1, 0.5))

    def _create(self) -> None:
        backend = self._chance.choice((LOCAL, SIMULATED))
        if len(self._book.open(backend)) >= _MOST_OPEN[backend]:
            return
        kinds = LOCAL_KINDS if backend == LOCAL else SIMULATED_KINDS
        kind = self._chance.choice(kinds)
        self._made += 1
        asked = order(f"{self._name}-{self._made}-{kind}", kind, self._chance, self._outside)
        if asked.data:
            put = {"Bucket": BUCKET, "Key": asked.key, "Body": asked.data}
            if self.call("PutObject", lambda: self._clients.s3.put_object(**put)) is None:
                return
        promise = self._book.add(asked)
        create = self._clients.sagemaker.create_training_job
        answer = self.call("CreateTrainingJob", lambda: create(**asked.request))
        promise.answered = isinstance(answer, dict)
        if isinstance(answer, str):  # no name of ours is ever taken, and no request is wrong
            now = time.monotonic()
            text = f"{answer}, of a request that can't be refused: {asked.name}"
            self._book.failed(Call(operation="CreateTrainingJob", began=now, ended=now, error=text))

    def _describe(self) -> None:
        if (promise := self._any()) is not None:
            self._see(promise)

    def _see(self, promise: Promise) -> None:
        name = promise.order.name
        told = self.call(
            "DescribeTrainingJob",
            lambda: self._clients.sagemaker.describe_training_job(TrainingJobName=name),
        )
        if isinstance(told, dict) and told["TrainingJobStatus"] in OVER:
            promise.ended = told["TrainingJobStatus"]

    def _list(self) -> None:
        asked = {"MaxResults": 20, "SortBy": "CreationTime", "SortOrder": "Descending"}
        self.call("ListTrainingJobs", lambda: self._clients.sagemaker.list_training_jobs(**asked))

    def _stop(self) -> None:
        promise = self._any()
        if promise is None:
            return
        name = promise.order.name
        promise.stop_asked = True
        answer = self.call(
            "StopTrainingJob",
            lambda: self._clients.sagemaker.stop_training_job(TrainingJobName=name),
        )
        promise.stop_answered = promise.stop_answered or isinstance(answer, dict)

    def _drill(self) -> None:
        spots = [each for each in self._book.open() if each.order.kind == "spot"]
        if not spots:
            return
        asked: dict[str, Any] = {"TrainingJobName": self._chance.choice(spots).order.name}
        if self._chance.random() < 0.5:
            asked |= {"Kind": "SuddenLoss"}
        else:
            asked |= {"Kind": "Notice", "NoticeInSeconds": self._chance.randint(1, 4)}
        self.call("DrillTrainingJob", lambda: self._clients.own.drill_training_job(**asked))

    def _read_log(self) -> None:
        if (promise := self._any()) is None:
            return
        asked = {
            "logGroupName": "/aws/sagemaker/TrainingJobs",
            "logStreamNamePrefix": f"{promise.order.name}/",
        }
        self.call("DescribeLogStreams", lambda: self._clients.logs.describe_log_streams(**asked))

    def _delete(self) -> None:
        """Delete one of the jobs that are over, now and then."""
        with self._book.lock:
            over = [p for p in self._book.promises.values() if p.ended and not p.delete_asked]
        if len(over) < 10:
            return
        promise = self._chance.choice(over)
        name = promise.order.name
        promise.delete_asked = True
        answer = self.call(
            "DeleteTrainingJob",
            lambda: self._clients.sagemaker.delete_training_job(TrainingJobName=name),
        )
        promise.delete_answered = isinstance(answer, dict)

    def _store(self) -> None:
        self._storing.act(self.call, self._clients.s3)

    def _look_around(self) -> None:
        """Ask what only people ask: the queue, the metrics, why a job waits."""
        self.call("DescribeQueue", self._clients.own.describe_queue)
        if (promise := self._any()) is not None:
            name = promise.order.name
            self.call(
                "ExplainTrainingJob",
                lambda: self._clients.own.explain_training_job(TrainingJobName=name),
            )
        try:
            with urllib.request.urlopen(f"{self._server.url}/metrics", timeout=10) as answer:  # noqa: S310
                answer.read()
        except OSError:
            return  # no API call: nobody promises that this one is tried again

    def _any(self) -> Promise | None:
        found = self._book.open()
        return self._chance.choice(found) if found else None

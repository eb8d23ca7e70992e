"""A program that watches all jobs by AwaitTrainingJobs, as the operator does."""

import threading
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from tests.journeys.shed import Shed

from trainshed.wire.model import OWN


class Watcher:
    """Calls again and again, from one thread, and keeps what it was told of each job."""

    def __init__(self, shed: Shed, seconds: int = 20) -> None:
        self._seconds = seconds
        access_key, secret_key = shed.server.keys
        self._client = boto3.Session().client(
            OWN,
            endpoint_url=shed.server.url,
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5),
        )
        self.told: dict[str, list[str]] = {}
        """The statuses of each job, in order, without repetitions; "gone" at the end of one."""
        self.calls = 0
        self.begun = 0
        """How often all jobs were told."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._thread.join()
        self._client.close()

    def end(self) -> None:
        """Ask no further, once the present call is answered."""
        self._over.set()

    def last(self, name: str) -> str:
        return self.told.get(name, [""])[-1]

    def _watch(self) -> None:
        token: dict[str, str] = {}
        while not self._over.is_set():
            try:
                answer = self._client.await_training_jobs(**token, WaitSeconds=self._seconds)
            except (BotoCoreError, ClientError):
                self._over.wait(0.05)  # no server is there, or it stops
                continue
            token = {"Token": answer["Token"]}
            self.calls += 1
            self.begun += answer["StartedOver"]
            for each in answer["TrainingJobSummaries"]:
                self._note(each)

    def _note(self, each: dict[str, Any]) -> None:
        statuses = self.told.setdefault(each["TrainingJobName"], [])
        status = "gone" if each["Deleted"] else each["TrainingJobStatus"]
        if not statuses or statuses[-1] != status:
            statuses.append(status)

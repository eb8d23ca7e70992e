"""AwaitTrainingJobs through boto3, which knows it from our own model, and a real front."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from tests.api.sagemaker.shed import NOON, Shed, asked
from tests.api.serving import KEYS, Server, serving
from tests.api.trainshed.watcher import told

from trainshed.api.operations import offered
from trainshed.api.trainshed.awaiting import AwaitTraining
from trainshed.stores.records.feed import JobFeed
from trainshed.wire.message import Call
from trainshed.wire.model import OWN, OWN_MODELS


@dataclass(frozen=True)
class Clients:
    """Of one server."""

    own: Any
    sagemaker: Any


def own(server: Server, **config: Any) -> Any:
    """Return a client of our own service."""
    access_key, secret_key = next(iter(KEYS.items()))
    return boto3.Session().client(
        OWN,
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DATA_PATH", str(OWN_MODELS))


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[Clients]:
    shed = Shed(tmp_path)
    awaiting = AwaitTraining(
        feed=JobFeed(shed.database), changes=shed.changes, stopping=asyncio.Event()
    )
    with serving(offered(shed.operations, awaiting.operations())) as server:
        clients = Clients(own(server), server.client("sagemaker"))
        yield clients
        clients.own.close()
        clients.sagemaker.close()
    shed.close()


def test_who_waits_is_told_of_what_others_do(clients: Clients) -> None:
    first = clients.own.await_training_jobs()
    assert (told(first), first["StartedOver"], first["HasMore"]) == ([], True, False)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(clients.own.await_training_jobs, Token=first["Token"])
        arn = clients.sagemaker.create_training_job(**asked())["TrainingJobArn"]
        created = waiting.result(timeout=60)
        assert created["TrainingJobSummaries"] == [
            {
                "TrainingJobName": "digits",
                "TrainingJobArn": arn,
                "CreationTime": NOON,
                "LastModifiedTime": NOON,
                "TrainingJobStatus": "InProgress",
                "SecondaryStatus": "Starting",
                "Deleted": False,
            }
        ]
        waiting = pool.submit(clients.own.await_training_jobs, Token=created["Token"])
        clients.sagemaker.stop_training_job(TrainingJobName="digits")
        (change,) = waiting.result(timeout=60)["TrainingJobSummaries"]
        assert (change["TrainingJobStatus"], change["SecondaryStatus"]) == ("Stopping", "Stopping")


def test_bad_input_is_told_in_the_services_words(clients: Clients) -> None:
    invalid = clients.own.exceptions.ValidationException
    with pytest.raises(invalid, match="'waitSeconds' failed to satisfy constraint"):
        clients.own.await_training_jobs(WaitSeconds=21)
    with pytest.raises(invalid, match="'maxResults' failed to satisfy constraint"):
        clients.own.await_training_jobs(MaxResults=1001)


def test_that_a_client_has_gone_is_told_to_the_operation_it_waits_for() -> None:
    left = threading.Event()

    async def waits(call: Call) -> dict[str, Any]:
        await call.gone()
        left.set()
        return {"Token": "t", "TrainingJobSummaries": [], "StartedOver": False, "HasMore": False}

    with serving({(OWN, "AwaitTrainingJobs"): waits}) as server:
        client = own(server, read_timeout=0.1)
        with pytest.raises(ReadTimeoutError):
            client.await_training_jobs()
        assert left.wait(timeout=60)
        client.close()

"""Our own service through boto3, which knows it from the folder that ``aws-model`` prints."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.api.serving import KEYS, Server, serving
from tests.api.trainshed.rows import Rows, S, at

from trainshed.api.trainshed.operations import Places, operations
from trainshed.domain.garbage import Finding
from trainshed.domain.training import Drill
from trainshed.drivers.base import Capabilities
from trainshed.wire.model import OWN, OWN_MODELS, load

ACCOUNT = "123456789012"
LEFT = (
    Finding(kind="node", name="abc.1.algo-1", backend="docker", reason="its job is over", size=7),
    Finding(kind="network", name="trainshed-abc", trouble="it is in use"),
)
AWS = Path(sys.executable).with_name("aws")


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def server(rows: Rows) -> Iterator[Server]:
    async def collect(removes: bool) -> tuple[Finding, ...]:
        return tuple(replace(each, removed=removes and not each.trouble) for each in LEFT)

    backends = {"local": Capabilities(max_nodes=4), "docker": Capabilities(max_nodes=2)}
    places = Places(backends=backends, default="local")
    table = operations(rows, ACCOUNT, lambda: at(100), places, collect)
    with serving(table) as served:
        yield served


@pytest.fixture
def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_DATA_PATH", str(OWN_MODELS))
    made = boto3.Session().client(
        OWN,
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=next(iter(KEYS)),
        aws_secret_access_key=next(iter(KEYS.values())),
    )
    yield made
    made.close()


def refused(call: Any, **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call(**params)
    told = error.value.response["Error"]
    return told["Code"], told["Message"]


def test_boto3_reads_the_model_as_we_do(client: Any) -> None:
    theirs, ours = client.meta.service_model, load(OWN)
    assert set(theirs.operation_names) == set(ours.operations)
    assert set(theirs.shape_names) <= set(ours.shapes)
    assert theirs.resolved_protocol == ours.protocol == "json"
    assert theirs.signing_name == ours.signing_name == OWN
    assert theirs.metadata["targetPrefix"] == ours.target_prefix
    for name in ours.operations:
        assert theirs.operation_model(name).documentation
        assert ours.validation_code(name) == "ValidationException"


def test_a_job_is_explained(rows: Rows, client: Any) -> None:
    rows.trains("digits", project="vision", priority=70)
    told = client.explain_training_job(TrainingJobName="digits")
    assert (told["Project"], told["Priority"], told["Preemptible"]) == ("vision", 70, False)
    assert [each["Phase"] for each in told["Phases"]] == ["Queue", "Capacity"]
    assert told["CreationTime"] == at(0)


def test_a_job_that_is_not_there_is_told_as_everywhere(client: Any) -> None:
    missing = ("ValidationException", "Requested resource not found.")
    assert refused(client.explain_training_job, TrainingJobName="nobody") == missing
    assert refused(client.drill_training_job, TrainingJobName="no", Kind="Notice") == missing


def test_bad_input_is_told_in_the_services_words(rows: Rows, client: Any) -> None:
    rows.trains("digits", spot=True)
    code, text = refused(client.explain_training_job, TrainingJobName="no_name")
    assert code == "ValidationException"
    assert "Value 'no_name' at 'trainingJobName' failed to satisfy constraint" in text
    _, text = refused(client.drill_training_job, TrainingJobName="digits", Kind="Fire")
    assert "'kind' failed to satisfy constraint: Member must satisfy enum value set" in text
    _, text = refused(
        client.drill_training_job, TrainingJobName="digits", Kind="Notice", NoticeInSeconds=3601
    )
    assert "at 'noticeInSeconds' failed to satisfy constraint" in text
    _, text = refused(
        client.drill_training_job, TrainingJobName="digits", Kind="SuddenLoss", NoticeInSeconds=5
    )
    assert text.startswith("Invalid NoticeInSeconds. It is only supported when Kind is Notice")
    _, text = refused(
        client.drill_training_job, TrainingJobName="digits", Kind="Notice", Host="algo-2"
    )
    assert "Value 'algo-2' at 'host'" in text


@pytest.mark.parametrize(
    ("asked", "notice"),
    [
        ({"Kind": "Notice"}, 120.0),
        ({"Kind": "Notice", "NoticeInSeconds": 30}, 30.0),
        ({"Kind": "SuddenLoss"}, 0.0),
    ],
)
def test_a_drill_is_a_wish_in_the_row(
    rows: Rows, client: Any, asked: dict[str, Any], notice: float
) -> None:
    before = rows.trains("digits", nodes=2, spot=True)
    rows.beaten = 1
    told = client.drill_training_job(TrainingJobName="digits", Host="algo-2", **asked)
    assert (told["AttemptNumber"], told["Host"]) == (1, "algo-2")
    wish = Drill(wished=at(100), notice=notice, attempt=1, host="algo-2")
    assert rows.jobs[before.arn] == replace(before, drill=wish)
    told = client.explain_training_job(TrainingJobName="digits")["Drill"]
    assert (told["Status"], told["Host"]) == ("Asked", "algo-2")
    _, text = refused(client.drill_training_job, TrainingJobName="digits", Kind="Notice")
    assert "is under way" in text


def test_a_drill_needs_a_job_that_is_started_again(rows: Rows, client: Any) -> None:
    rows.trains("digits")
    _, text = refused(client.drill_training_job, TrainingJobName="digits", Kind="Notice")
    assert "EnableManagedSpotTraining, or attempts left in RetryStrategy" in text


def test_a_drill_needs_a_job_whose_program_runs(rows: Rows, client: Any) -> None:
    waiting = rows.waits("waiting")
    over = rows.trains("over").moved_to(S.FAILED, at=at(5))
    stopping = rows.trains("stopping").moved_to(S.STOPPING, at=at(5))
    for each in (waiting, over, stopping):
        rows.put(each)
        code, text = refused(client.drill_training_job, TrainingJobName=each.name, Kind="Notice")
        assert code == "ValidationException"
        assert f"the training job is in status {each.secondary.value}." in text
        assert rows.jobs[each.arn].drill is None


def test_what_is_left_is_told_and_removed_unless_it_is_a_dry_run(client: Any) -> None:
    dry = client.collect_garbage(DryRun=True)["Findings"]
    assert dry[0] == {
        "Kind": "node",
        "Name": "abc.1.algo-1",
        "Backend": "docker",
        "Reason": "its job is over",
        "Bytes": 7,
        "Removed": False,
    }
    done = client.collect_garbage()["Findings"]
    assert [each["Removed"] for each in done] == [True, False]
    assert done[1]["Trouble"] == "it is in use"


def test_the_aws_command_speaks_it_too(rows: Rows, server: Server) -> None:
    rows.waits("digits")
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_DATA_PATH": str(OWN_MODELS),
        "AWS_ENDPOINT_URL": server.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": next(iter(KEYS)),
        "AWS_SECRET_ACCESS_KEY": next(iter(KEYS.values())),
    }
    said = subprocess.run(
        [AWS, OWN, "describe-queue", "--output", "json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["WaitingJobs"][0]["TrainingJobName"] == "digits"

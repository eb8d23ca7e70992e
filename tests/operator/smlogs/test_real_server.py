"""The whole plugin against a real server, by the ways in which it gets there."""

import os
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.operator.smlogs.plugin import Plugin, kubeconfig

from trainshed.client.api import Api, Credentials
from trainshed.domain import pods
from trainshed.operator.smlogs import amazon
from trainshed.testing.api_server import ApiServer, path_of
from trainshed.testing.server import Server

GROUP = "/aws/sagemaker/TrainingJobs"
NOON = 1_767_268_800_000
SPEC = {"region": "us-east-2", "trainingJobName": "digits-cf1e"}
HEADING = (
    '"digits" has SageMaker TrainingJobName "digits-cf1e" in region "us-east-2", '
    'status "{}" and secondary status "{}"\n'
)


class Written:
    """The server, and how lines get there."""

    def __init__(self, server: Server) -> None:
        self.server = server
        key, secret = server.keys
        keys = Credentials(access_key=key, secret_key=secret, region="us-east-2")
        self.api = Api(server.url, keys, now=lambda: datetime.now(UTC))
        self.api.call("logs", "CreateLogGroup", {"logGroupName": GROUP})

    def begin(self, stream: str) -> None:
        asked = {"logGroupName": GROUP, "logStreamName": stream}
        self.api.call("logs", "CreateLogStream", asked)

    def write(self, stream: str, *lines: tuple[int, str]) -> None:
        events = [{"timestamp": NOON + ms, "message": text} for ms, text in lines]
        asked = {"logGroupName": GROUP, "logStreamName": stream, "logEvents": events}
        self.api.call("logs", "PutLogEvents", asked)

    def export(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have this process's AWS clients go to the server."""
        key, secret = self.server.keys
        monkeypatch.setenv("AWS_ENDPOINT_URL", self.server.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        amazon.session.cache_clear()

    def secret(self, **more: str) -> dict[str, Any]:
        key, secret = self.server.keys
        texts = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, **more}
        return {"data": {name: b64encode(text.encode()).decode() for name, text in texts.items()}}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    with Server(tmp_path_factory.mktemp("server")) as server:
        found = Written(server)
        for host in ("algo-1", "algo-2"):
            found.begin(f"digits-cf1e/{host}-100")
        found.write("digits-cf1e/algo-1-100", (0, "begin"), (449, "epoch 1\x0bhalf"))
        found.write("digits-cf1e/algo-2-100", (20, "two begins"))
        yield found
        found.api.close()


@pytest.fixture
def plugin(api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    status = {"trainingJobStatus": "InProgress", "secondaryStatus": "Training"}
    api.put("trainingjobs", "lab", "digits", spec=SPEC, status=status)
    found = Plugin(tmp_path, kubeconfig(tmp_path / "config", api.url))
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)  # botocore reads it there
    amazon.session.cache_clear()
    return found


BARE = ("--timestamps=false", "--hide-log-stream-name")
WHOLE = [
    "digits-cf1e/algo-1-100 2026-01-01 12:00:00 +0000 UTC begin",
    "digits-cf1e/algo-2-100 2026-01-01 12:00:00.02 +0000 UTC two begins",
    "digits-cf1e/algo-1-100 2026-01-01 12:00:00.449 +0000 UTC epoch 1\x0bhalf",
]


def served(api: ApiServer, written: Written) -> None:
    """Have the server stand behind a Service, and a Secret tell of it."""
    api.services["trainshed-system", "trainshed", 7070] = written.server.url
    secret = written.secret(service="trainshed")
    api.put("secrets", "trainshed-system", "trainshed-logs", **secret)


def test_lines_come_through_the_api_server_without_keys_of_ones_own(
    api: ApiServer, written: Written, plugin: Plugin
) -> None:
    served(api, written)
    process = plugin.started("trainingjob", "digits")
    out, err = process.communicate(timeout=60)
    assert err == HEADING.format("InProgress", "Training")
    assert out == "\n".join(WHOLE) + "\n"
    assert process.returncode == 0


def test_a_token_for_the_cluster_and_the_servers_signature_are_not_in_each_others_way(
    api: ApiServer, written: Written, plugin: Plugin
) -> None:
    served(api, written)
    api.tokens = {"mine"}
    shown = plugin.run("tj", "digits", "--token", "mine", "--tail", "1", "--timestamps=false")
    assert shown.stdout == "digits-cf1e/algo-1-100 epoch 1\x0bhalf\n"


def test_an_endpoint_that_this_machine_reaches_is_asked_with_its_own_keys(
    api: ApiServer, written: Written, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {**SPEC, "sageMakerEndpoint": written.server.url}
    api.put("trainingjobs", "lab", "digits", spec=spec)
    # Whose keys are in the Secret is another matter: they are for the server that it tells of.
    api.put("secrets", "lab", "trainshed-logs", **written.secret(url="http://127.0.0.1:1"))
    without = plugin.run("tj", "digits")
    assert without.returncode == 1
    assert "there are no keys for it" in without.stderr
    written.export(monkeypatch)
    shown = plugin.run("tj", "digits", "--timestamps=false", "-p", "algo-2")
    assert shown.stdout == "digits-cf1e/algo-2-100 two begins\n"


def test_an_endpoint_within_the_cluster_is_asked_through_the_api_server(
    api: ApiServer, written: Written, plugin: Plugin
) -> None:
    served(api, written)
    spec = {**SPEC, "sageMakerEndpoint": "http://trainshed.trainshed-system.svc:7070"}
    api.put("trainingjobs", "lab", "digits", spec=spec)
    since = ("--since-time", "2026-01-01T12:00:00.02Z")
    assert plugin.run("tj", "digits", *since, *BARE).stdout == "two begins\nepoch 1\x0bhalf\n"


def test_pods_are_read_where_no_server_answers(
    api: ApiServer, written: Written, plugin: Plugin
) -> None:
    served(api, written)
    api.services.clear()
    labels = {pods.JOB_LABEL: "digits-cf1e", pods.NODE_LABEL: "0123456789ab.1.algo-1"}
    api.put("pods", "lab", "ts-1", metadata={"labels": labels})
    api.logs[path_of("pods", "lab", "ts-1")] = [("2026-01-01T12:00:00.5Z", "by the kubelet")]
    assert plugin.run("tj", "digits", "--timestamps=0").stdout == (
        f"digits-cf1e/algo-1-{NOON} by the kubelet\n"
    )


def test_this_machines_aws_is_the_last_resort(
    api: ApiServer, written: Written, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    written.export(monkeypatch)
    assert plugin.run("tj", "digits", *BARE).stdout == "begin\ntwo begins\nepoch 1\x0bhalf\n"


def test_who_was_asked_and_what_each_said_is_told(
    api: ApiServer, written: Written, plugin: Plugin
) -> None:
    served(api, written)
    api.forbidden = {".*/services/.*", ".*/pods"}
    shown = plugin.run("tj", "digits")
    assert shown.returncode == 1
    assert "the Service trainshed in trainshed-system (through the API server): Forbidden" in (
        shown.stderr
    )
    assert "pods in lab: User" in shown.stderr
    assert "this machine has no AWS credentials" in shown.stderr


def test_keys_that_the_server_does_not_know_are_told_of(
    api: ApiServer, written: Written, plugin: Plugin
) -> None:
    served(api, written)
    secret = written.secret(service="trainshed", AWS_SECRET_ACCESS_KEY="wrong")
    api.put("secrets", "trainshed-system", "trainshed-logs", **secret)
    shown = plugin.run("tj", "digits")
    assert "InvalidSignatureException" in shown.stderr


def test_following_ends_with_the_job_and_as_it_did(
    api: ApiServer, written: Written, plugin: Plugin
) -> None:
    served(api, written)
    stream = "another/algo-1-100"
    job = api.put("trainingjobs", "lab", "digits", spec={"region": "us-east-2"})
    process = plugin.started("tj", "digits", "--follow", "--timestamps=false")
    assert process.stderr is not None
    assert process.stdout is not None
    assert "has not started yet; waiting for it" in process.stderr.readline()
    job["spec"] = {"region": "us-east-2", "trainingJobName": stream.partition("/")[0]}
    job["status"] = {"trainingJobStatus": "InProgress", "secondaryStatus": "Starting"}
    assert 'secondary status "Starting"' in process.stderr.readline()
    assert "waiting for its first lines" in process.stderr.readline()
    written.begin(stream)
    written.write(stream, (0, "first"))
    assert process.stdout.readline() == f"{stream} first\n"
    written.write(stream, (1, "last"))
    job["status"] = {
        "trainingJobStatus": "Failed",
        "secondaryStatus": "Failed",
        "additional": "AlgorithmError: it broke",
    }
    out, err = process.communicate(timeout=60)
    assert out == f"{stream} last\n"
    assert process.returncode == 3
    assert '"digits" Failed: AlgorithmError: it broke' in err


def test_who_stops_listening_is_no_error(api: ApiServer, written: Written, plugin: Plugin) -> None:
    served(api, written)
    process = plugin.started("tj", "digits", "-f")
    assert process.stdout is not None
    assert process.stdout.readline() == f"{WHOLE[0]}\n"
    process.stdout.close()
    written.begin("digits-cf1e/algo-3-100")
    written.write("digits-cf1e/algo-3-100", (5000, "more"))
    assert process.wait(60) == 141
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()

"""What a real server tells those who watch it."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from tests.journeys.shed import Shed, until

from trainshed.api.families import FAMILIES
from trainshed.testing.server import Server

SETTINGS = """
log_level = "info"
log_format = "json"
[backends.docker]
engine = "unix:///nowhere/engine.sock"
"""


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    folder = tmp_path_factory.mktemp("watched")
    with Server(folder / "data", SETTINGS) as server:
        yield Shed(server, folder)


def asked(shed: Shed, path: str) -> requests.Response:
    return requests.get(f"{shed.server.url}{path}", timeout=60)


def metrics(shed: Shed) -> dict[str, float]:
    """Return all samples, by name and labels as they are written."""
    answer = asked(shed, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = ",".join(f"{name}={text}" for name, text in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_a_server_that_answers_is_soon_ready_and_says_what_it_looked_at(shed: Shed) -> None:
    assert asked(shed, "/healthz").json()["status"] == "ok"
    until(lambda: asked(shed, "/readyz").status_code == 200, lambda: asked(shed, "/readyz").text)
    told = asked(shed, "/readyz")
    assert told.json()["ready"] is True
    assert told.headers["cache-control"] == "no-store"
    checks = told.json()["checks"]
    assert set(checks) >= {"records", "objects", "engine", "backend local", "backend docker"}
    docker = checks["backend docker"]
    assert (docker["ok"], docker["needed"]) == (False, False)
    assert "/nowhere/engine.sock" in docker["reason"]
    assert all(each["ok"] for name, each in checks.items() if name != "backend docker")


def test_a_server_that_can_keep_no_objects_is_alive_and_not_ready(shed: Shed) -> None:
    folder = shed.server.data / "objects"
    folder.rename(folder.with_name("away"))
    try:
        until(lambda: asked(shed, "/readyz").status_code == 503)
        told = asked(shed, "/readyz").json()
        assert told["ready"] is False
        assert "No such file" in told["checks"]["objects"]["reason"]
        assert told["checks"]["records"]["ok"] is True
        assert asked(shed, "/healthz").status_code == 200
    finally:
        folder.with_name("away").rename(folder)
    until(lambda: asked(shed, "/readyz").status_code == 200)


def test_a_job_leaves_its_marks_in_the_metrics_and_the_log(shed: Shed) -> None:
    name = shed.create("print('hello')")
    assert shed.ended(name)["TrainingJobStatus"] == "Completed"
    until(lambda: metrics(shed)["trainshed_owned_jobs{}"] == 0)
    found = metrics(shed)
    assert found["trainshed_training_jobs{status=Completed}"] == 1
    assert found["trainshed_attempts_total{backend=local,outcome=completed}"] == 1
    assert found["trainshed_phase_seconds_count{phase=Training}"] == 1
    assert found["trainshed_report_lag_seconds_count{}"] > 0
    assert found["trainshed_record_write_seconds_count{}"] > 0
    assert found["trainshed_scheduler{}"] == 1
    created = "operation=CreateTrainingJob,service=sagemaker,status=200"
    assert found[f"trainshed_requests_total{{{created}}}"] == 1
    assert found["trainshed_backend_nodes{backend=local}"] == 0
    assert found["trainshed_log_bytes{}"] > 0
    names = {sample.partition("{")[0] for sample in found}
    moves = [
        line["message"].removeprefix("the job is ")
        for line in map(json.loads, shed.server.said().splitlines())
        if line.get("job") == name and line["message"].startswith("the job is ")
    ]
    assert moves[-1] == "Completed"
    assert "Uploading" in moves or "Training" in moves
    counted = {family.name for family in FAMILIES if family.kind == "histogram"}
    assert {f"{each}_count" for each in counted} <= names


def test_what_the_engine_says_of_a_job_bears_the_job(shed: Shed) -> None:
    script = "import os, pathlib, time\nprint('up', flush=True)\n"
    script += "while not pathlib.Path(os.environ['GATE']).exists(): time.sleep(0.05)"
    name = shed.create(script, Environment={"GATE": str(shed.folder / "gate")})
    shed.until_line(name, "up")
    (agent,) = shed.server.agents().values()
    os.kill(agent, signal.SIGKILL)

    def said() -> list[dict[str, Any]]:
        lines = map(json.loads, shed.server.said().splitlines())
        return [line for line in lines if "vanished" in line["message"]]

    until(lambda: bool(said()), shed.server.said)
    (line,) = said()
    assert (line["job"], line["attempt"], line["backend"]) == (name, 1, "local")
    assert line["arn"].endswith(f":training-job/{name}")
    assert line["level"] == "warning"
    (shed.folder / "gate").touch()
    shed.until_status(name, "Completed", "Failed")


def test_who_signs_asks_for_a_bucket_of_that_name(shed: Shed) -> None:
    for name in ("metrics", "readyz"):
        shed.s3.create_bucket(Bucket=name)
        assert shed.s3.list_objects_v2(Bucket=name)["KeyCount"] == 0

"""Jobs that are stopped: by their user, in line, too late, by their time limit."""

from collections.abc import Iterator

import pytest
from tests.journeys.conftest import settings
from tests.journeys.shed import Shed, until

from trainshed.testing.server import Server

SAVES = """
import pathlib, signal, sys, time
def save(number, frame):
    print("asked to stop", flush=True)
    pathlib.Path("/opt/ml/model/checkpoint.txt").write_text("epoch 3")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("training", flush=True)
while True:
    time.sleep(0.05)
"""
STUBBORN = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, lambda *_: print("heard, and goes on", flush=True))
print("training", flush=True)
gate = pathlib.Path(os.environ["GATE"])
while not gate.exists():
    time.sleep(0.05)
pathlib.Path("/opt/ml/model/late.txt").write_text("finished after all")
"""


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    """A server with room for one node."""
    folder = tmp_path_factory.mktemp("narrow")
    with Server(folder / "data", settings(folder, max_nodes=1)) as server:
        yield Shed(server, folder)


def stop(shed: Shed, name: str) -> None:
    shed.sagemaker.stop_training_job(TrainingJobName=name)


def test_what_a_script_saves_when_it_is_stopped_is_its_model(shed: Shed) -> None:
    name = shed.create(SAVES)
    shed.until_line(name, "training")
    stop(shed, name)
    assert shed.describe(name)["TrainingJobStatus"] in {"Stopping", "Stopped"}
    told = shed.ended(name)
    assert (told["TrainingJobStatus"], told["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "FailureReason" not in told
    statuses = [each["Status"] for each in told["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Training", "Stopping", "Stopped"]
    assert shed.archive(name) == {"checkpoint.txt": b"epoch 3"}
    assert shed.lines(name)[-1] == "asked to stop"


def test_script_mode_passes_the_wish_on_to_the_script(shed: Shed) -> None:
    saves = shed.create_in_script_mode({"train.py": SAVES})
    knows_nothing = shed.create_in_script_mode(
        {"train.py": "import time; print('training', flush=True); time.sleep(600)"}
    )
    for name in (saves, knows_nothing):
        shed.until_line(name, "training")
        stop(shed, name)
    for name in (saves, knows_nothing):
        told = shed.ended(name)
        assert told["TrainingJobStatus"] == "Stopped"
        assert "FailureReason" not in told
    assert shed.archive(saves) == {"checkpoint.txt": b"epoch 3"}
    assert not shed.keys(f"output/{knows_nothing}/output/model")


def test_both_nodes_are_stopped_and_both_models_kept(shed: Shed) -> None:
    script = SAVES.replace("checkpoint.txt", "{socket.gethostname()}.txt").replace(
        'pathlib.Path("', 'pathlib.Path(f"'
    )
    name = shed.create(f"import socket\n{script}", nodes=2)
    for host in ("algo-1", "algo-2"):
        shed.until_line(name, "training", host)
    stop(shed, name)
    assert shed.ended(name)["TrainingJobStatus"] == "Stopped"
    assert shed.archive(name) == {"algo-1.txt": b"epoch 3", "algo-2.txt": b"epoch 3"}


def test_a_script_that_goes_on_is_given_its_time(shed: Shed) -> None:
    gate = shed.folder / "gate"
    name = shed.create(STUBBORN, Environment={"GATE": str(gate)})
    shed.until_line(name, "training")
    stop(shed, name)
    shed.until_line(name, "heard, and goes on")
    assert shed.describe(name)["TrainingJobStatus"] == "Stopping"
    with pytest.raises(shed.sagemaker.exceptions.ClientError, match="in status Stopping"):
        stop(shed, name)
    gate.touch()
    assert shed.ended(name)["TrainingJobStatus"] == "Stopped"
    assert shed.archive(name) == {"late.txt": b"finished after all"}
    assert shed.lines(name).count("heard, and goes on") == 1


def test_a_job_in_line_is_stopped_without_ever_running(narrow: Shed) -> None:
    first = narrow.create(SAVES)
    narrow.until_line(first, "training")
    waiting, behind = narrow.create("print('never')"), narrow.create("print('after all')")
    until(lambda: narrow.describe(waiting)["SecondaryStatus"] == "Pending")
    (*_, pending) = narrow.describe(waiting)["SecondaryStatusTransitions"]
    assert pending["StatusMessage"].startswith("Training job waiting for capacity")
    stop(narrow, waiting)
    told = narrow.ended(waiting)
    assert told["SecondaryStatus"] == "Stopped"
    assert "TrainingStartTime" not in told
    until(lambda: narrow.describe(behind)["SecondaryStatus"] == "Pending")
    stop(narrow, first)
    assert narrow.ended(first)["TrainingJobStatus"] == "Stopped"
    assert narrow.ended(behind)["TrainingJobStatus"] == "Completed"
    streams = narrow.logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{waiting}/"
    )
    assert streams["logStreams"] == []


def test_a_job_wider_than_the_place_fails_and_says_why(narrow: Shed) -> None:
    reason = narrow.failed(narrow.create("print('never')", nodes=2))
    assert reason.startswith("CapacityError: Unable to provision requested ML compute capacity.")
    assert "max_nodes" in reason


def test_a_job_that_is_over_cannot_be_stopped(shed: Shed) -> None:
    name = shed.create("print('done')")
    shed.ended(name)
    with pytest.raises(shed.sagemaker.exceptions.ClientError) as refused:
        stop(shed, name)
    assert refused.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "The request was rejected because the training job is in status Completed.",
    }
    with pytest.raises(shed.sagemaker.exceptions.ClientError, match="Requested resource not found"):
        stop(shed, "nobody")


def test_a_job_that_runs_too_long_is_stopped_and_its_model_kept(shed: Shed) -> None:
    name = shed.create(SAVES, StoppingCondition={"MaxRuntimeInSeconds": 1})
    told = shed.ended(name)
    assert told["TrainingJobStatus"] == "Stopped"
    assert told["SecondaryStatus"] == "MaxRuntimeExceeded"
    last = told["SecondaryStatusTransitions"][-1]
    assert last["StatusMessage"] == "Training job runtime exceeded MaxRuntimeInSeconds provided"
    assert told["TrainingTimeInSeconds"] >= 1
    assert shed.archive(name) == {"checkpoint.txt": b"epoch 3"}

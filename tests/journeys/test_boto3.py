"""One job and one pair of nodes, seen through boto3 from creation to deletion."""

import itertools
import socket
from dataclasses import dataclass
from typing import Any

import pytest
from tests.journeys.shed import BUCKET, IMAGE, ROLE, Shed, channel, read_json

SCRIPT = """
import json, os, pathlib, shutil, socket, sys, time
for step in range(3):
    print(f"step={step} loss={1 / (step + 1):.3f};", flush=True)
print("a warning of no weight", file=sys.stderr)
data, config = pathlib.Path("/opt/ml/input/data"), pathlib.Path("/opt/ml/input/config")
seen = {
    "config": {p.name: json.loads(p.read_text()) for p in config.iterdir()},
    "data": sorted(str(p.relative_to(data)) for p in data.rglob("*") if p.is_file()),
    "environment": dict(os.environ),
    "host": socket.gethostname(),
}
pathlib.Path("/opt/ml/output/data").mkdir(exist_ok=True)
pathlib.Path("/opt/ml/output/data/seen.json").write_text(json.dumps(seen))
weights = pathlib.Path("/opt/ml/model/sub")
weights.mkdir()
(weights / "weights.bin").write_bytes(bytes(range(256)) * 4096)
shutil.copy("/opt/ml/input/data/train/a.csv", "/opt/ml/model/a.csv")
"""

PAIR = """
import os, pathlib, socket, time
port, host = int(os.environ["PORT"]), socket.gethostname()
if host == "algo-1":
    with socket.create_server(("algo-1", port)) as listening:
        peer, _ = listening.accept()
        word = peer.recv(100).decode()
        peer.sendall(b"hello from algo-1")
    pathlib.Path("/opt/ml/model/heard-by-1").write_text(word)
else:
    while True:
        try:
            peer = socket.create_connection(("algo-1", port))
            break
        except ConnectionRefusedError:
            time.sleep(0.02)
    peer.sendall(f"hello from {host}".encode())
    pathlib.Path("/opt/ml/model/heard-by-2").write_text(peer.recv(100).decode())
    pathlib.Path("/opt/ml/output/data/from-2").write_text("2")
pathlib.Path("/opt/ml/model/resourceconfig").write_text(
    pathlib.Path("/opt/ml/input/config/resourceconfig.json").read_text())
print("done on", host)
"""


@dataclass(frozen=True)
class Finished:
    """A job that is over, and how it saw its world."""

    name: str
    arn: str
    told: dict[str, Any]
    seen: dict[str, Any]


@pytest.fixture(scope="module")
def finished(shed: Shed) -> Finished:
    shed.put({"data/a.csv": "1,2\n", "data/deep/b.csv": "3,4\n", "labels.txt": "yes\n"})
    name = shed.create(
        SCRIPT,
        algorithm={"MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+);"}]},
        HyperParameters={"lr": "0.1", "name": '"quoted"'},
        Environment={"COLOUR": "blue"},
        InputDataConfig=[
            channel("train", "data", ContentType="text/csv"),
            channel("labels", "labels.txt", InputMode="FastFile"),
        ],
        Tags=[{"Key": "team", "Value": "vision"}, {"Key": "cost", "Value": "7"}],
    )
    told = shed.ended(name)
    assert told["TrainingJobStatus"] == "Completed", told
    seen = read_json(shed.archive(name, "output")["seen.json"])
    return Finished(name, told["TrainingJobArn"], told, seen)


def test_describe_repeats_what_was_asked(shed: Shed, finished: Finished) -> None:
    told = finished.told
    assert told["TrainingJobName"] == finished.name
    assert finished.arn == f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{finished.name}"
    assert told["RoleArn"] == ROLE
    assert told["AlgorithmSpecification"]["TrainingImage"] == IMAGE
    assert told["HyperParameters"] == {"lr": "0.1", "name": '"quoted"'}
    assert told["Environment"] == {"COLOUR": "blue"}
    assert [each["ChannelName"] for each in told["InputDataConfig"]] == ["train", "labels"]
    assert told["OutputDataConfig"]["KmsKeyId"] == ""
    assert told["ResourceConfig"]["InstanceCount"] == 1
    assert told["StoppingCondition"] == {"MaxRuntimeInSeconds": 600}
    assert told["EnableManagedSpotTraining"] is False
    assert told["ModelArtifacts"] == {
        "S3ModelArtifacts": f"s3://{BUCKET}/output/{finished.name}/output/model.tar.gz"
    }
    assert "FailureReason" not in told


def test_transitions_tell_the_journey_in_order(finished: Finished) -> None:
    told = finished.told
    transitions = told["SecondaryStatusTransitions"]
    statuses = [each["Status"] for each in transitions]
    assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert told["SecondaryStatus"] == "Completed"
    assert all(each["StatusMessage"] for each in transitions)
    for one, following in itertools.pairwise(transitions):
        assert one["StartTime"] <= one["EndTime"] == following["StartTime"]
    order = ("CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime")
    times = [told[name] for name in order]
    assert times == sorted(times)
    assert told["CreationTime"] == transitions[0]["StartTime"]
    assert told["TrainingTimeInSeconds"] >= 1
    assert 1 <= told["BillableTimeInSeconds"] <= told["TrainingTimeInSeconds"]


def test_the_last_value_of_each_metric_is_told(finished: Finished) -> None:
    (metric,) = finished.told["FinalMetricDataList"]
    assert metric["MetricName"] == "loss"
    assert metric["Value"] == pytest.approx(0.333)
    start, end = (finished.told[f"Training{which}Time"] for which in ("Start", "End"))
    assert start.replace(microsecond=0) <= metric["Timestamp"] <= end


def test_the_script_reads_its_job_below_opt_ml(finished: Finished) -> None:
    config = finished.seen["config"]
    assert config["hyperparameters.json"] == {"lr": "0.1", "name": '"quoted"'}
    assert config["inputdataconfig.json"] == {
        "train": {
            "ContentType": "text/csv",
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        },
        "labels": {
            "TrainingInputMode": "FastFile",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        },
    }
    resources = config["resourceconfig.json"]
    assert resources["current_host"] == finished.seen["host"] == "algo-1"
    assert resources["hosts"] == ["algo-1"]
    assert resources["current_instance_type"] == "ml.m5.large"
    assert resources["current_group_name"] == "homogeneousCluster"
    assert resources["network_interface_name"]
    assert config["trainingjobconfig.json"]["TrainingJobName"] == finished.name
    assert finished.seen["data"] == [
        "labels/labels.txt",  # shown as it lies in the store: no list of what was fetched
        "train-manifest",
        "train/a.csv",
        "train/deep/b.csv",
    ]


def test_the_script_finds_its_environment(shed: Shed, finished: Finished) -> None:
    environment = finished.seen["environment"]
    assert environment["TRAINING_JOB_NAME"] == finished.name
    assert environment["TRAINING_JOB_ARN"] == finished.arn
    assert environment["AWS_REGION"] == "us-east-1"
    assert environment["COLOUR"] == "blue"
    assert environment["AWS_ENDPOINT_URL_S3"] == shed.server.url


def test_the_model_is_what_lay_in_model_and_the_output_what_lay_in_output_data(
    shed: Shed, finished: Finished
) -> None:
    model = shed.archive(finished.name)
    assert model == {"a.csv": b"1,2\n", "sub/weights.bin": bytes(range(256)) * 4096}
    assert shed.archive(finished.name, "output").keys() == {"seen.json"}
    folder = f"output/{finished.name}/"
    assert shed.keys(folder) == [f"{folder}output/model.tar.gz", f"{folder}output/output.tar.gz"]


def test_the_log_holds_every_line_in_order(shed: Shed, finished: Finished) -> None:
    lines = shed.lines(finished.name)
    steps = [line for line in lines if line.startswith("step=")]
    assert steps == ["step=0 loss=1.000;", "step=1 loss=0.500;", "step=2 loss=0.333;"]
    assert lines.count("a warning of no weight") == 1


def test_list_search_and_tags_find_the_job(shed: Shed, finished: Finished) -> None:
    listed = shed.sagemaker.list_training_jobs(NameContains=finished.name, StatusEquals="Completed")
    summary = listed["TrainingJobSummaries"][0]
    assert summary["TrainingJobArn"] == finished.arn
    assert summary["TrainingEndTime"] == finished.told["TrainingEndTime"]
    tags = {"team": "vision", "cost": "7"}
    told = shed.sagemaker.list_tags(ResourceArn=finished.arn)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in told} == tags
    wanted = {"Name": "Tags.team", "Operator": "Equals", "Value": "vision"}
    results = shed.sagemaker.search(Resource="TrainingJob", SearchExpression={"Filters": [wanted]})[
        "Results"
    ]
    assert [each["TrainingJob"]["TrainingJobName"] for each in results] == [finished.name]
    assert results[0]["TrainingJob"]["FinalMetricDataList"] == finished.told["FinalMetricDataList"]


def test_two_nodes_talk_and_make_one_model(shed: Shed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    name = shed.create(PAIR, nodes=2, Environment={"PORT": str(port)})
    told = shed.ended(name)
    assert told["TrainingJobStatus"] == "Completed", told
    model = shed.archive(name)
    assert model["heard-by-1"] == b"hello from algo-2"
    assert model["heard-by-2"] == b"hello from algo-1"
    assert read_json(model["resourceconfig"])["hosts"] == ["algo-1", "algo-2"]
    assert shed.archive(name, "output") == {"from-2": b"2"}
    for host in ("algo-1", "algo-2"):
        assert f"done on {host}" in shed.lines(name, host)
    assert not [key for key in shed.keys(f"output/{name}/") if ".parts" in key]


def test_a_deleted_job_is_gone_and_its_name_free(shed: Shed) -> None:
    name = shed.create("print('short')")
    shed.ended(name)
    shed.forget(name)
    with pytest.raises(shed.sagemaker.exceptions.ClientError, match="Requested resource not found"):
        shed.describe(name)
    again = shed.create("print('once more')", TrainingJobName=name)
    assert shed.ended(again)["TrainingJobStatus"] == "Completed"
    # The log outlives its job, as it does at the service; the next one's has a stream of its own.
    assert [line for line in shed.lines(again) if line[0] != "["] == ["short", "once more"]


def test_file_addresses_work_below_the_allowed_folders_only(shed: Shed) -> None:
    shared = shed.folder / "shared"
    (shared / "in").mkdir()
    (shared / "in" / "x.txt").write_text("from a folder")
    there = channel("train", "")
    there["DataSource"]["S3DataSource"]["S3Uri"] = f"file://{shared}/in"
    copy = "import shutil; shutil.copy('/opt/ml/input/data/train/x.txt', '/opt/ml/model')"
    output = {"S3OutputPath": f"file://{shared}/out"}
    name = shed.create(copy, InputDataConfig=[there], OutputDataConfig=output)
    told = shed.ended(name)
    assert told["TrainingJobStatus"] == "Completed", told
    artefact = told["ModelArtifacts"]["S3ModelArtifacts"]
    assert artefact == f"file://{shared}/out/{name}/output/model.tar.gz"
    assert (shared / "out" / name / "output" / "model.tar.gz").is_file()
    there["DataSource"]["S3DataSource"]["S3Uri"] = "file:///etc"
    refused = shed.sagemaker.exceptions.ClientError
    with pytest.raises(refused, match=r"\"file:///etc\" is outside the folders that jobs may use"):
        shed.create(copy, InputDataConfig=[there])
    with pytest.raises(refused, match="is outside the folders that jobs may use"):
        shed.create(copy, OutputDataConfig={"S3OutputPath": "file:///etc"})
    with pytest.raises(refused, match="failed to satisfy constraint"):
        shed.create(copy, OutputDataConfig={"S3OutputPath": "file://etc"})

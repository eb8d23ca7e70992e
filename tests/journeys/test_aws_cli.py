"""The aws command, unchanged: each form of create-training-job that the developer guide shows."""

import json
import sys
from pathlib import Path

import pytest
from tests.journeys.shed import BUCKET, IMAGE, LOG_GROUP, ROLE, Shed
from tests.journeys.shell import Shell

MAPPED_IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mapped-image:latest"
PLAIN_IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/plain-image:latest"
SCRIPT = """
echo "Running custom_entrypoint.sh"
echo "Hello you have provided the following arguments: " "$@"
echo trained >/opt/ml/model/weights.txt
"""


@pytest.fixture(scope="module")
def shell(shed: Shed) -> Shell:
    return Shell(shed.server, shed.folder / "terminal", str(Path(sys.executable).with_name("aws")))


def create(shell: Shell, name: str, algorithm: dict[str, object], *words: str) -> None:
    """Type create-training-job as the guide has it."""
    given = {"TrainingInputMode": "File", "TrainingImage": IMAGE, **algorithm}
    arn = shell.aws(
        *("--region", "us-east-1", "sagemaker", "create-training-job"),
        *("--training-job-name", name, "--role-arn", ROLE),
        *("--algorithm-specification", json.dumps(given)),
        *("--output-data-config", json.dumps({"S3OutputPath": f"s3://{BUCKET}/cli/"})),
        "--resource-config",
        '{"VolumeSizeInGB":10,"InstanceCount":1,"InstanceType":"ml.m5.2xlarge"}',
        *("--stopping-condition", '{"MaxRuntimeInSeconds": 180}'),
        *words,
    )
    assert json.loads(arn)["TrainingJobArn"].endswith(f":training-job/{name}")


def lines_of_the_completed(shed: Shed, name: str) -> list[str]:
    told = shed.ended(name)
    assert told["TrainingJobStatus"] == "Completed", told
    return [line for line in shed.lines(name) if not line.startswith("[trainshed]")]


def test_the_programs_own_train_runs_when_nothing_else_is_asked_for(
    shed: Shed, shell: Shell
) -> None:
    create(shell, "cli-train", {"TrainingImage": MAPPED_IMAGE})
    assert lines_of_the_completed(shed, "cli-train") == ["the image's own train"]


def test_a_shell_script_by_its_path(shed: Shed, shell: Shell) -> None:
    script = shed.script(SCRIPT, "custom_entrypoint.sh")
    algorithm = {"ContainerEntrypoint": ["/bin/sh"], "ContainerArguments": [script, "a", "b c"]}
    create(shell, "cli-script", algorithm)
    shell.aws("sagemaker", "wait", "training-job-completed-or-stopped", *job("cli-script"))
    told = shell.aws_json("sagemaker", "describe-training-job", *job("cli-script"))
    assert told["TrainingJobStatus"] == "Completed"
    assert lines_of_the_completed(shed, "cli-script") == [
        "Running custom_entrypoint.sh",
        "Hello you have provided the following arguments:  a b c",
    ]
    model = told["ModelArtifacts"]["S3ModelArtifacts"]
    assert model == f"s3://{BUCKET}/cli/cli-script/output/model.tar.gz"
    shell.aws("s3", "cp", model, "model.tar.gz")
    shell.run("tar", "xzf", "model.tar.gz")
    assert (shell.folder / "weights.txt").read_text() == "trained\n"
    names = shell.aws(
        *("sagemaker", "list-training-jobs", "--name-contains", "cli-script"),
        *("--query", "TrainingJobSummaries[].TrainingJobName", "--output", "text"),
    )
    assert names.split() == ["cli-script"]
    events = shell.aws_json(
        *("logs", "filter-log-events", "--log-group-name", LOG_GROUP),
        *("--log-stream-name-prefix", "cli-script/", "--filter-pattern", "Hello"),
    )
    assert [each["message"] for each in events["events"]] == [
        "Hello you have provided the following arguments:  a b c"
    ]


def job(name: str) -> tuple[str, str]:
    return "--training-job-name", name


def test_an_entrypoint_alone(shed: Shed, shell: Shell) -> None:
    script = Path(shed.script("#!/bin/sh\necho given $#\n", "run.sh"))
    script.chmod(0o755)
    create(shell, "cli-entrypoint", {"ContainerEntrypoint": [str(script)]})
    assert lines_of_the_completed(shed, "cli-entrypoint") == ["given 0"]


def test_a_python_entrypoint_is_looked_up_in_the_environment(shed: Shed, shell: Shell) -> None:
    script = shed.script("import sys; print('arguments', sys.argv[1:])")
    algorithm = {"ContainerEntrypoint": ["python"], "ContainerArguments": [script, "--lr", "0.1"]}
    create(shell, "cli-python", algorithm)
    assert lines_of_the_completed(shed, "cli-python") == ["arguments ['--lr', '0.1']"]


def test_a_script_that_comes_through_a_channel(shed: Shed, shell: Shell) -> None:
    (shell.folder / "custom_entrypoint.sh").write_text(SCRIPT)
    shell.aws("s3", "cp", "custom_entrypoint.sh", f"s3://{BUCKET}/code-of-cli/custom_entrypoint.sh")
    channels = [
        {
            "ChannelName": "scripts",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": f"s3://{BUCKET}/code-of-cli",
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
        }
    ]
    there = "/opt/ml/input/data/scripts/custom_entrypoint.sh"
    algorithm = {"ContainerEntrypoint": ["/bin/sh"], "ContainerArguments": [there]}
    create(shell, "cli-channel", algorithm, "--input-data-config", json.dumps(channels))
    assert lines_of_the_completed(shed, "cli-channel")[0] == "Running custom_entrypoint.sh"


def test_the_whole_request_from_a_file(shed: Shed, shell: Shell) -> None:
    script = shed.script("echo from a file", "custom_entrypoint.sh")
    request = {
        "TrainingJobName": "cli-file",
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/sh"],
            "ContainerArguments": [script],
        },
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/cli"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 1,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    (shell.folder / "run-my-training-job.json").write_text(json.dumps(request))
    given = "file://run-my-training-job.json"
    shell.aws("sagemaker", "create-training-job", "--cli-input-json", given)
    assert lines_of_the_completed(shed, "cli-file") == ["from a file"]


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("cli-nothing", {}), ("cli-arguments", {"ContainerArguments": ["--epochs", "3"]})],
)
def test_what_needs_the_image_itself_fails_and_names_the_ways_out(
    shed: Shed, shell: Shell, name: str, algorithm: dict[str, object]
) -> None:
    create(shell, name, {"TrainingImage": PLAIN_IMAGE, **algorithm})
    reason = shed.failed(name)
    assert reason.startswith("ClientError: ")
    for word in (PLAIN_IMAGE, "docker backend", "[backends.local.images]"):
        assert word in reason


def test_a_wrong_request_is_refused_before_it_is_a_job(shell: Shell) -> None:
    said = shell.aws("sagemaker", "describe-training-job", *job("nobody"), code=255)
    assert "(ValidationException)" in said
    assert "Requested resource not found." in said

"""What a program inside a job may do without having been given a key, and how long it may."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.journeys.conftest import settings
from tests.journeys.shed import BUCKET, NOBODY_ASKS_TWICE, ROLE, Shed, until

from trainshed.testing.server import Server

TOLD = """
import json, os, time, boto3
own = boto3.Session().get_credentials()
held = own.get_frozen_credentials() if own else None
print(json.dumps({
    "environment": {name: os.environ[name] for name in os.environ if name.startswith("AWS_")},
    "key": held and [held.access_key, held.secret_key, held.token],
}), flush=True)
"""
USES_BOTO3 = f"""
import boto3, urllib.request
s3 = boto3.client("s3")
s3.put_object(Bucket={BUCKET!r}, Key="from/inside", Body=b"made inside")
print(s3.get_object(Bucket={BUCKET!r}, Key="from/inside")["Body"].read().decode())
where = {{"Bucket": {BUCKET!r}, "Key": "from/inside"}}
print(urllib.request.urlopen(s3.generate_presigned_url("get_object", where)).read().decode())
print(boto3.client("sts").get_caller_identity()["Arn"])
jobs = boto3.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
print(jobs[0]["TrainingJobStatus"], flush=True)
"""
WAITS = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
boto3.client("s3").put_object(Bucket="journeys", Key="began", Body=b"")
while True:
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    """A server whose owner has keys of their own in their home directory."""
    folder = tmp_path_factory.mktemp("access")
    (folder / "shared").mkdir()
    (folder / "home" / ".aws").mkdir(parents=True)
    (folder / "home" / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = THEOWNERS\naws_secret_access_key = private\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder / "home"))
        with Server(folder / "data", settings(folder)) as server:
            yield Shed(server, folder)


def told(shed: Shed, name: str) -> dict[str, Any]:
    """Return what a job printed of its environment and its key."""
    (line,) = (line for line in shed.lines(name) if line.startswith('{"environment"'))
    found: dict[str, Any] = json.loads(line)
    return found


def refusal(shed: Shed, key: list[str]) -> str:
    client = boto3.client(
        "s3",
        endpoint_url=shed.server.url,
        region_name="us-east-1",
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        aws_session_token=key[2] if key[2:] else None,
        config=NOBODY_ASKS_TWICE,
    )
    try:
        client.list_objects_v2(Bucket=BUCKET)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    finally:
        client.close()
    return ""


def test_a_program_without_keys_reaches_everything_in_the_role_of_its_job(shed: Shed) -> None:
    name = shed.create(TOLD + USES_BOTO3)
    assert shed.ended(name)["TrainingJobStatus"] == "Completed", shed.lines(name)
    role = ROLE.rpartition("/")[2]
    lines = [line for line in shed.lines(name) if not line.startswith('{"environment"')]
    assert lines[-4:] == [
        "made inside",
        "made inside",
        f"arn:aws:sts::123456789012:assumed-role/{role}/SageMaker",
        "InProgress",
    ]
    found = told(shed, name)
    environment = found["environment"]
    assert environment["AWS_ENDPOINT_URL"] == environment["AWS_ENDPOINT_URL_S3"] == shed.server.url
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} & environment.keys()
    assert found["key"][0].startswith("TSCONTAINER")
    assert refusal(shed, found["key"]) == "InvalidAccessKeyId", "the job is over"


def test_what_a_node_has_of_the_server_ends_with_it(shed: Shed) -> None:
    name = shed.create(TOLD + WAITS)
    until(lambda: shed.keys("began") == ["began"], lambda: f"{shed.describe(name)}")
    (plan,) = shed.server.data.glob("nodes/*/plan.json")
    objects = json.loads(plan.read_text())["objects"]
    of_node = [objects["access_key"], objects["secret_key"]]
    of_container = told(shed, name)["key"]
    assert [refusal(shed, of_node), refusal(shed, of_container)] == ["", ""]
    # Their names could be anybody's; the secrets are what counts.
    forged = [of_container[0].replace("TSCONTAINER", "TSNODE").partition("X")[0], of_container[1]]
    assert refusal(shed, forged) == "SignatureDoesNotMatch"
    assert secrets_in(plan.parent, shed.server) == []

    shed.sagemaker.stop_training_job(TrainingJobName=name)
    assert shed.ended(name)["TrainingJobStatus"] == "Stopped"

    assert refusal(shed, of_container) == "InvalidAccessKeyId"
    until(lambda: refusal(shed, of_node) == "InvalidAccessKeyId")


def secrets_in(folder: Path, server: Server) -> list[str]:
    """Return the files below a folder that hold one of the server's own secrets."""
    kept = json.loads((server.data / "credentials.json").read_text())
    secrets = [kept["secret_key"].encode(), kept["report_secret"].encode()]
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [str(path) for path in files if any(each in path.read_bytes() for each in secrets)]


def test_an_isolated_job_has_no_keys_and_not_the_owners(shed: Shed) -> None:
    name = shed.create(
        TOLD, EnableNetworkIsolation=True, Environment={"AWS_EC2_METADATA_DISABLED": "true"}
    )
    assert shed.ended(name)["TrainingJobStatus"] == "Completed", shed.lines(name)
    found = told(shed, name)
    assert found["key"] is None
    assert not any("KEY" in each or "URL" in each or "URI" in each for each in found["environment"])


def test_whoever_brings_keys_of_their_own_is_given_none(shed: Shed) -> None:
    own = {"AWS_ACCESS_KEY_ID": "MINE", "AWS_SECRET_ACCESS_KEY": "secret"}
    name = shed.create(TOLD, Environment=own)
    assert shed.ended(name)["TrainingJobStatus"] == "Completed", shed.lines(name)
    found = told(shed, name)
    assert found["key"] == ["MINE", "secret", None]
    assert not any("URL" in each or "CONTAINER" in each for each in found["environment"])

"""The variables that the platform gives to a container."""

import re

import pytest
from tests.contract.job import LOOK, TRAIN, Job, Seen
from tests.contract.place import Place
from tests.contract.test_config_files import MANY

VALUES = {
    "PLAIN": "abc",
    "EMPTY": "",
    "BLANKS": "  two  words ",
    "QUOTES": 'it\'s "quoted" \\ here',
    "EQUALS": "a=b=c",
    "UNICODE": "größer als 日本",
    "LINES": "first\nsecond",
    "NOT_EXPANDED": "$HOME ${PATH} `id` $(id) %PATH% *",
    "lower_case_1": "kept",
    "_UNDERSCORE": "kept",
    "LONGEST": "x" * 512,
    "JSON": '{"a": [1, 2]}',
}
CALLS = """
import json, os, urllib.request
import probe
told = {}
where = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
if where:
    token = os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    asked = urllib.request.Request(where, headers={"Authorization": token})
    told = json.load(urllib.request.urlopen(asked, timeout=20))
    try:
        urllib.request.urlopen(where, timeout=20)
    except urllib.error.HTTPError as error:
        told["without token"] = error.code
endpoint = os.environ.get("AWS_ENDPOINT_URL")
if endpoint:
    try:
        urllib.request.urlopen(endpoint + "/journeys?list-type=2", timeout=20)
    except urllib.error.HTTPError as error:
        told["unsigned"] = error.code
probe.save(credentials=told)
"""
SET = Job(name="environment", main=CALLS, request={"Environment": VALUES})
BARE = Job(name="own-train", image=TRAIN)
WINS = Job(
    name="environment-wins",
    main=LOOK,
    request={
        "Environment": {
            "AWS_REGION": "eu-central-1",
            "TRAINING_JOB_NAME": "another",
            "AWS_ACCESS_KEY_ID": "mine",
            "AWS_SECRET_ACCESS_KEY": "mine too",
            "PYTHONUNBUFFERED": "",
            "HOME": "/tmp",
        }
    },
)

CACHE = "SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"
WARM = Job(
    name="environment-warm",
    main=LOOK,
    request={
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 1,
            "KeepAlivePeriodInSeconds": 1,
        }
    },
)


def variables(seen: Seen) -> dict[str, str]:
    found: dict[str, str] = seen.look["environment"]
    return found


@pytest.mark.parametrize("name", VALUES)
def test_a_variable_arrives_as_it_was_asked(place: Place, name: str) -> None:
    assert variables(place.run(SET))[name] == VALUES[name]


def test_a_hundred_long_variables_arrive(place: Place) -> None:
    asked = MANY.request["Environment"]
    assert asked.items() <= variables(place.run(MANY)).items()


@pytest.mark.parametrize("job", [SET, BARE], ids=["entrypoint", "own program"])
def test_the_job_is_named(place: Place, job: Job) -> None:
    seen = place.run(job)
    assert variables(seen)["TRAINING_JOB_NAME"] == seen.name


@pytest.mark.parametrize("job", [SET, BARE], ids=["entrypoint", "own program"])
def test_the_job_is_named_by_its_arn(place: Place, job: Job) -> None:
    seen = place.run(job)
    assert variables(seen)["TRAINING_JOB_ARN"] == seen.told["TrainingJobArn"]


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_is_named(place: Place, name: str) -> None:
    assert variables(place.run(SET))[name] == "us-east-1"


@pytest.mark.parametrize(
    "name", ["AWS_REGION", "TRAINING_JOB_NAME", "AWS_ACCESS_KEY_ID", "PYTHONUNBUFFERED", "HOME"]
)
def test_the_requests_environment_wins(place: Place, name: str) -> None:
    assert variables(place.run(WINS))[name] == WINS.request["Environment"][name]


def test_another_region_is_told_in_both_variables(place: Place) -> None:
    assert variables(place.run(WINS))["AWS_DEFAULT_REGION"] == "eu-central-1"


def test_variables_of_script_mode_are_not_the_platforms(place: Place) -> None:
    found = [name for name in variables(place.run(SET)) if name.startswith("SM_")]
    assert found == []


@pytest.mark.parametrize("name", ["TRAINSHED_SECRET", "TRAINSHED_DATA_DIR", "TRAINSHED_TOKEN"])
def test_nothing_of_the_servers_own_is_shown(place: Place, name: str) -> None:
    assert name not in variables(place.run(SET))


def test_the_cache_of_a_warm_pool_is_named_and_there(place: Place) -> None:
    seen = place.run(WARM)
    assert variables(seen)[CACHE] == "/opt/ml/sagemaker/warmpoolcache"
    assert seen.look["tree"]["sagemaker/warmpoolcache"]["kind"] == "folder"


def test_nothing_names_a_cache_that_is_not_there(place: Place) -> None:
    seen = place.run(SET)
    assert CACHE not in variables(seen)
    assert not any(path.startswith("sagemaker") for path in seen.look["tree"])


def test_there_is_a_path(place: Place) -> None:
    assert "/usr/bin" in variables(place.run(SET))["PATH"].split(":")


@pytest.mark.parametrize(
    "name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
)
def test_no_lasting_key_is_in_the_environment(place: Place, name: str) -> None:
    assert name not in variables(place.run(SET))


def test_the_address_of_credentials_is_one_that_aws_clients_accept(place: Place) -> None:
    where = variables(place.run(SET))["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    assert re.match(r"http://(127\.0\.0\.1|169\.254\.170\.2):\d+/", where)


@pytest.mark.parametrize("member", ["AccessKeyId", "SecretAccessKey", "Token", "Expiration"])
def test_the_credentials_have_the_form_that_aws_clients_read(place: Place, member: str) -> None:
    assert place.run(SET).look["credentials"][member]


def test_credentials_are_given_to_none_but_the_job(place: Place) -> None:
    assert place.run(SET).look["credentials"]["without token"] in {401, 403}


def test_the_platform_is_reached_from_inside_and_wants_a_signature(place: Place) -> None:
    assert place.run(SET).look["credentials"]["unsigned"] == 403


def test_who_brings_access_of_its_own_gets_none_of_ours(place: Place) -> None:
    found = variables(place.run(WINS))
    ours = {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CONTAINER_CREDENTIALS_FULL_URI"}
    assert ours & set(found) == set()

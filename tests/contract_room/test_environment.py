from typing import Any

import pytest

from trainshed.contract.environment import access, own_access, variables

ASKED = {"url": "http://server/agent/v1/nodes/n/credentials", "token": "T"}


def way(**changes: Any) -> dict[str, str]:
    reached: dict[str, Any] = {
        "server_url": "http://server",
        "objects_url": "http://s3",
        "credentials": ASKED,
    }
    return access(**{**reached, **changes})


def found(**changes: Any) -> dict[str, str]:
    asked: dict[str, Any] = {
        "job_name": "j",
        "job_arn": "arn:aws:sagemaker:eu-west-1:123456789012:training-job/j",
        "region": "eu-west-1",
        "access": way(),
        "environment": {},
    }
    return variables(**{**asked, **changes})


def test_the_job_its_region_and_the_way_to_keys_and_services_are_told() -> None:
    assert found() == {
        "TRAINING_JOB_NAME": "j",
        "TRAINING_JOB_ARN": "arn:aws:sagemaker:eu-west-1:123456789012:training-job/j",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://server",
        "AWS_ENDPOINT_URL_S3": "http://s3",
        "S3_ENDPOINT_URL": "http://s3",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://server/agent/v1/nodes/n/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "T",
    }


def test_keys_are_told_themselves_where_they_can_not_be_asked_for() -> None:
    keys = {"access_key": "AK", "secret_key": "SK", "session_token": "ST"}
    told = way(credentials=keys)
    assert {name: told[name] for name in told if not name.endswith(("_URL", "_URL_S3"))} == {
        "AWS_ACCESS_KEY_ID": "AK",
        "AWS_SECRET_ACCESS_KEY": "SK",
        "AWS_SESSION_TOKEN": "ST",
    }


def test_the_users_variables_win() -> None:
    environment = {"TRAINING_JOB_NAME": "mine", "MODE": "fast"}
    assert {**found(), **environment} == found(environment=environment)


def test_a_region_of_the_users_own_is_told_to_every_client() -> None:
    told = found(environment={"AWS_DEFAULT_REGION": "us-east-1"})
    assert (told["AWS_REGION"], told["AWS_DEFAULT_REGION"]) == ("us-east-1", "us-east-1")


@pytest.mark.parametrize(
    "own",
    [
        {"AWS_ACCESS_KEY_ID": "THEIRS", "AWS_SECRET_ACCESS_KEY": "S"},
        {"AWS_ENDPOINT_URL": "http://minio"},
        {"AWS_SHARED_CREDENTIALS_FILE": "/opt/ml/input/data/keys/credentials"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost/theirs"},
    ],
)
def test_an_own_way_is_not_mixed_with_ours(own: dict[str, str]) -> None:
    assert own_access(own)
    told = found(environment=own)
    ours = {"TRAINING_JOB_NAME", "TRAINING_JOB_ARN", "AWS_REGION", "AWS_DEFAULT_REGION"}
    assert {name: told[name] for name in told if name not in ours} == own


def test_without_a_way_nothing_is_said_of_one() -> None:
    assert access(server_url="", objects_url="", credentials={}) == {}
    told = found(access={})
    assert not any("ENDPOINT" in name or "KEY" in name or "CRED" in name for name in told)

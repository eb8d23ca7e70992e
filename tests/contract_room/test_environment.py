from typing import Any

from trainshed.contract.environment import variables

OBJECTS = {"endpoint": "http://s3", "access_key": "AK", "secret_key": "SK", "region": "eu-west-1"}


def found(**changes: Any) -> dict[str, str]:
    asked: dict[str, Any] = {
        "job_name": "j",
        "job_arn": "arn:aws:sagemaker:eu-west-1:123456789012:training-job/j",
        "region": "eu-west-1",
        "server_url": "http://server",
        "objects": OBJECTS,
        "environment": {},
    }
    return variables(**{**asked, **changes})


def test_the_job_its_region_and_the_way_to_the_stores_are_told() -> None:
    assert found() == {
        "TRAINING_JOB_NAME": "j",
        "TRAINING_JOB_ARN": "arn:aws:sagemaker:eu-west-1:123456789012:training-job/j",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://server",
        "AWS_ENDPOINT_URL_S3": "http://s3",
        "S3_ENDPOINT_URL": "http://s3",
        "AWS_ACCESS_KEY_ID": "AK",
        "AWS_SECRET_ACCESS_KEY": "SK",
    }


def test_the_users_variables_win() -> None:
    environment = {"TRAINING_JOB_NAME": "mine", "MODE": "fast"}
    assert {**found(), **environment} == found(environment=environment)


def test_a_region_of_the_users_own_is_told_to_every_client() -> None:
    told = found(environment={"AWS_DEFAULT_REGION": "us-east-1"})
    assert (told["AWS_REGION"], told["AWS_DEFAULT_REGION"]) == ("us-east-1", "us-east-1")


def test_own_credentials_are_not_mixed_with_ours() -> None:
    own = {"AWS_ACCESS_KEY_ID": "THEIRS", "AWS_SECRET_ACCESS_KEY": "S"}
    told = found(environment=own)
    assert told["AWS_ACCESS_KEY_ID"] == "THEIRS"
    assert not any(name.endswith(("ENDPOINT_URL", "ENDPOINT_URL_S3")) for name in told)


def test_an_own_endpoint_is_not_given_our_keys() -> None:
    told = found(environment={"AWS_ENDPOINT_URL": "http://minio"})
    assert told["AWS_ENDPOINT_URL"] == "http://minio"
    assert "AWS_ACCESS_KEY_ID" not in told
    assert "AWS_ENDPOINT_URL_S3" not in told


def test_without_stores_nothing_is_said_of_them() -> None:
    told = found(server_url="", objects={})
    assert not any("ENDPOINT" in name or "KEY" in name for name in told)

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.fake_server import FakeServer

from trainshed.client.errors import ApiError, ClientError
from trainshed.client.submit import ScriptJob, check_name, job_name, submit

MORNING = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def job(**members: object) -> ScriptJob:
    given = {
        "name": "j-1",
        "program": "train.py",
        "code_uri": "s3://b/j-1/source/sourcedir.tar.gz",
        "output_uri": "s3://b/",
        "region": "eu-test-1",
    }
    return ScriptJob(**(given | members))  # type: ignore[arg-type]


def test_the_request_asks_for_script_mode_as_the_sdk_does() -> None:
    request = job(hyperparameters={"lr": 0.1, "kind": "adam", "on": True}).request()
    assert request["HyperParameters"] == {
        "lr": "0.1",
        "kind": '"adam"',
        "on": "true",
        "sagemaker_submit_directory": '"s3://b/j-1/source/sourcedir.tar.gz"',
        "sagemaker_program": '"train.py"',
        "sagemaker_container_log_level": "20",
        "sagemaker_job_name": '"j-1"',
        "sagemaker_region": '"eu-test-1"',
    }
    assert request["AlgorithmSpecification"]["TrainingImage"] == "trainshed/python"
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert not {"InputDataConfig", "Environment", "Tags"} & request.keys()


def test_channels_metrics_tags_and_variables_reach_the_request() -> None:
    request = job(
        channels={"train": "s3://b/t/"},
        metrics={"loss": "loss=(.*)"},
        tags={"team": "a"},
        environment={"A": "1"},
        nodes=3,
        max_time=timedelta(hours=2),
    ).request()
    (channel,) = request["InputDataConfig"]
    assert channel["ChannelName"] == "train"
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == "s3://b/t/"
    assert request["AlgorithmSpecification"]["MetricDefinitions"] == [
        {"Name": "loss", "Regex": "loss=(.*)"}
    ]
    assert request["Tags"] == [{"Key": "team", "Value": "a"}]
    assert request["Environment"] == {"A": "1"}
    assert request["ResourceConfig"]["InstanceCount"] == 3
    assert request["StoppingCondition"]["MaxRuntimeInSeconds"] == 7200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), JSON, max_size=4))
def test_every_value_comes_back_from_its_hyperparameter(values: dict[str, object]) -> None:
    sent = job(hyperparameters=values).request()["HyperParameters"]
    assert {key: json.loads(sent[key]) for key in values} == values
    assert all(isinstance(value, str) for value in sent.values())


@given(st.text(max_size=100), st.from_regex(r"[0-9a-f]{4}", fullmatch=True))
def test_every_script_gives_a_name_that_a_job_may_have(script: str, salt: str) -> None:
    name = job_name(script, now=MORNING, salt=salt)
    assert check_name(name) == name
    assert re.search(rf"-260102-030405-{salt}$", name)


def test_a_job_is_named_after_its_script_and_the_time() -> None:
    assert job_name("a/train_it.py", now=MORNING, salt="0c1f") == "train-it-260102-030405-0c1f"


@pytest.mark.parametrize("name", ["", "-a", "a-", "a_b", "a" * 64, "ä"])
def test_names_that_no_job_may_have_are_refused(name: str) -> None:
    with pytest.raises(ClientError, match="no name for a job"):
        check_name(name)


def test_submitting_returns_the_arn_and_a_taken_name_is_refused(fake: FakeServer) -> None:
    request = job().request()
    assert submit(fake.api(), request).endswith(":training-job/j-1")
    with pytest.raises(ApiError, match="ResourceInUse"):
        submit(fake.api(), request)

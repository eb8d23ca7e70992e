import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.fake_server import FakeServer
from tests.client.test_upload import how

from trainshed.client.errors import ClientError
from trainshed.client.order import Order, check_name, job_name
from trainshed.client.submit import submit

MORNING = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("code") / "train.py"
    path.write_text("print('hello')")
    return path


def asked(script: Path, **members: Any) -> dict[str, Any]:
    return Order(name="j-1", script=script, **members).request(bucket="b", region="eu-test-1")


def test_the_request_asks_for_script_mode_as_the_sdk_does(script: Path) -> None:
    request = asked(script, hyperparameters={"lr": 0.1, "kind": "adam", "on": True})
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


def test_channels_metrics_tags_and_variables_reach_the_request(script: Path) -> None:
    request = asked(
        script,
        data={"train": "s3://b/t/", "here": "some/folder"},
        metrics={"loss": "loss=(.*)"},
        tags={"team": "a"},
        environment={"A": "1"},
        nodes=3,
        max_time=timedelta(hours=2),
    )
    assert {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in request["InputDataConfig"]
    } == {"train": "s3://b/t/", "here": "s3://b/j-1/input/here/"}
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
def test_every_value_comes_back_from_its_hyperparameter(
    script: Path, values: dict[str, object]
) -> None:
    sent = asked(script, hyperparameters=values)["HyperParameters"]
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


def test_submitting_returns_the_arn(fake: FakeServer, script: Path) -> None:
    order = Order(name="j-1", script=script)
    assert submit(how(fake), order, {}).endswith(":training-job/j-1")


def test_a_taken_name_is_refused_and_its_owners_code_and_data_stay(
    fake: FakeServer, script: Path, tmp_path: Path
) -> None:
    (tmp_path / "first").write_text("1")
    order = Order(name="j-1", script=script, data={"train": str(tmp_path)})
    submit(how(fake), order, order.sources())
    before = dict(fake.objects)
    (tmp_path / "second").write_text("2")
    with pytest.raises(ClientError, match="a job is called 'j-1' already") as refused:
        submit(how(fake), order, order.sources())
    assert "trainshed rm j-1" in refused.value.remedy
    assert fake.objects == before


def test_data_of_a_deleted_job_does_not_mix_with_that_of_the_next(
    fake: FakeServer, script: Path, tmp_path: Path
) -> None:
    (tmp_path / "old").write_text("1")
    order = Order(name="j-1", script=script, data={"train": str(tmp_path)})
    submit(how(fake), order, order.sources())
    del fake.jobs["j-1"]
    (tmp_path / "old").rename(tmp_path / "new")
    submit(how(fake), order, order.sources())
    inputs = [key.rpartition("/")[2] for key in fake.objects if "/input/" in key]
    assert inputs == ["new"]


def test_what_is_said_of_a_channel_reaches_the_request(script: Path) -> None:
    options = {
        "mode": "Pipe",
        "distribution": "ShardedByS3Key",
        "type": "AugmentedManifestFile",
        "attributes": "ref+label",
        "shuffle": "7",
        "wrapper": "RecordIO",
        "compression": "Gzip",
    }
    request = asked(
        script,
        data={"train": "gs://b/m.json", "plain": "az://c/x"},
        channel_options={"train": options},
        input_mode="FastFile",
        checkpoints="s3://kept/here",
    )
    train, plain = request["InputDataConfig"]
    assert train == {
        "ChannelName": "train",
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "AugmentedManifestFile",
                "S3Uri": "gs://b/m.json",
                "S3DataDistributionType": "ShardedByS3Key",
                "AttributeNames": ["ref", "label"],
            }
        },
        "InputMode": "Pipe",
        "CompressionType": "Gzip",
        "RecordWrapperType": "RecordIO",
        "ShuffleConfig": {"Seed": 7},
    }
    assert plain["DataSource"]["S3DataSource"]["S3Uri"] == "az://c/x"
    assert plain.keys() == {"ChannelName", "DataSource"}
    assert request["AlgorithmSpecification"]["TrainingInputMode"] == "FastFile"
    assert request["CheckpointConfig"] == {"S3Uri": "s3://kept/here"}


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("s3://b/j-1/", "code"),
        ("s3://b/j-1", "code"),
        ("s3://b/", "code"),
        ("s3://b/j-1/source", "code"),
        ("s3://b/j-1/input/", "data"),
        ("s3://b/j-1/output", "output"),
    ],
)
def test_checkpoints_are_refused_among_which_the_jobs_own_files_would_be(
    script: Path, address: str, what: str
) -> None:
    with pytest.raises(ClientError, match=f"holds the job's own {what}") as refused:
        asked(script, checkpoints=address, data={"here": "some/folder"})
    assert "s3://b/j-1/checkpoints/" in refused.value.remedy


@pytest.mark.parametrize(
    "address", ["s3://b/j-1/checkpoints/", "s3://b/j-1/sour", "s3://b/j", "s3://other/"]
)
def test_checkpoints_beside_the_jobs_own_files_are_taken(script: Path, address: str) -> None:
    assert asked(script, checkpoints=address)["CheckpointConfig"] == {"S3Uri": address}

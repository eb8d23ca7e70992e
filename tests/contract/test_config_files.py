"""The exact content of the files below /opt/ml/input/config."""

import json
from typing import Any

import pytest
from tests.contract.job import LOOK, TRAIN, Job, channel
from tests.contract.place import Place

VALUES = {
    "plain": "abc",
    "of-sdk-v2": '"abc"',
    "number": "0.1",
    "truth": "true",
    "nothing": "",
    "list": "[1, 2, 3]",
    "object": '{"a": {"b": null}}',
    "blanks": "  two  words ",
    "text": 'ein "Zitat", größer als 日本 \\ / \t end',
    "long": "x" * 2500,
    "key.with-every_sign/allowed here": "1",
    "_tuning_objective_metric": "validation:loss",
    "UPPER": "$HOME `id` $(id)",
}
CONFIGS = Job(
    name="configs",
    main=LOOK,
    hyperparameters=VALUES,
    objects={f"configs/{name}/x.csv": b"1\n" for name in ("typed", "bare", "dealt", "fast")},
    channels=[
        channel("typed", "configs/typed/", ContentType="text/csv", RecordWrapperType="RecordIO"),
        channel("bare", "configs/bare/"),
        channel("dealt", "configs/dealt/", source={"S3DataDistributionType": "ShardedByS3Key"}),
        channel("fast", "configs/fast/", InputMode="FastFile"),
    ],
    algorithm={"MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}]},
    request={"CheckpointConfig": {"S3Uri": "s3://journeys/configs/kept"}},
)
BARE = Job(name="own-train", image=TRAIN)
MANY = Job(
    name="many",
    main=LOOK,
    hyperparameters={f"key-{n}": str(n) for n in range(100)},
    request={"Environment": {f"VARIABLE_{n}": "v" * 512 for n in range(100)}},
)
GROUPS = Job(
    name="groups",
    main=LOOK,
    nodes=3,
    request={
        "ResourceConfig": {
            "VolumeSizeInGB": 5,
            "InstanceGroups": [
                {"InstanceGroupName": "big", "InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
                {"InstanceGroupName": "small", "InstanceType": "ml.m5.large", "InstanceCount": 2},
            ],
        }
    },
)


@pytest.mark.parametrize("key", VALUES)
def test_a_hyperparameter_arrives_as_it_was_asked(place: Place, key: str) -> None:
    assert place.run(CONFIGS).config("hyperparameters")[key] == VALUES[key]


def test_nothing_is_added_to_the_hyperparameters(place: Place) -> None:
    assert place.run(CONFIGS).config("hyperparameters") == VALUES


def test_a_hundred_hyperparameters_arrive(place: Place) -> None:
    assert place.run(MANY).config("hyperparameters") == MANY.hyperparameters


def test_without_hyperparameters_the_file_holds_an_empty_object(place: Place) -> None:
    assert place.run(BARE).config("hyperparameters") == {}


def test_without_channels_the_file_holds_an_empty_object(place: Place) -> None:
    assert place.run(BARE).config("inputdataconfig") == {}


PLAIN = {
    "TrainingInputMode": "File",
    "S3DistributionType": "FullyReplicated",
    "RecordWrapperType": "None",
}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("typed", {**PLAIN, "ContentType": "text/csv", "RecordWrapperType": "RecordIO"}),
        ("bare", PLAIN),
        ("dealt", {**PLAIN, "S3DistributionType": "ShardedByS3Key"}),
        ("fast", {**PLAIN, "TrainingInputMode": "FastFile"}),
    ],
)
def test_a_channel_is_described_by_these_members_alone(
    place: Place, name: str, told: dict[str, str]
) -> None:
    assert place.run(CONFIGS).config("inputdataconfig")[name] == told


def test_every_channel_is_described(place: Place) -> None:
    told = place.run(CONFIGS).config("inputdataconfig")
    assert set(told) == {"typed", "bare", "dealt", "fast", "program"}


def test_no_address_of_data_is_shown_to_the_program(place: Place) -> None:
    assert "s3://" not in json.dumps(place.run(CONFIGS).config("inputdataconfig"))


def test_the_training_mode_of_the_job_holds_for_channels_without_their_own(place: Place) -> None:
    job = Job(
        name="all-fast",
        main=LOOK,
        objects={"all-fast/a/x": b"1", "all-fast/b/x": b"1"},
        channels=[
            channel("of-job", "all-fast/a/"),
            channel("own", "all-fast/b/", InputMode="File"),
        ],
        algorithm={"TrainingInputMode": "FastFile"},
    )
    told = place.run(job).config("inputdataconfig")
    modes = (told["of-job"]["TrainingInputMode"], told["own"]["TrainingInputMode"])
    assert modes == ("FastFile", "File")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("current_host", "algo-1"),
        ("current_instance_type", "ml.m5.large"),
        ("current_group_name", "homogeneousCluster"),
        ("hosts", ["algo-1"]),
        ("topology", None),
        (
            "instance_groups",
            [
                {
                    "instance_group_name": "homogeneousCluster",
                    "instance_type": "ml.m5.large",
                    "hosts": ["algo-1"],
                }
            ],
        ),
    ],
)
def test_the_resource_config_of_one_host(place: Place, member: str, value: Any) -> None:
    assert place.run(CONFIGS).config("resourceconfig")[member] == value


def test_the_resource_config_has_the_members_of_today_and_no_others(place: Place) -> None:
    assert set(place.run(CONFIGS).config("resourceconfig")) == {
        "current_host",
        "current_instance_type",
        "current_group_name",
        "hosts",
        "instance_groups",
        "network_interface_name",
        "topology",
    }


def test_the_named_network_interface_is_a_real_one(place: Place) -> None:
    # NCCL and mpirun are told to use it.
    seen = place.run(CONFIGS)
    assert seen.config("resourceconfig")["network_interface_name"] in seen.look["interfaces"]


@pytest.mark.parametrize(
    ("host", "group", "instance_type"),
    [
        ("algo-1", "big", "ml.m5.xlarge"),
        ("algo-2", "small", "ml.m5.large"),
        ("algo-3", "small", "ml.m5.large"),
    ],
)
def test_a_host_of_an_instance_group_knows_its_group(
    place: Place, host: str, group: str, instance_type: str
) -> None:
    told = place.run(GROUPS).config("resourceconfig", host)
    assert (told["current_group_name"], told["current_instance_type"]) == (group, instance_type)


def test_every_host_knows_all_instance_groups(place: Place) -> None:
    seen = place.run(GROUPS)
    for host in ("algo-1", "algo-2", "algo-3"):
        assert seen.config("resourceconfig", host)["instance_groups"] == [
            {"instance_group_name": "big", "instance_type": "ml.m5.xlarge", "hosts": ["algo-1"]},
            {
                "instance_group_name": "small",
                "instance_type": "ml.m5.large",
                "hosts": ["algo-2", "algo-3"],
            },
        ]


@pytest.mark.parametrize(
    "member",
    ["TrainingJobName", "AlgorithmSpecification", "ResourceConfig", "RoleArn", "HyperParameters"],
)
def test_the_training_job_config_is_the_request(place: Place, member: str) -> None:
    seen = place.run(CONFIGS)
    told = seen.config("trainingjobconfig")
    asked = seen.name if member == "TrainingJobName" else seen.told[member]
    if member == "AlgorithmSpecification":
        asked = {k: v for k, v in asked.items() if k != "EnableSageMakerMetricsTimeSeries"}
    assert told[member] == asked


def test_metric_definitions_are_written_down_by_name(place: Place) -> None:
    told = place.run(CONFIGS).config("metric-definition-regex")
    assert told == {"loss": "loss=([0-9.]+)"}


def test_without_metric_definitions_their_file_is_two_bytes(place: Place) -> None:
    assert place.run(BARE).look["files"]["config/metric-definition-regex.json"] == "{}"


def test_where_results_go_is_written_down(place: Place) -> None:
    told = place.run(CONFIGS).config("upstreamoutputdataconfig")
    assert told["S3OutputPath"] == "s3://journeys/output"


def test_the_checkpoint_config_is_written_down(place: Place) -> None:
    told = place.run(CONFIGS).config("checkpointconfig")
    assert told["S3Uri"] == "s3://journeys/configs/kept"

"""The variables that script mode gives to the user's script."""

import json
from typing import Any

import pytest
from tests.contract.job import BUCKET, LOOK, Job, channel
from tests.contract.place import Place

ONE = Job(
    name="variables",
    source={"train.py": LOOK},
    hyperparameters={
        "epochs": "3",
        "lr": "0.1",
        "batch-size": "32",
        "name": '"adam"',
        "flag": "true",
        "map": '{"b": 2, "a": 1}',
        "nothing": "null",
        "sagemaker_container_log_level": "10",
        "sagemaker_job_name": '"named"',
        "sagemaker_region": '"eu-west-1"',
        "sagemaker_instance_type": '"ml.x"',
        "sagemaker_parameter_server_enabled": "false",
    },
    objects={"variables/train/a": b"1", "variables/test/b": b"2"},
    channels=[
        channel("train", "variables/train/", ContentType="text/csv"),
        channel("test-set.1", "variables/test/"),
    ],
    request={"Environment": {"PYTHONPATH": "/opt/own", "MINE": "kept"}},
)
HYPERPARAMETERS = {
    "epochs": 3,
    "lr": 0.1,
    "batch-size": 32,
    "name": "adam",
    "flag": True,
    "map": {"a": 1, "b": 2},
    "nothing": None,
}
FRAMEWORK = {"sagemaker_instance_type": "ml.x", "sagemaker_parameter_server_enabled": False}
GROUP = {
    "instance_group_name": "homogeneousCluster",
    "instance_type": "ml.m5.large",
    "hosts": ["algo-1"],
}
GROUPS = Job(
    name="variables-groups",
    source={"train.py": LOOK},
    nodes=2,
    request={
        "ResourceConfig": {
            "VolumeSizeInGB": 5,
            "InstanceGroups": [
                {"InstanceGroupName": "big", "InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
                {"InstanceGroupName": "small", "InstanceType": "ml.m5.large", "InstanceCount": 1},
            ],
        }
    },
)
PLAIN = Job(name="variables-plain", source={"train.py": LOOK})


def text(value: Any) -> str:
    """Return how a value reads in a variable."""
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, sort_keys=True, separators=(",", ":"))
    )


def variables(place: Place, job: Job, host: str = "algo-1") -> dict[str, str]:
    found: dict[str, str] = place.run(job).looks[host]["environment"]
    return found


EXPECTED = {
    "SM_HOSTS": ["algo-1"],
    "SM_CURRENT_HOST": "algo-1",
    "SM_CURRENT_INSTANCE_TYPE": "ml.m5.large",
    "SM_CURRENT_INSTANCE_GROUP": "homogeneousCluster",
    "SM_CURRENT_INSTANCE_GROUP_HOSTS": ["algo-1"],
    "SM_INSTANCE_GROUPS": ["homogeneousCluster"],
    "SM_INSTANCE_GROUPS_DICT": {"homogeneousCluster": GROUP},
    "SM_DISTRIBUTION_INSTANCE_GROUPS": [],
    "SM_IS_HETERO": False,
    "SM_HPS": HYPERPARAMETERS,
    "SM_HP_EPOCHS": "3",
    "SM_HP_LR": "0.1",
    "SM_HP_BATCH-SIZE": "32",
    "SM_HP_NAME": "adam",
    "SM_HP_FLAG": "true",
    "SM_HP_MAP": {"a": 1, "b": 2},
    "SM_HP_NOTHING": "",
    "SM_FRAMEWORK_PARAMS": FRAMEWORK,
    "SM_FRAMEWORK_MODULE": "",
    "SM_USER_ENTRY_POINT": "train.py",
    "SM_MODULE_NAME": "train",
    "SM_MODULE_DIR": f"s3://{BUCKET}/programs/variables/sourcedir.tar.gz",
    "SM_LOG_LEVEL": "10",
    "SM_CHANNELS": ["test-set.1", "train"],
    "SM_CHANNEL_TRAIN": "/opt/ml/input/data/train",
    "SM_CHANNEL_TEST-SET.1": "/opt/ml/input/data/test-set.1",
    "SM_INPUT_DIR": "/opt/ml/input",
    "SM_INPUT_CONFIG_DIR": "/opt/ml/input/config",
    "SM_MODEL_DIR": "/opt/ml/model",
    "SM_OUTPUT_DIR": "/opt/ml/output",
    "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data",
    "SM_OUTPUT_INTERMEDIATE_DIR": "/opt/ml/output/intermediate",
    "SM_NUM_GPUS": "0",
    "SM_NUM_NEURONS": "0",
    "CURRENT_HOST": "algo-1",
    "SAGEMAKER_JOB_NAME": "named",
    "SAGEMAKER_REGION": "eu-west-1",
    "MINE": "kept",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_variable_holds_what_amazons_toolkit_puts_there(place: Place, name: str) -> None:
    assert variables(place, ONE)[name] == text(EXPECTED[name])


@pytest.mark.parametrize(
    ("name", "file"),
    [("SM_RESOURCE_CONFIG", "resourceconfig"), ("SM_INPUT_DATA_CONFIG", "inputdataconfig")],
)
def test_a_variable_holds_a_config_file(place: Place, name: str, file: str) -> None:
    assert variables(place, ONE)[name] == text(place.run(ONE).config(file))


def test_the_arguments_are_a_variable_too(place: Place) -> None:
    seen = place.run(ONE).look
    assert seen["environment"]["SM_USER_ARGS"] == text(seen["argv"][1:])


def test_the_processors_are_counted(place: Place) -> None:
    seen = place.run(ONE).look
    assert seen["environment"]["SM_NUM_CPUS"] == str(seen["processors"])


def test_the_network_interface_is_that_of_the_resource_config(place: Place) -> None:
    told = place.run(ONE).config("resourceconfig")["network_interface_name"]
    assert variables(place, ONE)["SM_NETWORK_INTERFACE_NAME"] == told


def test_the_code_folder_stands_first_on_the_path_of_modules(place: Place) -> None:
    folders = variables(place, ONE)["PYTHONPATH"].split(":")
    assert (folders[0], folders[-1]) == ("/opt/ml/code", "/opt/own")


def test_without_topology_there_is_no_variable_for_it(place: Place) -> None:
    assert "SM_TOPOLOGY" not in variables(place, ONE)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("hyperparameters", HYPERPARAMETERS),
        ("additional_framework_parameters", FRAMEWORK),
        (
            "channel_input_dirs",
            {"train": "/opt/ml/input/data/train", "test-set.1": "/opt/ml/input/data/test-set.1"},
        ),
        ("hosts", ["algo-1"]),
        ("is_master", True),
        ("master_hostname", "algo-1"),
        ("job_name", "contract-variables"),
        ("model_dir", "/opt/ml/model"),
        ("user_entry_point", "train.py"),
        ("input_config_dir", "/opt/ml/input/config"),
    ],
)
def test_the_training_environment_holds_all_in_one(place: Place, member: str, value: Any) -> None:
    assert json.loads(variables(place, ONE)["SM_TRAINING_ENV"])[member] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [("SM_HPS", "{}"), ("SM_CHANNELS", "[]"), ("SM_USER_ARGS", "[]"), ("SM_LOG_LEVEL", "20")],
)
def test_without_anything_asked_a_variable_is_empty_or_the_default(
    place: Place, name: str, value: str
) -> None:
    assert variables(place, PLAIN)[name] == value


def test_the_job_is_named_to_the_script_too(place: Place) -> None:
    assert variables(place, PLAIN)["TRAINING_JOB_NAME"] == "contract-variables-plain"


@pytest.mark.parametrize(
    ("host", "group", "instance_type"),
    [("algo-1", "big", "ml.m5.xlarge"), ("algo-2", "small", "ml.m5.large")],
)
def test_a_host_of_an_instance_group_is_told_its_own(
    place: Place, host: str, group: str, instance_type: str
) -> None:
    found = variables(place, GROUPS, host)
    own = (found["SM_CURRENT_INSTANCE_GROUP"], found["SM_CURRENT_INSTANCE_TYPE"])
    assert own == (group, instance_type)


def test_several_groups_make_a_heterogeneous_cluster(place: Place) -> None:
    found = variables(place, GROUPS)
    assert (found["SM_IS_HETERO"], found["SM_INSTANCE_GROUPS"]) == ("true", '["big","small"]')


@pytest.mark.parametrize(("host", "master"), [("algo-1", True), ("algo-2", False)])
def test_the_first_host_is_the_master(place: Place, host: str, master: bool) -> None:
    told = json.loads(variables(place, GROUPS, host)["SM_TRAINING_ENV"])
    assert told["is_master"] is master


def test_nothing_of_ours_but_the_nodes_mark_is_shown_to_the_script(place: Place) -> None:
    found = {name for name in variables(place, ONE) if name.startswith("TRAINSHED_")}
    assert found <= {"TRAINSHED_NODE"}

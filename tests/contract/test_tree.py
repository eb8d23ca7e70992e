"""The tree below /opt/ml, as a program finds it when it starts."""

import pytest
from tests.contract.job import LOOK, Job, channel
from tests.contract.place import Place

TREE = Job(
    name="tree",
    main=LOOK,
    objects={"tree/train/a.csv": b"1,2\n", "tree/train/deep/b.csv": b"3,4\n"},
    channels=[channel("train", "tree/train/")],
    hyperparameters={"epochs": "3"},
    request={
        "CheckpointConfig": {"S3Uri": "s3://journeys/tree/checkpoints"},
        "DebugHookConfig": {"S3OutputPath": "s3://journeys/tree/debug"},
        "ProfilerConfig": {"S3OutputPath": "s3://journeys/tree/profile"},
    },
)
BARE = Job(name="bare", main=LOOK)


@pytest.mark.parametrize(
    "name",
    [
        "hyperparameters",
        "inputdataconfig",
        "resourceconfig",
        "trainingjobconfig",
        "metric-definition-regex",
        "upstreamoutputdataconfig",
        "init-config",
        "checkpointconfig",
        "debughookconfig",
        "profilerconfig",
    ],
)
def test_each_config_file_is_there_and_is_a_json_object(place: Place, name: str) -> None:
    assert isinstance(place.run(TREE).config(name), dict)


@pytest.mark.parametrize("name", ["checkpointconfig", "debughookconfig", "profilerconfig"])
def test_what_was_not_asked_for_has_no_config_file(place: Place, name: str) -> None:
    assert f"input/config/{name}.json" not in place.run(BARE).look["tree"]


FOLDERS = [
    ".",
    "input",
    "input/config",
    "input/data",
    "input/data/train",
    "model",
    "output",
    "output/data",
    "checkpoints",
]


@pytest.mark.parametrize("name", FOLDERS)
def test_each_folder_of_the_tree_is_there(place: Place, name: str) -> None:
    assert place.run(TREE).look["tree"][name]["kind"] == "folder"


@pytest.mark.parametrize("name", ["input/config", "input/data", "input/data/train"])
def test_everybody_can_read_what_comes_in(place: Place, name: str) -> None:
    assert place.run(TREE).look["tree"][name]["mode"] & 0o555 == 0o555


def test_config_files_can_be_read_by_everybody(place: Place) -> None:
    tree = place.run(TREE).look["tree"]
    modes = {name: each["mode"] for name, each in tree.items() if name.endswith(".json")}
    assert len(modes) == 10
    assert set(modes.values()) == {0o644}


@pytest.mark.parametrize("name", ["input/data/train/a.csv", "input/data/train/deep/b.csv"])
def test_data_files_can_be_read_by_everybody(place: Place, name: str) -> None:
    assert place.run(TREE).look["tree"][name]["mode"] == 0o644


@pytest.mark.parametrize("name", ["model", "output/data", "checkpoints"])
def test_what_the_job_fills_is_empty_at_first(place: Place, name: str) -> None:
    assert [path for path in place.run(TREE).look["tree"] if path.startswith(f"{name}/")] == []


@pytest.mark.parametrize("name", ["model", "output", "output/data", "checkpoints"])
def test_what_the_job_fills_can_be_written(place: Place, name: str) -> None:
    assert place.run(TREE).look["writable"][name]


@pytest.mark.parametrize("name", ["input", "input/config", "input/data"])
def test_the_input_can_be_written_too_as_the_sdk_v3_driver_does(place: Place, name: str) -> None:
    assert place.run(TREE).look["writable"][name]


def test_scratch_space_is_there(place: Place) -> None:
    assert place.run(TREE).look["writable"]["/tmp"]


@pytest.mark.parametrize("name", ["output/failure", "output/success", "output/intermediate"])
def test_what_tells_an_end_is_not_there_at_the_start(place: Place, name: str) -> None:
    # Amazon's toolkit leaves its own synchronisation out where intermediate/ is there.
    assert name not in place.run(TREE).look["tree"]


def test_the_platform_makes_no_code_folder(place: Place) -> None:
    assert "code" not in place.run(TREE).look["tree"]


def test_a_job_without_channels_has_the_data_folder_all_the_same(place: Place) -> None:
    program = Job(name="own-train", image="trainshed-test/contract-train")
    tree = place.run(program).look["tree"]
    assert tree["input/data"]["kind"] == "folder"
    assert [name for name in tree if name.startswith("input/data/")] == []


def test_the_list_of_a_channels_files_lies_beside_it(place: Place) -> None:
    seen = place.run(TREE)
    assert seen.look["tree"]["input/data/train-manifest"]["kind"] == "file"
    assert seen.data()["train-manifest"].decode().splitlines() == ["a.csv", "deep/b.csv"]


def test_nothing_else_is_in_the_tree(place: Place) -> None:
    tree = place.run(TREE).look["tree"]
    own = {name for name in tree if "input/data/program" in name}
    configs = {name for name in tree if name.startswith("input/config/")}
    inputs = {f"input/data/train{end}" for end in ("-manifest", "/a.csv", "/deep", "/deep/b.csv")}
    assert set(tree) - own - configs - inputs == set(FOLDERS)

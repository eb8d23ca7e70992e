import pytest

from trainshed.contract import script_mode


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"abc"', "abc"),
        ("abc", "abc"),
        ("0.1", 0.1),
        ("true", True),
        ("True", "True"),
        ("null", None),
        ("[1, 2]", [1, 2]),
        ("", ""),
        ("[" * 5000, "[" * 5000),
        (5, 5),
    ],
)
def test_a_value_is_json_or_itself(text: object, value: object) -> None:
    assert script_mode.read_value(text) == value


def test_the_toolkits_own_and_the_frameworks_never_reach_the_script() -> None:
    values = {
        "sagemaker_program": "train.py",
        "sagemaker_instance_type": "ml.c5.large",
        "_tuning_objective_metric": "loss",
        "default_user_module_name": "m",
        "lr": 0.1,
        "_own": 1,
    }
    assert script_mode.for_script(values) == {"lr": 0.1, "_own": 1}
    assert script_mode.for_framework(values) == {"sagemaker_instance_type": "ml.c5.large"}


def test_arguments_are_sorted_and_unquoted() -> None:
    values = {"lr": 0.1, "b": "a b", "layers": [1, 2], "opt": {"z": 1, "a": None}, "no": None}
    assert script_mode.arguments(values) == [
        *("-b", "a b"),
        *("--layers", "[1, 2]"),
        *("--lr", "0.1"),
        *("--no", ""),
        *("--opt", "a=None,z=1"),
    ]


def test_script_mode_is_asked_for_by_hyperparameter_or_environment() -> None:
    assert script_mode.is_script_mode({"sagemaker_program": '"train.py"'}, {})
    assert script_mode.is_script_mode({}, {"SAGEMAKER_PROGRAM": "train.py"})
    assert not script_mode.is_script_mode({"sagemaker_submit_directory": "s3://b/k"}, {})


def test_launchers_count_only_when_switched_on() -> None:
    values = {"sagemaker_mpi_enabled": False, "sagemaker_torch_distributed_enabled": True}
    assert script_mode.launchers_asked_for(values) == ["sagemaker_torch_distributed_enabled"]

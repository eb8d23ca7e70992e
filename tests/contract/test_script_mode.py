"""Script mode: which program runs, with which arguments, and how its end is told."""

import pytest
from tests.contract.job import BUCKET, LOOK, Job
from tests.contract.place import Place
from tests.contract.test_stop import SAVES, stop

VALUES = {
    "epochs": ("3", "3"),
    "lr": ("0.1", "0.1"),
    "of-sdk-v2": ('"adam"', "adam"),
    "plain": ("sgd", "sgd"),
    "flag": ("true", "True"),
    "off": ("false", "False"),
    "nothing": ("null", ""),
    "list": ("[1, 2]", "[1, 2]"),
    "map": ('{"b": 2, "a": 1}', "a=1,b=2"),
    "blanks": ("two  words ", "two  words "),
    "signs": ("$HOME * ; 'it' \"is\"", "$HOME * ; 'it' \"is\""),
    "unicode": ("größer 日本", "größer 日本"),
    "quoted-number": ('"07"', "07"),
}
"""Name: the value that was asked, and the script's argument."""
TOOLKITS_OWN = {
    "sagemaker_container_log_level": "10",
    "sagemaker_region": '"eu-west-1"',
    "sagemaker_job_name": '"named"',
    "sagemaker_enable_cloudwatch_metrics": "false",
    "sagemaker_s3_output": '"s3://journeys/live"',
    "default_user_module_name": '"module"',
    "_tuning_objective_metric": '"loss"',
    "sagemaker_instance_type": '"ml.m5.large"',
    "sagemaker_estimator_class_name": '"PyTorch"',
    "sagemaker_parameter_server_enabled": "false",
    "sagemaker_of_tomorrow": '"yes"',
}
SCRIPT = Job(
    name="script",
    source={"train.py": LOOK},
    hyperparameters={k: asked for k, (asked, _) in VALUES.items()} | {"x": "1"} | TOOLKITS_OWN,
)
QUOTED = Job(
    name="script-quoted",
    source={
        "train.py": "import helper, pathlib, probe\n"
        "text = pathlib.Path('data/words.txt').read_text()\n"
        "probe.save(helped=helper.WORD, read=text)\n",
        "helper.py": "WORD = 'helped'\n",
        "data/words.txt": "words",
    },
    hyperparameters={
        "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": f'"s3://{BUCKET}/programs/script-quoted/sourcedir.tar.gz"',
    },
)
BY_VARIABLE = Job(
    name="script-by-variable",
    source={"train.py": "raise SystemExit(9)", "other.py": LOOK},
    request={"Environment": {"SAGEMAKER_PROGRAM": "other.py"}},
)
DEEP = Job(
    name="script-deep",
    source={"deep/inner.py": LOOK},
    hyperparameters={"sagemaker_program": "deep/inner.py"},
)
SHELL = Job(
    name="script-shell",
    source={
        "run.sh": "#!/bin/sh\nprintf '%s\\n' \"$@\" >$SM_MODEL_DIR/arguments\n"
        "pwd >$SM_MODEL_DIR/folder\n"
    },
    hyperparameters={"sagemaker_program": "run.sh", "words": "two  words", "signs": "$HOME ; 'it'"},
)


def argument(place: Place, name: str) -> str:
    argv: list[str] = place.run(SCRIPT).look["argv"]
    return argv[argv.index(f"--{name}") + 1]


@pytest.mark.parametrize("name", VALUES)
def test_a_hyperparameter_becomes_an_argument(place: Place, name: str) -> None:
    assert argument(place, name) == VALUES[name][1]


def test_a_single_letter_has_a_single_dash(place: Place) -> None:
    argv = place.run(SCRIPT).look["argv"]
    assert argv[argv.index("-x") + 1] == "1"


def test_arguments_are_sorted_by_name(place: Place) -> None:
    flags = place.run(SCRIPT).look["argv"][1::2]
    assert flags == [
        f"-{name}" if len(name) == 1 else f"--{name}" for name in sorted([*VALUES, "x"])
    ]


@pytest.mark.parametrize("name", ["sagemaker_program", "sagemaker_submit_directory", *TOOLKITS_OWN])
def test_what_is_the_toolkits_own_is_no_argument(place: Place, name: str) -> None:
    assert f"--{name}" not in place.run(SCRIPT).look["argv"]


def test_the_script_runs_by_its_name_in_the_code_folder(place: Place) -> None:
    seen = place.run(SCRIPT).look
    assert (seen["argv"][0], seen["folder"]) == ("train.py", "/opt/ml/code")


def test_the_code_lies_in_the_code_folder(place: Place) -> None:
    assert place.run(QUOTED).look["tree"]["code/data/words.txt"]["kind"] == "file"


def test_names_that_the_sdk_has_quoted_are_understood(place: Place) -> None:
    assert place.run(QUOTED).look["argv"] == ["train.py"]


def test_a_module_beside_the_script_is_found(place: Place) -> None:
    assert place.run(QUOTED).look["helped"] == "helped"


def test_a_file_beside_the_script_is_found(place: Place) -> None:
    assert place.run(QUOTED).look["read"] == "words"


def test_a_program_named_by_variable_wins(place: Place) -> None:
    assert place.run(BY_VARIABLE).look["argv"][0] == "other.py"


def test_a_script_in_a_folder_finds_the_modules_at_the_top(place: Place) -> None:
    seen = place.run(DEEP).look  # its probe lies at the top
    assert (seen["argv"][0], seen["folder"]) == ("deep/inner.py", "/opt/ml/code")


def test_a_shell_script_gets_its_arguments_whole(place: Place) -> None:
    lines = place.run(SHELL).model["arguments"].decode().splitlines()
    assert lines == ["--signs", "$HOME ; 'it'", "--words", "two  words"]


def test_a_shell_script_runs_in_the_code_folder(place: Place) -> None:
    assert place.run(SHELL).model["folder"] == b"/opt/ml/code\n"


def test_a_script_that_ends_well_completes_its_job(place: Place) -> None:
    assert place.run(SCRIPT).status == ("Completed", "Completed")


RAISES = Job(
    name="script-raises",
    source={"train.py": "def load(): raise ValueError('column 3 is empty')\nload()"},
    hyperparameters={"epochs": "1"},
)
EXITS = Job(name="script-exits", source={"train.py": "import sys\nsys.exit(5)"})
KILLED = Job(
    name="script-killed",
    source={"train.py": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"},
)
OWN_WORDS = Job(
    name="script-own-words",
    source={"train.py": "import probe\nprobe.write('output/failure', 'mine')\nraise ValueError"},
)
NO_PROGRAM = Job(
    name="script-missing",
    source={"train.py": ""},
    hyperparameters={"sagemaker_program": "nothing.py"},
)
NO_ARCHIVE = Job(
    name="script-no-archive",
    hyperparameters={
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": f"s3://{BUCKET}/no/such.tar.gz",
    },
)
BROKEN = Job(
    name="script-broken-archive",
    objects={"broken/sourcedir.tar.gz": b"no archive"},
    hyperparameters={
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": f"s3://{BUCKET}/broken/sourcedir.tar.gz",
    },
)
REQUIRES = Job(
    name="script-requires",
    source={
        "train.py": "print('never')",
        "requirements.txt": "--no-index\nno-such-package-anywhere==1.0\n",
    },
)
STOPPED = Job(name="script-stopped", source={"train.py": SAVES.format(code=0)}, meanwhile=stop)


@pytest.mark.parametrize(
    ("job", "beginning"),
    [
        (RAISES, 'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "Traceback'),
        (EXITS, 'AlgorithmError: ExecuteUserScriptError:\nExitCode 5\nErrorMessage "'),
        (KILLED, 'AlgorithmError: ExecuteUserScriptError:\nExitCode 137\nErrorMessage "'),
        (OWN_WORDS, "AlgorithmError: mine"),
        (NO_PROGRAM, "AlgorithmError: the entry point 'nothing.py' is not in the source folder"),
        (NO_ARCHIVE, f"ClientError: Data download failed:s3://{BUCKET}/no/such.tar.gz"),
        (REQUIRES, 'AlgorithmError: InstallRequirementsError:\nExitCode 1\nErrorMessage "'),
    ],
    ids=lambda each: each.name if isinstance(each, Job) else "",
)
def test_a_script_that_fails_is_told_in_the_toolkits_form(
    place: Place, job: Job, beginning: str
) -> None:
    assert place.run(job).reason.startswith(beginning)


@pytest.mark.parametrize(
    ("job", "code"),
    [(RAISES, 1), (EXITS, 5), (KILLED, 137), (OWN_WORDS, 1), (NO_PROGRAM, 1), (REQUIRES, 1)],
    ids=lambda each: each.name if isinstance(each, Job) else "",
)
def test_a_scripts_exit_code_is_the_containers(place: Place, job: Job, code: int) -> None:
    assert place.run(job).reason.endswith(f", exit code: {code}")


def test_the_exception_of_a_script_is_told(place: Place) -> None:
    assert "ValueError: column 3 is empty" in place.run(RAISES).reason


def test_the_command_of_a_script_is_told(place: Place) -> None:
    command = place.run(RAISES).reason.partition('Command "')[2].partition('"')[0]
    assert command.endswith(" train.py --epochs 1")


def test_the_traceback_of_a_script_is_in_the_log(place: Place) -> None:
    assert "ValueError: column 3 is empty" in place.run(RAISES).lines["algo-1"]


def test_an_archive_that_is_none_is_named(place: Place) -> None:
    seen = place.run(BROKEN)
    assert seen.status == ("Failed", "Failed")
    assert "sourcedir.tar.gz" in seen.reason


def test_the_wish_to_stop_is_passed_on_to_the_script(place: Place) -> None:
    seen = place.run(STOPPED)
    assert seen.status == ("Stopped", "Stopped")
    assert "asked to stop by SIGTERM" in seen.lines["algo-1"]


def test_what_a_script_saves_when_it_is_stopped_is_the_model(place: Place) -> None:
    assert place.run(STOPPED).model == {"checkpoint": b"epoch 3"}

"""What lies in an image is judged by facts alone."""

from dataclasses import replace
from typing import Any

import pytest

from trainshed.client.lint import files
from trainshed.client.lint.facts import Asked, Config, File, ImageFacts

GOOD = ImageFacts(
    config=Config(name="image"),
    programs={
        name: File(path=f"/usr/bin/{name}", executable=True) for name in ("train", "python3")
    },
    start=File(
        path="/usr/bin/train",
        executable=True,
        text='#!/bin/bash\nexec python -u x.py "$@"\n',
    ),
    interpreters={"/bin/bash": True},
    python=(3, 11),
)
MPI = Asked(entry_point="t.py", hyperparameters={"sagemaker_mpi_enabled": True})


def codes(facts: ImageFacts, asked: Asked | None = None) -> list[str]:
    return [finding.rule.code for finding in files.of_image(facts, asked or Asked())]


def with_programs(*names: str) -> ImageFacts:
    return replace(GOOD, programs={n: File(path=f"/bin/{n}", executable=True) for n in names})


def test_an_image_that_keeps_the_contract_gives_no_finding() -> None:
    assert codes(GOOD) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"under_opt_ml": ("/opt/ml/model/w.bin", "/opt/ml/model/x")}, ["TS211"]),
        ({"under_opt_ml": ("/opt/ml/input/a", "/opt/ml/output/b")}, ["TS211", "TS211"]),
        ({"under_opt_ml": ("/opt/ml/train.py",)}, ["TS212"]),
        ({"under_opt_ml": ("/opt/ml/code/train.py",)}, []),
        ({"missing": "/go"}, ["TS213"]),
        ({"architecture": "arm64"}, ["TS214"]),
        ({"certificates": False}, ["TS219"]),
        ({"python": (3, 7)}, ["TS220"]),
        ({"python": (3, 8)}, []),
        ({"interpreters": {"/bin/bash": False}}, ["TS204"]),
    ],
)
def test_each_fact_is_judged(changed: dict[str, Any], expected: list[str]) -> None:
    assert codes(replace(GOOD, **changed)) == expected


def test_many_hidden_files_of_one_folder_are_one_finding() -> None:
    paths = tuple(f"/opt/ml/model/{n}" for n in range(9))
    (finding,) = files.of_image(replace(GOOD, under_opt_ml=paths), Asked())
    assert finding.found == "/opt/ml/model/0 and 8 more"


def test_mpirun_wants_sshd_beside_it() -> None:
    assert codes(with_programs("train", "python3", "mpirun")) == ["TS215"]
    assert codes(with_programs("train", "python3", "mpirun", "sshd")) == []


def test_mpi_that_is_asked_for_must_be_there() -> None:
    assert codes(GOOD, MPI) == ["TS216"]
    assert codes(replace(GOOD, mpi4py=False), MPI) == ["TS216", "TS217"]
    complete = with_programs("train", "python3", "mpirun", "sshd")
    assert codes(complete, MPI) == []


def test_script_mode_needs_python() -> None:
    assert codes(with_programs("train"), Asked(entry_point="t.py")) == ["TS221"]
    assert codes(with_programs("train")) == []


def test_an_image_must_fit_its_volume() -> None:
    large = replace(GOOD, size=3 * 2**30)
    assert codes(large, Asked(volume=2 * 2**30)) == ["TS218"]
    assert codes(large, Asked(volume=4 * 2**30)) == []
    assert codes(large) == []


def test_a_python_script_behind_a_shell_is_not_read_as_the_shells() -> None:
    config = Config(entrypoint=("/bin/sh", "-c", "python -u /t.py"), name="image")
    start = File(path="/t.py", executable=False, text="import signal  # SIGTERM\r\nx = 1\r\n")
    assert codes(replace(GOOD, config=config, start=start)) == ["TS101"]


def test_a_python_program_that_refuses_the_word_train_is_told_once() -> None:
    text = "# SIGTERM\nimport argparse\np = argparse.ArgumentParser()\np.parse_args()\n"
    config = Config(entrypoint=("python", "-u", "/t.py"), name="image")
    start = File(path="/t.py", executable=False, text=text)
    assert codes(replace(GOOD, config=config, start=start)) == ["TS207"]


def test_a_train_that_is_not_executable_is_told_as_that_and_not_as_missing() -> None:
    file = File(path="/usr/bin/train", executable=False, text="#!/bin/sh\nexec x\n")
    facts = replace(GOOD, programs={"train": file}, start=file)
    assert codes(facts) == ["TS201"]

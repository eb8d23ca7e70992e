"""Where the process runtime differs from a container; docs/contract.md says why."""

import os
from pathlib import Path

import pytest
from tests.contract.job import LOOK, TRAIN, Job
from tests.contract.place import Place

NO_TRAIN = Job(name="process-no-train")
ARGUMENTS = Job(
    name="process-arguments", image=TRAIN, algorithm={"ContainerArguments": ["two words"]}
)
LOOKS = Job(name="process-looks", main=LOOK, request={"EnableNetworkIsolation": True})
SCRIPT = Job(name="process-script", image=TRAIN, source={"train.py": LOOK})


@pytest.mark.parametrize(
    ("job", "beginning"),
    [
        (NO_TRAIN, f'ClientError: the image "{NO_TRAIN.image}" brings its own program "train"'),
        (ARGUMENTS, "ClientError: ContainerArguments were given without ContainerEntrypoint"),
    ],
    ids=["no train", "arguments alone"],
)
def test_a_program_that_only_the_image_has_is_refused_and_ways_out_are_named(
    processes: Place, job: Job, beginning: str
) -> None:
    reason = processes.run(job).reason
    assert reason.startswith(beginning)
    assert "use the docker backend" in reason


def test_script_mode_does_not_ask_for_a_train(processes: Place) -> None:
    # What is mapped is an environment of this machine: no toolkit of Amazon's is meant by it.
    assert processes.run(SCRIPT).look["argv"] == ["train.py"]


def test_the_user_is_the_servers(processes: Place) -> None:
    assert processes.run(LOOKS).look["uid"] == os.getuid()


def test_the_working_folder_is_the_tree(processes: Place) -> None:
    assert processes.run(LOOKS).look["folder"] == "/opt/ml"


def test_the_network_interface_is_loopback(processes: Place) -> None:
    assert processes.run(LOOKS).config("resourceconfig")["network_interface_name"] == "lo"


def test_network_isolation_is_not_kept_and_the_log_says_so(processes: Place) -> None:
    lines = processes.run(LOOKS).lines["algo-1"]
    assert any("EnableNetworkIsolation is not kept here" in line for line in lines)


def test_what_runs_in_the_images_place_is_said_in_the_log(processes: Place) -> None:
    lines = processes.run(LOOKS).lines["algo-1"]
    assert any("no container engine on this backend" in line for line in lines)


def test_the_files_outside_the_tree_are_the_machines(processes: Place) -> None:
    seen = processes.run(LOOKS).look
    assert Path(seen["executable"]).exists()


def test_python_does_not_hold_its_lines_back(processes: Place) -> None:
    # An image's own setting decides in a container.
    assert processes.run(LOOKS).look["environment"]["PYTHONUNBUFFERED"] == "1"

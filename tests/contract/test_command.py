"""What is run: ContainerEntrypoint, ContainerArguments, or the image's own program."""

import pytest
from tests.contract.job import LOOK, TRAIN, TREE, Job
from tests.contract.place import Place

ARGUMENTS = [
    "plain",
    "two words",
    "quoted \"twice\" and 'once'",
    "$HOME",
    "*",
    "--flag=value",
    "größer 日本",
    "back\\slash",
    "; exit 3",
]
BOTH = Job(
    name="command",
    main=LOOK,
    algorithm={"ContainerArguments": ARGUMENTS},
)
OWN = Job(name="own-train", image=TRAIN)
ALONE = Job(
    name="entrypoint-alone",
    main=LOOK,
    image=TRAIN,
    algorithm={"ContainerEntrypoint": ["python3", f"{TREE}/main.py", "one"]},
)
SHELL = Job(
    name="entrypoint-shell",
    main=LOOK,
    algorithm={
        "ContainerEntrypoint": ["/bin/bash"],
        "ContainerArguments": [
            "-c",
            f"chmod +x {TREE}/main.py && python3 {TREE}/main.py $((1 + 1))",
        ],
    },
)


@pytest.mark.parametrize("number", range(len(ARGUMENTS)), ids=ARGUMENTS)
def test_an_argument_arrives_as_it_was_asked(place: Place, number: int) -> None:
    assert place.run(BOTH).look["argv"][number + 1] == ARGUMENTS[number]


def test_entrypoint_and_arguments_make_one_command_line(place: Place) -> None:
    assert place.run(BOTH).look["argv"] == [f"{TREE}/main.py", *ARGUMENTS]


def test_an_entrypoint_alone_is_run_without_train(place: Place) -> None:
    assert place.run(ALONE).look["argv"] == [f"{TREE}/main.py", "one"]


def test_an_entrypoint_is_looked_up_on_the_path_of_the_image(place: Place) -> None:
    seen = place.run(BOTH).look
    folders = seen["environment"]["PATH"].split(":")
    assert seen["executable"].rpartition("/")[0] in folders


def test_without_entrypoint_the_images_own_train_is_run(place: Place) -> None:
    assert place.run(OWN).model == {"made-by": b"the image's own program"}


def test_the_images_own_train_is_found_on_the_path_and_gets_no_argument(place: Place) -> None:
    (program, *arguments) = place.run(OWN).look["argv"]
    assert (program.rpartition("/")[2], arguments) == ("train", [])


def test_an_entrypoint_runs_in_place_of_the_images_train(place: Place) -> None:
    assert "output/model.tar.gz" not in place.run(ALONE).objects


def test_a_shell_line_as_the_sdk_v3_sends_it_is_run_by_the_shell(place: Place) -> None:
    assert place.run(SHELL).look["argv"] == [f"{TREE}/main.py", "2"]


@pytest.mark.parametrize("job", [BOTH, OWN, ALONE], ids=["both", "own program", "entrypoint"])
def test_the_command_is_the_first_process_of_its_container(place: Place, job: Job) -> None:
    # It is process 1 that is asked to stop.
    assert place.run(job).look["pid"] == 1


def test_nothing_can_be_read_from_the_standard_input(place: Place) -> None:
    assert place.run(BOTH).look["stdin"] == "/dev/null"


def test_no_signal_is_ignored_from_the_start(place: Place) -> None:
    assert place.run(BOTH).look["ignored"] == []


def test_files_that_the_job_makes_can_be_read_by_everybody(place: Place) -> None:
    assert place.run(BOTH).look["umask"] == 0o022


def test_the_sdk_v3_drivers_file_can_be_made_executable(place: Place) -> None:
    mode = place.run(SHELL).look["tree"]["input/data/program/main.py"]["mode"]
    assert mode == 0o755

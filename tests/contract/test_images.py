"""What only an image can have: its ENTRYPOINT, settings, user, content; limits; networks.

The process runtime has no image: docs/contract.md lists each of these with its reason.
"""

import pytest
from tests.contract.job import LOOK, Job, channel
from tests.contract.place import Place
from tests.contract.test_cluster import PEERS

pytestmark = pytest.mark.docker
IMAGE = "trainshed-test/contract-{}"
ENTRY = "/image/entry.py"


def own(name: str, **changes: object) -> Job:
    """Return a job that runs an image's own program."""
    return Job(name=f"image-{name}", image=IMAGE.format(name), **changes)  # type: ignore[arg-type]


def argv(containers: Place, job: Job) -> list[str]:
    found: list[str] = containers.run(job).look["argv"]
    return found


ARGUMENTS = Job(
    name="image-arguments",
    image=IMAGE.format("entrypoint"),
    algorithm={"ContainerArguments": ["two words", "--flag"]},
)
REPLACED = Job(name="image-replaced", image=IMAGE.format("entrypoint"), main=LOOK)


def test_the_images_entrypoint_gets_the_word_train(containers: Place) -> None:
    assert argv(containers, own("entrypoint")) == [ENTRY, "of-the-image", "train"]


def test_arguments_stand_in_the_place_of_train(containers: Place) -> None:
    assert argv(containers, ARGUMENTS) == [ENTRY, "of-the-image", "two words", "--flag"]


def test_an_entrypoint_replaces_the_images(containers: Place) -> None:
    assert argv(containers, REPLACED) == ["/opt/ml/input/data/program/main.py"]


def test_a_wrapper_runs_the_images_train_as_the_first_process(containers: Place) -> None:
    seen = containers.run(own("wrapper")).look
    assert (seen["environment"]["WRAPPED"], seen["pid"]) == ("train", 1)


def test_an_entrypoint_in_shell_form_gets_no_arguments(containers: Place) -> None:
    assert argv(containers, own("shell-form")) == [ENTRY, "shell-form"]


def test_the_images_cmd_is_not_run(containers: Place) -> None:
    assert containers.run(own("cmd")).model == {"made-by": b"the image's own program"}


SETTINGS = own("settings")


def test_train_is_found_on_the_path_that_the_image_sets(containers: Place) -> None:
    assert argv(containers, SETTINGS)[0] == "/tools/bin/train"


def test_the_images_variables_are_kept(containers: Place) -> None:
    assert containers.run(SETTINGS).look["environment"]["OF_IMAGE"] == "kept"


def test_the_platforms_variables_win_over_the_images(containers: Place) -> None:
    seen = containers.run(SETTINGS)
    assert seen.look["environment"]["TRAINING_JOB_NAME"] == seen.name


def test_the_images_working_folder_is_kept(containers: Place) -> None:
    assert containers.run(SETTINGS).look["folder"] == "/work/here"


def test_nothing_of_the_servers_environment_is_inherited(containers: Place) -> None:
    ours = {"HOSTNAME", "HOME", "PATH", "OF_IMAGE", "TRAINING_JOB_NAME", "TRAINING_JOB_ARN"}
    found = set(containers.run(SETTINGS).look["environment"]) - ours
    assert {name for name in found if not name.startswith(("AWS_", "TRAINSHED_"))} <= {
        "S3_ENDPOINT_URL",
        "PYTHONUNBUFFERED",
        "LC_CTYPE",
    }


USER = own("user")


def test_the_images_user_is_kept(containers: Place) -> None:
    assert containers.run(USER).look["uid"] == 1234


@pytest.mark.parametrize(
    "folder", ["input", "model", "output", "output/data", "checkpoints", "/tmp"]
)
def test_the_images_user_can_write_where_jobs_write(containers: Place, folder: str) -> None:
    assert containers.run(USER).look["writable"][folder]


def test_what_the_images_user_made_is_stored(containers: Place) -> None:
    assert containers.run(USER).model == {"made-by": b"the image's own program"}


CODE = own("code")
SCRIPT = Job(
    name="image-code-script",
    image=IMAGE.format("code-script"),
    hyperparameters={"sagemaker_program": "baked.py", "epochs": "3"},
)
WRAPPED = Job(
    name="image-wrapped-script",
    image=IMAGE.format("wrapper-script"),
    source={"train.py": LOOK},
    hyperparameters={"epochs": "3"},
)
OWN_TOOLKIT = Job(name="image-own-toolkit", image=IMAGE.format("train"), source={"train.py": "1/0"})


def test_code_that_the_image_carries_is_seen(containers: Place) -> None:
    assert containers.run(CODE).look["tree"]["code/baked.py"]["kind"] == "file"


@pytest.mark.parametrize("name", ["model/of-the-image", "input/of-the-image"])
def test_what_the_image_has_in_the_platforms_folders_is_hidden(
    containers: Place, name: str
) -> None:
    assert name not in containers.run(CODE).look["tree"]


def test_script_mode_runs_code_that_the_image_carries(containers: Place) -> None:
    seen = containers.run(SCRIPT).look
    assert (seen["argv"], seen["folder"]) == (["baked.py", "--epochs", "3"], "/opt/ml/code")


def test_script_mode_begins_at_the_images_entrypoint(containers: Place) -> None:
    seen = containers.run(WRAPPED).look
    assert (seen["environment"]["WRAPPED"], seen["argv"]) == (
        "train",
        ["train.py", "--epochs", "3"],
    )


def test_script_mode_runs_on_the_images_python(containers: Place) -> None:
    assert containers.run(WRAPPED).look["executable"] == "/usr/bin/python3"


def test_an_image_with_a_train_of_its_own_keeps_it_in_script_mode(containers: Place) -> None:
    assert containers.run(OWN_TOOLKIT).model == {"made-by": b"the image's own program"}


LIMITED = {
    "ResourceConfig": {"InstanceType": "ml.t3.medium", "InstanceCount": 1, "VolumeSizeInGB": 1}
}
SMALL = Job(name="image-small", image=IMAGE.format("train"), request=LIMITED)
EATER = Job(
    name="image-eater",
    main="x = []\nwhile True: x.append(b'1' * 2**20)",
    request=LIMITED,
)


def test_the_instance_types_memory_is_the_limit(containers: Place) -> None:
    assert containers.run(SMALL).look["memory_bytes"] == 96 << 20


def test_shared_memory_is_half_of_the_memory(containers: Place) -> None:
    assert containers.run(SMALL).look["shm_bytes"] == 48 << 20


def test_a_container_that_wants_more_memory_fails_and_says_so(containers: Place) -> None:
    reason = containers.run(EATER).reason
    assert reason.startswith("AlgorithmError: out of memory: the kernel killed the container")
    assert reason.endswith(", exit code: 137")


MOUNTS = Job(
    name="image-mounts",
    main=LOOK,
    objects={"image-mounts/x": b"1"},
    channels=[channel("fast", "image-mounts/", InputMode="FastFile")],
    request={
        "CheckpointConfig": {"S3Uri": "s3://journeys/mounts/kept", "LocalPath": "/own/checkpoints"}
    },
)


@pytest.mark.parametrize("folder", ["input", "model", "output"])
def test_the_platforms_folders_are_mounted_one_by_one(containers: Place, folder: str) -> None:
    mounts = containers.run(MOUNTS).look["mounts"]
    assert f"/opt/ml/{folder}" in mounts
    assert "/opt/ml" not in mounts


def test_a_fast_file_channel_cannot_be_written(containers: Place) -> None:
    assert "ro" in containers.run(MOUNTS).look["mounts"]["/opt/ml/input/data/fast"]


def test_checkpoints_lie_where_they_are_asked_for(containers: Place) -> None:
    assert "/own/checkpoints" in containers.run(MOUNTS).look["mounts"]


SIGNALS = """
import probe, signal, sys, time
def told(number, frame):
    probe.write("model/told", signal.Signals(number).name)
    sys.exit(0)
signal.signal(signal.SIGINT, told)
signal.signal(signal.SIGTERM, told)
print("training", flush=True)
while True:
    time.sleep(0.05)
"""


def test_the_images_own_stop_signal_is_sent(containers: Place) -> None:
    def stop(shed: object, name: str) -> None:
        shed.until_line(name, "training")  # type: ignore[attr-defined]
        shed.sagemaker.stop_training_job(TrainingJobName=name)  # type: ignore[attr-defined]

    job = Job(name="image-signal", image=IMAGE.format("settings"), main=SIGNALS, meanwhile=stop)
    assert containers.run(job).model == {"told": b"SIGINT"}


OUTSIDE = """
import os, probe, socket
found = ""
try:
    socket.create_connection(("169.254.170.2", 80), timeout=3)
except OSError as error:
    found = str(error)
probe.save(outside=found, address=probe.address("algo-1"))
"""
OPEN = Job(name="image-open", main=OUTSIDE)
ISOLATED = Job(name="image-isolated", main=OUTSIDE, request={"EnableNetworkIsolation": True})
ISOLATED_PEERS = Job(
    name="image-isolated-peers",
    nodes=2,
    main=f"{PEERS}\n{OUTSIDE}".replace(
        "probe.save(outside=found", "probe.save(outside=found, answers=answers"
    ),
    request={"EnableNetworkIsolation": True},
)


def test_a_container_reaches_its_machine(containers: Place) -> None:
    # Nothing listens on that port of it.
    assert containers.run(OPEN).look["outside"].endswith("refused")


def test_an_isolated_container_has_no_network(containers: Place) -> None:
    assert containers.run(ISOLATED).look["interfaces"] == ["lo"]


def test_an_isolated_container_still_finds_its_own_name(containers: Place) -> None:
    assert containers.run(ISOLATED).look["address"] == "127.0.0.1"


@pytest.mark.parametrize("job", [ISOLATED, ISOLATED_PEERS], ids=["one host", "two hosts"])
def test_an_isolated_container_reaches_nobody_outside(containers: Place, job: Job) -> None:
    assert containers.run(job).look["outside"].endswith(("unreachable", "timed out"))


@pytest.mark.parametrize("job", [ISOLATED, ISOLATED_PEERS], ids=["one host", "two hosts"])
def test_an_isolated_container_is_given_no_access(containers: Place, job: Job) -> None:
    found = set(containers.run(job).look["environment"])
    assert {name for name in found if "CREDENTIALS" in name or "ENDPOINT" in name} == set()


def test_isolated_hosts_reach_each_other(containers: Place) -> None:
    answers = containers.run(ISOLATED_PEERS).look["answers"]
    assert answers == {"algo-1": "algo-1", "algo-2": "algo-2"}


def test_isolated_hosts_have_their_channels_and_results_moved(containers: Place) -> None:
    assert set(containers.run(ISOLATED_PEERS).looks) == {"algo-1", "algo-2"}

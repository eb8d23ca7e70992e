"""Launchers of several processes: what they are started with.

The launchers here are stand-ins that look around and end; real ones are the business of the tests
of the toolkit and of the journeys on Docker.
"""

import pytest
from tests.contract.job import LOOK, Job
from tests.contract.place import Place

IMAGE = "trainshed-test/contract-launch"
"""Has a ``torchrun`` and an ``mpirun`` that save what they see."""


def torch(name: str, **changes: object) -> Job:
    parameters = {"sagemaker_torch_distributed_enabled": "true", "epochs": "3"}
    return launched(name, parameters, **changes)


def mpi(name: str, parameters: dict[str, str], **changes: object) -> Job:
    return launched(name, {"sagemaker_mpi_enabled": "true", "epochs": "3", **parameters}, **changes)


def launched(name: str, parameters: dict[str, str], **changes: object) -> Job:
    source = {"train.py": "raise SystemExit('started without its launcher')"}
    found = {"name": name, "source": source, "image": IMAGE, "hyperparameters": parameters}
    return Job(**{**found, **changes})  # type: ignore[arg-type]


TORCH = torch("torchrun")
TORCH_TWO = torch("torchrun-two", nodes=2)
TORCH_SHELL = torch(
    "torchrun-shell",
    source={"train.sh": "true"},
    hyperparameters={
        "sagemaker_torch_distributed_enabled": "true",
        "sagemaker_program": "train.sh",
    },
)
MPI = mpi("mpirun", {})
MPI_TWO = mpi(
    "mpirun-two",
    {
        "sagemaker_mpi_num_of_processes_per_host": "2",
        "sagemaker_mpi_custom_mpi_options": '"--NCCL_DEBUG WARN -x OWN=1 --verbose"',
    },
    nodes=2,
    request={"Environment": {"MINE": "kept"}},
)


def test_torchrun_on_one_host_is_told_the_processes_alone(place: Place) -> None:
    argv = place.run(TORCH).look["argv"]
    port = own_port(place, argv)
    assert argv[1:] == [
        "--nnodes",
        "1",
        "--nproc_per_node",
        "1",
        *port,
        "train.py",
        "--epochs",
        "3",
    ]


@pytest.mark.parametrize(("host", "rank"), [("algo-1", "0"), ("algo-2", "1")])
def test_torchrun_is_started_on_every_host_with_its_rank(
    place: Place, host: str, rank: str
) -> None:
    looks = place.run(TORCH_TWO).looks
    words = ["--nnodes", "2", "--nproc_per_node", "1", "--master_addr", "algo-1"]
    words += own_port(place, looks["algo-1"]["argv"]) or ["--master_port", "7777"]
    words += ["--node_rank", rank, "train.py", "--epochs", "3"]
    assert looks[host]["argv"][1:] == words


def own_port(place: Place, argv: list[str]) -> list[str]:
    """Return the words about the port that a job has where there is no container."""
    if place.runtime != "process":
        return []
    found = value(argv, "--master_port")
    assert 20_000 <= int(found) < 30_000
    return ["--master_port", found]


@pytest.mark.parametrize("name", ["NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME"])
def test_torchrun_is_told_the_network_interface(place: Place, name: str) -> None:
    seen = place.run(TORCH_TWO)
    interface = seen.config("resourceconfig")["network_interface_name"]
    assert seen.look["environment"][name] == interface


def test_torchrun_uses_the_simple_protocol(place: Place) -> None:
    assert place.run(TORCH).look["environment"]["NCCL_PROTO"] == "simple"


def test_torchrun_starts_no_shell_script(place: Place) -> None:
    reason = place.run(TORCH_SHELL).reason
    assert reason.startswith("AlgorithmError: torchrun starts Python files")


@pytest.mark.parametrize("name", ["SM_HOSTS", "SM_MODEL_DIR", "SM_HP_EPOCHS", "SM_TRAINING_ENV"])
def test_a_launcher_is_given_script_modes_variables(place: Place, name: str) -> None:
    assert name in place.run(TORCH).look["environment"]


def mpirun(place: Place, job: Job) -> list[str]:
    argv: list[str] = place.run(job).look["argv"]
    return argv[1:]


def value(words: list[str], *flag: str) -> str:
    """Return the word behind these."""
    starts = [n for n in range(len(words)) if tuple(words[n : n + len(flag)]) == flag]
    assert len(starts) == 1, (flag, words)
    return words[starts[0] + len(flag)]


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        (("--host",), "algo-1:2,algo-2:2"),
        (("-np",), "4"),
        (("-mca", "plm_rsh_no_tree_spawn"), "1"),
        (("-bind-to",), "none"),
        (("-map-by",), "slot"),
        (("-mca", "pml"), "ob1"),
        (("-mca", "btl"), "^openib"),
        (("-mca", "orte_abort_on_non_zero_status"), "1"),
        (("-mca", "btl_vader_single_copy_mechanism"), "none"),
    ],
    ids=lambda each: "-".join(each).strip("-") if isinstance(each, tuple) else "",
)
def test_mpirun_is_given_amazons_options(
    place: Place, flag: tuple[str, ...], expected: str
) -> None:
    assert value(mpirun(place, MPI_TWO), *flag) == expected


@pytest.mark.parametrize("option", ["btl_tcp_if_include", "oob_tcp_if_include"])
def test_mpirun_is_told_the_network_interface(place: Place, option: str) -> None:
    interface = place.run(MPI_TWO).config("resourceconfig")["network_interface_name"]
    assert value(mpirun(place, MPI_TWO), "-mca", option) == interface


@pytest.mark.parametrize("word", ["--allow-run-as-root", "--display-map", "--tag-output"])
def test_mpirun_is_given_amazons_switches(place: Place, word: str) -> None:
    assert word in mpirun(place, MPI_TWO)


@pytest.mark.parametrize(
    "variable",
    ["NCCL_MIN_NRINGS=4", "NCCL_DEBUG=WARN", "PATH", "LD_LIBRARY_PATH", "SM_HOSTS", "SM_HP_EPOCHS"],
)
def test_mpirun_hands_a_variable_on(place: Place, variable: str) -> None:
    words = mpirun(place, MPI_TWO)
    assert any(words[n : n + 2] == ["-x", variable] for n in range(len(words)))


@pytest.mark.parametrize("word", ["OWN=1", "--verbose"])
def test_mpirun_is_given_the_options_of_the_job(place: Place, word: str) -> None:
    assert word in mpirun(place, MPI_TWO)


def test_mpirun_starts_the_script_with_its_arguments(place: Place) -> None:
    assert mpirun(place, MPI_TWO)[-3:] == ["train.py", "--epochs", "3"]


def test_mpirun_runs_on_the_first_host_alone(place: Place) -> None:
    assert set(place.run(MPI_TWO).looks) == {"algo-1"}


def test_an_mpi_job_is_over_on_every_host_when_mpirun_is(place: Place) -> None:
    assert place.run(MPI_TWO).status == ("Completed", "Completed")


def test_mpirun_on_one_host_starts_one_process_unless_it_is_told(place: Place) -> None:
    words = mpirun(place, MPI)
    assert (value(words, "--host"), value(words, "-np")) == ("algo-1", "1")


@pytest.mark.parametrize(
    "name",
    [
        "sagemaker_parameter_server_enabled",
        "sagemaker_multi_worker_mirrored_strategy_enabled",
    ],
)
def test_a_launcher_that_only_amazons_images_have_is_refused(place: Place, name: str) -> None:
    short = name.removeprefix("sagemaker_").removesuffix("_enabled").replace("_", "-")
    job = Job(name=short, source={"train.py": LOOK}, hyperparameters={name: "true"})
    reason = place.run(job).reason
    assert reason.startswith(f"AlgorithmError: {name} asks for")
    assert "Running one process a host instead would not be what was asked" in reason

"""Which launcher is chosen, what a script of several hosts is told, and waiting for names."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.toolkit.conftest import Job

from trainshed.toolkit.failure import ToolkitError
from trainshed.toolkit.launchers import names, torchrun
from trainshed.toolkit.launchers.choice import choose

SHOWS = """\
import json, os
names = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "NNODES", "NUM_NODES", "RANK", "WORLD_SIZE",
         "NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME")
print(json.dumps({name: os.environ[name] for name in names if name in os.environ}))
"""
TWO = ["127.0.0.1", "127.0.0.2"]
"""Names that resolve everywhere."""


def told(job: Job) -> dict[str, str]:
    ended = job.run()
    assert ended.returncode == 0, ended.stderr
    found: dict[str, str] = json.loads(ended.stdout.splitlines()[-1])
    return found


def on_hosts(job: Job, hosts: list[str], current: str, **more: Any) -> None:
    resources = {"hosts": hosts, "current_host": current, "network_interface_name": "lo", **more}
    job.write_config(job.tree.resource_config, resources)


def program(folder: Path, name: str, text: str = '#!/bin/sh\necho "$0 $*"\n') -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def test_one_host_finds_itself(job: Job) -> None:
    job.code("train.py", SHOWS)
    assert told(job) == {
        "MASTER_ADDR": "algo-1",
        "MASTER_PORT": "7777",
        "NODE_RANK": "0",
        "NNODES": "1",
        "NUM_NODES": "1",
        "RANK": "0",
        "WORLD_SIZE": "1",
    }


def test_every_host_finds_the_first(job: Job) -> None:
    job.code("train.py", SHOWS)
    on_hosts(job, TWO, TWO[1])
    assert told(job) == {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "7777",
        "NODE_RANK": "1",
        "NNODES": "2",
        "NUM_NODES": "2",
        "RANK": "1",
        "WORLD_SIZE": "2",
        "NCCL_SOCKET_IFNAME": "lo",
        "GLOO_SOCKET_IFNAME": "lo",
    }


def test_jobs_without_containers_meet_at_ports_of_their_own(job: Job) -> None:
    job.code("train.py", SHOWS)
    on_hosts(job, TWO, TWO[0])

    def port(name: str) -> str:
        job.variables = {"TRAINING_JOB_NAME": name, "TRAINSHED_PYTHON": sys.executable}
        return told(job)["MASTER_PORT"]

    ports = {port("one"), port("two"), port("one")}
    assert len(ports) == 2
    assert all(20_000 <= int(each) < 30_000 for each in ports)


def test_what_the_job_sets_itself_is_never_changed(job: Job) -> None:
    job.code("train.py", SHOWS)
    job.variables = {"MASTER_PORT": "29500", "WORLD_SIZE": "16", "RANK": "3"}
    found = told(job)
    assert (found["MASTER_PORT"], found["WORLD_SIZE"], found["RANK"]) == ("29500", "16", "3")


def test_with_several_accelerators_the_script_numbers_its_own_processes(
    job: Job, tmp_path: Path
) -> None:
    job.code("train.py", SHOWS)
    program(tmp_path / "bin", "nvidia-smi", "#!/bin/sh\necho 'GPU 0: A'\necho 'GPU 1: A'\n")
    job.variables["PATH"] = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    found = told(job)
    assert found["NODE_RANK"] == "0"
    assert "RANK" not in found
    assert "WORLD_SIZE" not in found


def test_the_first_host_of_the_distribution_is_the_master_of_all(job: Job) -> None:
    job.code("train.py", SHOWS, sagemaker_distribution_instance_groups=["gpu"])
    groups = [
        {"instance_group_name": "cpu", "instance_type": "ml.c5.large", "hosts": TWO[:1]},
        {"instance_group_name": "gpu", "instance_type": "ml.g5.large", "hosts": TWO[1:]},
    ]
    on_hosts(job, TWO, TWO[0], instance_groups=groups, current_group_name="cpu")
    found = told(job)
    assert (found["MASTER_ADDR"], found["NODE_RANK"]) == (TWO[1], "1")


def test_where_names_are_a_file_a_script_that_needs_none_runs_without(job: Job) -> None:
    job.code("train.py", SHOWS)
    on_hosts(job, ["algo-1.invalid", "algo-2.invalid"], "algo-1.invalid")
    job.variables["TRAINSHED_PYTHON"] = sys.executable
    ended = job.run()
    assert ended.returncode == 0
    assert "no address is known for algo-1.invalid, algo-2.invalid" in ended.stdout


FACTS = {"current_instance_group": "gpu", "distribution_instance_groups": ["gpu"]}


@pytest.mark.parametrize(
    ("asked", "module"),
    [
        ({}, "plain"),
        ({"sagemaker_mpi_enabled": False}, "plain"),
        ({"sagemaker_mpi_enabled": True}, "mpi"),
        ({"sagemaker_torch_distributed_enabled": True}, "torchrun"),
        ({"sagemaker_pytorch_ddp_enabled": True}, "torchrun"),
        ({"sagemaker_mpi_enabled": True, "sagemaker_torch_distributed_enabled": True}, "mpi"),
    ],
)
def test_hyperparameters_choose_the_launcher(asked: dict[str, Any], module: str) -> None:
    assert choose(asked, FACTS).__module__ == f"trainshed.toolkit.launchers.{module}"  # type: ignore[attr-defined]


def test_a_host_outside_the_distribution_runs_the_script_alone() -> None:
    outside = {**FACTS, "current_instance_group": "cpu"}
    assert choose({"sagemaker_mpi_enabled": True}, outside).__module__.endswith("plain")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name",
    [
        "sagemaker_distributed_dataparallel_enabled",
        "sagemaker_parameter_server_enabled",
        "sagemaker_multi_worker_mirrored_strategy_enabled",
        "sagemaker_pytorch_xla_multi_worker_enabled",
    ],
)
def test_what_is_not_offered_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(ToolkitError, match=name):
        choose({name: True, "sagemaker_mpi_enabled": True}, FACTS)


def test_torchrun_of_the_image_is_taken(job: Job, tmp_path: Path) -> None:
    job.code("train.py", "", sagemaker_torch_distributed_enabled=True, lr=0.1)
    program(tmp_path / "bin", "torchrun")
    job.variables["PATH"] = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    ended = job.run()
    assert ended.stdout == (
        f"{tmp_path}/bin/torchrun --nnodes 1 --nproc_per_node 1 train.py --lr 0.1\n"
    )


def test_without_torchrun_on_the_path_the_module_behind_it_is_run(job: Job) -> None:
    job.code("train.py", "", sagemaker_torch_distributed_enabled=True)
    (job.tree.code / "torch" / "distributed").mkdir(parents=True)
    run = job.tree.code / "torch" / "distributed" / "run.py"
    run.write_text("import sys; print('module', sys.argv[1:])")
    job.variables["PATH"] = "/usr/bin:/bin"
    ended = job.run()
    assert ended.stdout == "module ['--nnodes', '1', '--nproc_per_node', '1', 'train.py']\n"


@pytest.mark.parametrize("name", ["go.sh", "train.R"])
def test_torchrun_refuses_what_is_no_python_file(job: Job, name: str) -> None:
    job.code(name, "#!/bin/sh\n", sagemaker_torch_distributed_enabled=True)
    assert job.run().returncode == 1
    assert "torchrun starts Python files" in job.failure


@pytest.mark.parametrize("count", ["0", "-1", "many", "true", "1.5"])
def test_a_number_of_processes_that_is_none_is_refused(job: Job, count: str) -> None:
    job.code("train.py", "", sagemaker_torch_distributed_enabled=True)
    values = json.loads(job.tree.hyperparameters.read_text())
    values["sagemaker_mpi_num_of_processes_per_host"] = count
    job.write_config(job.tree.hyperparameters, values)
    assert job.run().returncode == 1
    assert "must be a whole number from 1 on" in job.failure


TORCHRUN_SAYS = """\
[rank1]: Traceback (most recent call last):
[rank1]:   File "/opt/ml/code/train.py", line 6, in <module>
[rank1]: ValueError: no loss
[rank0]: Traceback (most recent call last):
[rank0]: RuntimeError: connection closed by peer
Traceback (most recent call last):
  File "/usr/local/lib/python3.11/dist-packages/torch/distributed/run.py", line 1028, in main
    raise ChildFailedError(
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
Root Cause (first observed failure):
[0]:
  time      : 2026-11-22_05:29:31
  host      : algo-2
  rank      : 1 (local_rank: 1)
  exitcode  : -9 (pid: 11)
"""


def test_torchruns_own_traceback_does_not_hide_the_scripts() -> None:
    text = torchrun.explained(1, TORCHRUN_SAYS, ["torchrun", "train.py"])
    assert "ValueError: no loss" in text
    assert "ChildFailedError" not in text
    assert "connection closed" not in text
    assert "rank 1 on algo-2 failed first (exit code -9)" in text


SIGNALLED = """\
Traceback (most recent call last):
  File "/usr/local/lib/python3.11/dist-packages/torch/distributed/run.py", line 1028, in main
    time.sleep(monitor_interval)
torch.distributed.elastic.multiprocessing.api.SignalException: Process 7 got signal: 15
"""


def test_a_script_that_failed_before_torchrun_was_told_to_stop_gives_the_reason() -> None:
    failed = TORCHRUN_SAYS.splitlines(keepends=True)[:3]
    text = torchrun.explained(1, "".join(failed) + SIGNALLED, ["torchrun", "train.py"])
    assert "ValueError: no loss" in text
    assert "SignalException" not in text


def test_a_torchrun_that_was_told_to_stop_says_so() -> None:
    assert "got signal: 15" in torchrun.explained(1, SIGNALLED, ["torchrun", "train.py"])


class Clock(names.Clock):
    """Time that passes by sleeping only."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def test_names_are_asked_for_again_until_they_resolve(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()

    def resolve(host: str) -> None:
        if host == "algo-2" and clock.now() < 100:
            raise OSError(host)

    names.wait(["algo-1", "algo-2"], resolve=resolve, clock=clock)
    assert clock.slept[:3] == [0.1, 0.2, 0.4]
    assert max(clock.slept) == 30
    assert 100 <= clock.now() < 130
    said = "trainshed: waiting for the names of other hosts to resolve: algo-2\n"
    assert capsys.readouterr().out == said


def test_names_that_never_resolve_fail_the_job_after_15_minutes() -> None:
    clock = Clock()

    def resolve(host: str) -> None:
        raise OSError(host)

    with pytest.raises(ToolkitError, match="no address is known for algo-2, asked for 900 s"):
        names.wait(["algo-2"], resolve=resolve, clock=clock)
    assert clock.now() == pytest.approx(900)

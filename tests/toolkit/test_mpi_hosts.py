"""Real MPI over containers of an image with Open MPI and mpi4py, which knows no SageMaker."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.toolkit.containers import Hosts, docker

pytestmark = pytest.mark.docker

SUM = """\
import os, sys
from mpi4py import MPI
world = MPI.COMM_WORLD
total = world.allreduce(world.rank + 1)
print("total", total, "of", world.size, os.environ["SM_CURRENT_HOST"], os.getcwd(), sys.argv[1:])
print([name for name in os.environ if name.startswith("TRAINSHED")])
"""
RAISES = SUM + "if world.rank == 1: raise ValueError('rank one cannot go on')\nworld.barrier()\n"
WAITS = """\
import signal
from mpi4py import MPI
print("ready", MPI.COMM_WORLD.allreduce(1), flush=True)
signal.pause()
"""


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    made = Hosts(tmp_path, "trainshed-test/mpi:latest", 2)
    yield made
    made.close()


def test_two_hosts_add_up_over_mpi(hosts: Hosts) -> None:
    hosts.start(
        "train.py",
        SUM,
        sagemaker_mpi_enabled=True,
        sagemaker_mpi_num_of_processes_per_host=2,
        sagemaker_mpi_custom_mpi_options=(
            "-verbose --NCCL_DEBUG=INFO -x OMPI_MCA_btl_vader_single_copy_mechanism=none"
        ),
        lr=0.1,
    )
    assert hosts.wait() == [0, 0]
    log = hosts.log("algo-1")
    for rank, host in enumerate(["algo-1", "algo-1", "algo-2", "algo-2"]):
        told = f"total 10 of 4 {host} /opt/ml/code ['--lr', '0.1']"
        assert f"[1,{rank}]<stdout>:{told}" in log
        assert f"[1,{rank}]<stdout>:[]" in log


def test_an_exception_in_one_process_fails_all_by_its_rank_and_host(hosts: Hosts) -> None:
    hosts.start("train.py", RAISES, sagemaker_mpi_enabled=True)
    assert hosts.wait() == [1, 1]
    for host in hosts.names:
        failure = hosts.failure(host)
        assert "rank 1 on algo-2 failed first" in failure
        assert 'File "train.py", line 7' in failure
        assert "ValueError: rank one cannot go on" in failure


def test_a_worker_that_is_killed_fails_the_job_by_its_name(hosts: Hosts) -> None:
    hosts.start("train.py", WAITS, sagemaker_mpi_enabled=True)
    hosts.await_line("algo-1", "ready 2")
    docker("kill", hosts.container("algo-2"))
    first, second = hosts.wait()
    assert first != 0
    assert second == 137
    assert "algo-2" in hosts.failure("algo-1").split("Command")[0]


def test_when_the_first_host_is_killed_the_worker_ends(hosts: Hosts) -> None:
    hosts.start("train.py", WAITS, sagemaker_mpi_enabled=True)
    hosts.await_line("algo-1", "ready 2")
    docker("kill", hosts.container("algo-1"))
    assert hosts.wait() == [137, 1]
    assert "the connection to the first host broke" in hosts.failure("algo-2")


def test_sigterm_to_all_ends_all(hosts: Hosts) -> None:
    hosts.start("train.py", WAITS, sagemaker_mpi_enabled=True)
    hosts.await_line("algo-1", "ready 2")
    for host in hosts.names:
        docker("kill", "--signal", "TERM", hosts.container(host))
    assert 0 not in hosts.wait()


def test_who_does_not_know_the_secret_is_refused(hosts: Hosts) -> None:
    hosts.start("train.py", SUM, {"algo-2": "another" * 8}, sagemaker_mpi_enabled=True)
    assert docker("wait", hosts.container("algo-1")) == "1"
    assert "does not take this job's secret" in hosts.failure("algo-1")
    hosts.await_line("algo-2", "refused a connection")
    assert "total" not in hosts.log("algo-1")


def test_one_host_needs_no_secret(tmp_path: Path) -> None:
    alone = Hosts(tmp_path, "trainshed-test/mpi:latest", 1)
    try:
        alone.start(
            "train.py",
            SUM,
            {"algo-1": ""},
            sagemaker_mpi_enabled=True,
            sagemaker_mpi_num_of_processes_per_host=2,
        )
        assert alone.wait() == [0]
        assert "total 3 of 2 algo-1" in alone.log("algo-1")
    finally:
        alone.close()

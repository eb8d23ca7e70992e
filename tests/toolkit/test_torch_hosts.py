"""Real PyTorch over containers of an image that has it, and knows no SageMaker."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.toolkit.containers import Hosts

pytestmark = pytest.mark.docker

SUM = """\
import os, sys, torch
import torch.distributed as dist
dist.init_process_group("gloo")
total = torch.ones(1) * (dist.get_rank() + 1)
dist.all_reduce(total)
host, size = os.environ["SM_CURRENT_HOST"], dist.get_world_size()
# In one piece: two processes write to one stream, and nothing is buffered.
sys.stdout.write(f"total {int(total)} of {size} {host} {sys.argv[1:]}\\n")
if "--fail" in sys.argv and dist.get_rank() == 2:
    raise ValueError("rank two cannot go on")
dist.barrier()
dist.destroy_process_group()
"""


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    made = Hosts(tmp_path, "trainshed-test/torch:latest", 2)
    yield made
    made.close()


def test_two_hosts_add_up_under_torchrun(hosts: Hosts) -> None:
    hosts.start(
        "train.py",
        SUM,
        sagemaker_torch_distributed_enabled=True,
        sagemaker_mpi_num_of_processes_per_host=2,
    )
    assert hosts.wait() == [0, 0]
    for host in hosts.names:
        assert hosts.log(host).count(f"total 10 of 4 {host} []") == 2


def test_the_process_that_failed_first_is_named(hosts: Hosts) -> None:
    hosts.start(
        "train.py",
        SUM,
        sagemaker_pytorch_ddp_enabled=True,
        sagemaker_mpi_num_of_processes_per_host=2,
        fail=True,
    )
    assert hosts.wait()[1] == 1
    assert "rank 2 on algo-2 failed first" in hosts.failure("algo-2")
    assert "ValueError: rank two cannot go on" in hosts.failure("algo-2")


def test_programs_of_torch_distributed_find_each_other_without_a_launcher(hosts: Hosts) -> None:
    hosts.start("train.py", SUM)
    assert hosts.wait() == [0, 0]
    for host in hosts.names:
        assert f"total 3 of 2 {host} []" in hosts.log(host)

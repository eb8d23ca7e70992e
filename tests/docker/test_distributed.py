"""Two hosts that learn together, by MPI and by torchrun, and what becomes of them when one dies."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.docker.engine import kill
from tests.docker.shed import DockerShed
from tests.journeys.shed import read_json, until

pytestmark = pytest.mark.docker

MPI = "trainshed-test/mpi"
TORCH = "trainshed-test/torch"
BY_MPI = {"sagemaker_mpi_enabled": "true", "sagemaker_mpi_num_of_processes_per_host": "2"}
BY_TORCHRUN = {"sagemaker_torch_distributed_enabled": "true"}
PATIENCE = 60.0
"""Most seconds between a host's death and the job's failure; the figure itself is printed."""


def learned(ranks: Iterable[int]) -> float:
    """Return what three steps of 0.01 make of 0 where rank r holds the point (r + 1, 3 r + 3)."""
    squares = [(rank + 1) ** 2 for rank in ranks]
    weight = 0.0
    for _ in range(3):
        weight -= 0.01 * sum(2 * (weight - 3) * square for square in squares) / len(squares)
    return weight


def said(shed: DockerShed, name: str, pattern: str) -> list[re.Match[str]]:
    """Return where lines of either host have this in them."""
    lines = [line for host in ("algo-1", "algo-2") for line in shed.lines(name, host)]
    return [found for line in lines for found in re.finditer(pattern, line)]


def test_four_ranks_of_mpi_on_two_hosts_add_up(shed: DockerShed) -> None:
    name = shed.run_script("mpi_sums.py", MPI, nodes=2, HyperParameters=BY_MPI)
    shed.completed(name)
    totals = said(shed, name, r"rank=(\d) size=4 host=(algo-\d) total=\[ ?4\. +6\. +14\.\]")
    assert sorted((found[1], found[2]) for found in totals) == [
        ("0", "algo-1"),
        ("1", "algo-1"),
        ("2", "algo-2"),
        ("3", "algo-2"),
    ]
    weights = said(shed, name, r"rank=(\d) weight=([0-9.]+)")
    assert sorted(found[1] for found in weights) == ["0", "1", "2", "3"]
    assert [float(found[2]) for found in weights] == pytest.approx([learned(range(4))] * 4)
    model = read_json(shed.archive(name)["model.json"])
    assert model["total"] == [4, 6, 14]
    assert [rank[:2] for rank in model["ranks"]] == [
        ["algo-1", "algo-1"],
        ["algo-1", "algo-1"],
        ["algo-2", "algo-2"],
        ["algo-2", "algo-2"],
    ]
    assert [rank[2] for rank in model["ranks"]] == pytest.approx([learned(range(4))] * 4)
    shed.nothing_left()


def test_two_hosts_of_torchrun_average_their_gradients(shed: DockerShed) -> None:
    name = shed.run_script("ddp_sums.py", TORCH, nodes=2, HyperParameters=BY_TORCHRUN)
    shed.completed(name)
    totals = said(shed, name, r"rank=(\d) size=2 total=\[2\.0, 1\.0, 1\.0\]")
    assert sorted(found[1] for found in totals) == ["0", "1"]
    weights = said(shed, name, r"rank=(\d) weight=([0-9.]+)")
    assert [float(found[2]) for found in weights] == pytest.approx([learned(range(2))] * 2)
    kept = {file: read_json(text) for file, text in shed.archive(name).items()}
    assert {file: (told["rank"], told["host"]) for file, told in kept.items()} == {
        "rank-0.json": (0, "algo-1"),
        "rank-1.json": (1, "algo-2"),
    }
    assert [told["weight"] for told in kept.values()] == pytest.approx([learned(range(2))] * 2)
    shed.nothing_left()


@pytest.mark.parametrize(
    ("program", "image", "launcher"),
    [("mpi_sums.py", MPI, BY_MPI), ("ddp_sums.py", TORCH, BY_TORCHRUN)],
    ids=["mpi", "torchrun"],
)
def test_a_host_that_is_killed_fails_the_job_by_name(
    shed: DockerShed,
    record_property: Callable[[str, object], None],
    program: str,
    image: str,
    launcher: dict[str, str],
) -> None:
    hyperparameters = {**launcher, "wait": ""}
    name = shed.run_script(program, image, nodes=2, HyperParameters=hyperparameters)
    until(lambda: has_begun(shed, name), lambda: f"{shed.describe(name)}", timeout=90)
    (second,) = shed.containers(job=name, host="algo-2")
    killed = datetime.now(UTC)
    kill(second)
    told = shed.over(name, timeout=PATIENCE)
    assert told["TrainingJobStatus"] == "Failed"
    assert "(algo-2)" in told["FailureReason"]
    assert "SIGKILL" in told["FailureReason"]
    took = seconds(told["TrainingEndTime"], killed)
    record_property(
        "figure", f"{image}: failed {took:.1f} s after algo-2 was killed; required: 10 s"
    )
    assert took < PATIENCE
    shed.nothing_left()


def has_begun(shed: DockerShed, name: str) -> bool:
    if shed.describe(name)["SecondaryStatus"] not in {"Starting", "Downloading", "Training"}:
        raise AssertionError(f"it is over: {shed.describe(name)}")
    try:
        return len(said(shed, name, r"rank=\d size=\d .*total=")) >= 2
    except shed.logs.exceptions.ResourceNotFoundException:
        return False


def seconds(end: Any, begin: datetime) -> float:
    return float((end - begin).total_seconds())

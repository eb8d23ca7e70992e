"""Nodes that are kept for the next job: who gets them, what they keep, and when that is gone."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.conftest import nothing_left, settings
from tests.journeys.shed import ROLE, Shed, until

from trainshed.testing.server import TRAINSHED, Server

VARIABLE = "SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"
USES = f"""
import os, pathlib, sys, time
place = os.environ.get({VARIABLE!r})
if place is None:
    print("no cache", flush=True)
else:
    found = sorted(each.name for each in pathlib.Path(place).iterdir())
    print(place, *found, flush=True)
    (pathlib.Path(place) / os.environ["TRAINING_JOB_NAME"]).mkdir()
while "GATE" in os.environ and not os.path.exists(os.environ["GATE"]):
    time.sleep(0.02)
sys.exit(int(os.environ.get("CODE", "0")))
"""
PLACE = "/opt/ml/sagemaker/warmpoolcache"


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    folder = tmp_path_factory.mktemp("warm")
    with Server(folder / "data", settings(folder, max_nodes=12)) as server:
        yield Shed(server, folder)
        assert nothing_left(server) == []


def resources(instance_type: str = "ml.m5.large", nodes: int = 1, keep: int = 600) -> Any:
    kept = {"KeepAlivePeriodInSeconds": keep} if keep else {}
    return {
        "InstanceType": instance_type,
        "InstanceCount": nodes,
        "VolumeSizeInGB": 10,
        **kept,
    }


def run(shed: Shed, **changes: Any) -> dict[str, Any]:
    """Return what is told of a job once it is over and its nodes are gone or wait."""
    name = shed.create(USES, **{"ResourceConfig": resources(), **changes})
    return settled(shed, name)


def settled(shed: Shed, name: str) -> dict[str, Any]:
    shed.until_status(name, "Completed", "Failed", "Stopped")
    until(lambda: not any(shed.server.remains()), lambda: str(shed.server.remains()))
    return shed.describe(name)


def held(shed: Shed, name: str, host: str = "algo-1") -> list[str]:
    """Return what a job found in its cache: the names of the jobs before it."""
    place, *found = shed.lines(name, host)[-1].split()
    assert place == PLACE
    return found


def pool(shed: Shed, name: str) -> dict[str, Any]:
    return dict(shed.describe(name).get("WarmPoolStatus", {}))


def let_go(shed: Shed, name: str) -> None:
    """Let the nodes go that a job keeps, and return once nothing is kept."""
    shed.sagemaker.update_training_job(
        TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 0}
    )
    until(lambda: pool(shed, name)["Status"] == "Terminated")
    until(lambda: not folders(shed), lambda: str(folders(shed)))


def folders(shed: Shed) -> list[Path]:
    """Return what pools keep on this machine."""
    return [each for each in shed.server.data.glob("pools/*") if each.is_dir()]


def test_the_next_job_that_matches_gets_the_nodes_and_what_they_keep(shed: Shed) -> None:
    first = run(shed)["TrainingJobName"]
    assert held(shed, first) == []
    assert pool(shed, first) == {"Status": "Available"}
    gate = shed.folder / "gate"
    second = shed.create(USES, ResourceConfig=resources(), Environment={"GATE": str(gate)})
    until(lambda: pool(shed, second).get("Status") == "InUse")
    gate.touch()
    settled(shed, second)
    told = pool(shed, first)
    assert (told["Status"], told["ReusedByJob"]) == ("Reused", second)
    assert told["ResourceRetainedBillableTimeInSeconds"] >= 0
    assert held(shed, second) == [first]
    listed = shed.sagemaker.list_training_jobs(WarmPoolStatusEquals="Available")
    assert [each["TrainingJobName"] for each in listed["TrainingJobSummaries"]] == [second]

    # Another type is no match: it has nodes of its own, and the pool waits on.
    third = run(shed, ResourceConfig=resources("ml.c5.xlarge"))["TrainingJobName"]
    assert held(shed, third) == []
    assert pool(shed, second) == {"Status": "Available"}
    said = subprocess.run(
        [TRAINSHED, "describe", first, "--data-dir", shed.server.data],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"taken over by {second}" in said.stdout
    let_go_one(shed, third)
    assert len(folders(shed)) == 1
    let_go(shed, second)
    assert run(shed, ResourceConfig=resources(keep=0)).get("WarmPoolStatus") is None


def let_go_one(shed: Shed, name: str) -> None:
    before = len(folders(shed))
    shed.sagemaker.update_training_job(
        TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 0}
    )
    until(lambda: len(folders(shed)) == before - 1)


OTHERS: dict[str, dict[str, Any]] = {
    "role": {"RoleArn": f"{ROLE}-of-another"},
    "isolation": {"EnableNetworkIsolation": True},
    "encryption": {"EnableInterContainerTrafficEncryption": True},
    "network": {"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}},
    "volume": {"ResourceConfig": {**resources(), "VolumeSizeInGB": 11}},
    "key": {"ResourceConfig": {**resources(), "VolumeKmsKeyId": "another"}},
    "count": {"ResourceConfig": resources(nodes=2)},
}
"""Whoever differs from the job that ``run`` creates in any one of these is no match for it."""


def test_a_job_that_asks_for_something_else_gets_other_nodes(shed: Shed) -> None:
    kept = run(shed)["TrainingJobName"]
    others = {
        what: shed.create(USES, **{"ResourceConfig": resources(), **changes})
        for what, changes in OTHERS.items()
    }
    for name in others.values():
        settled(shed, name)
    assert {what: held(shed, name) for what, name in others.items()} == {
        what: [] for what in others
    }
    assert pool(shed, kept) == {"Status": "Available"}
    for name in others.values():
        shed.sagemaker.update_training_job(
            TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 0}
        )
    until(lambda: len(folders(shed)) == 1)
    let_go(shed, kept)


def test_hyperparameters_image_and_data_may_differ_and_failing_loses_nothing(shed: Shed) -> None:
    first = run(shed, Environment={"CODE": "3"})
    assert first["TrainingJobStatus"] == "Failed"
    assert first["WarmPoolStatus"] == {"Status": "Available"}
    second = run(
        shed,
        HyperParameters={"epochs": "2"},
        algorithm={"TrainingImage": "another:1"},
        ResourceConfig=resources(keep=900),
    )
    assert held(shed, second["TrainingJobName"]) == [first["TrainingJobName"]]
    # One without a period may have the nodes, but does not keep them.
    third = run(shed, ResourceConfig=resources(keep=0))
    assert "WarmPoolStatus" not in third
    assert first["TrainingJobName"] in held(shed, third["TrainingJobName"])
    until(lambda: not folders(shed))
    assert pool(shed, second["TrainingJobName"])["ReusedByJob"] == third["TrainingJobName"]


def test_without_a_period_there_is_no_cache(shed: Shed) -> None:
    name = run(shed, ResourceConfig=resources(keep=0))["TrainingJobName"]
    assert shed.lines(name)[-1] == "no cache"
    assert not folders(shed)


def test_each_host_has_a_cache_of_its_own_and_idle_nodes_go_by_themselves(shed: Shed) -> None:
    first = run(shed, ResourceConfig=resources(nodes=2))["TrainingJobName"]
    (folder,) = folders(shed)
    for host in ("algo-1", "algo-2"):
        assert (folder / host / "cache" / first).is_dir()
    second = run(shed, ResourceConfig=resources(nodes=2, keep=1))["TrainingJobName"]
    for host in ("algo-1", "algo-2"):
        assert held(shed, second, host) == [first]
    until(lambda: pool(shed, second).get("Status") == "Terminated")
    until(lambda: not folders(shed))
    assert pool(shed, second)["ResourceRetainedBillableTimeInSeconds"] == 1


def test_what_a_pool_keeps_outlives_a_crash_of_the_server_and_goes_after_it(shed: Shed) -> None:
    first = run(shed)["TrainingJobName"]
    shed.server.kill()
    shed.server.start()
    shed.connect()
    assert pool(shed, first) == {"Status": "Available"}
    second = run(shed, ResourceConfig=resources(keep=1))["TrainingJobName"]
    assert held(shed, second) == [first]
    shed.server.kill()
    shed.server.start()
    shed.connect()
    until(lambda: not folders(shed), lambda: str(pool(shed, second)))


def test_a_job_whose_nodes_are_kept_can_be_deleted_only_once_they_are_not(shed: Shed) -> None:
    name = run(shed)["TrainingJobName"]
    with pytest.raises(shed.sagemaker.exceptions.ResourceInUse, match="kept warm"):
        shed.sagemaker.delete_training_job(TrainingJobName=name)
    let_go(shed, name)
    shed.forget(name)


def test_what_no_job_needs_is_found_as_garbage(shed: Shed) -> None:
    name = run(shed)["TrainingJobName"]
    lost = shed.server.data / "pools" / "0123456789ab.1" / "algo-1" / "cache"
    lost.mkdir(parents=True)
    asked = [str(TRAINSHED), "gc", "--json", "--data-dir", str(shed.server.data)]
    ran = subprocess.run(asked, capture_output=True, text=True, check=False)
    found = [each for each in json.loads(ran.stdout) if each["Kind"] == "warm pool"]
    assert [(Path(each["Name"]).name, each["Removed"]) for each in found] == [
        ("0123456789ab.1", True)
    ]
    assert len(folders(shed)) == 1
    let_go(shed, name)

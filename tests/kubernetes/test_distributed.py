"""Two pods that learn together by torchrun: from the last checkpoint on, when one of them goes."""

import re

import pytest
from tests.journeys.shed import BUCKET, read_json, until
from tests.kubernetes import images
from tests.kubernetes.shed import PodShed

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(600)]

BY_TORCHRUN = {"sagemaker_torch_distributed_enabled": "true"}
STEPS, SAVED_EVERY, RATE = 120, 10, 0.002


def learned() -> float:
    """Return what all steps make of 0 where rank r holds the point (r + 1, 3 r + 3)."""
    weight = 0.0
    for _ in range(STEPS):
        weight -= RATE * sum(2 * (weight - 3) * x * x for x in (1.0, 2.0)) / 2
    return weight


def torchrun(shed: PodShed, *words: str, **changes: object) -> str:
    hyperparameters = {**BY_TORCHRUN, **dict.fromkeys(words, "")}
    return shed.run_script(
        "ddp_resumes.py", images.TORCH, nodes=2, HyperParameters=hyperparameters, **changes
    )


def begins(shed: PodShed, name: str, host: str) -> list[int]:
    """Return at which steps the programs of a host began, attempt by attempt."""
    told = (re.search(r"begins at step (\d+)", line) for line in shed.lines(name, host))
    return [int(found[1]) for found in told if found]


def test_two_pods_of_torchrun_add_up(shed: PodShed) -> None:
    name = torchrun(shed)
    shed.completed(name)
    model = read_json(shed.archive(name)["model.json"])
    assert (model["step"], model["size"]) == (STEPS, 2)
    assert model["weight"] == pytest.approx(learned())
    shed.nothing_left()


def test_a_deleted_pod_leads_to_an_attempt_from_the_last_checkpoint(shed: PodShed) -> None:
    name = torchrun(
        shed,
        "slowly",
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/resumes"},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
    )
    until(lambda: bool(shed.keys("resumes/")), timeout=120)
    (pod,) = (each for each in shed.pods(name) if each["spec"]["hostname"] == "algo-2")
    shed.cluster.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
    told = shed.completed(name, timeout=160)
    assert read_json(shed.archive(name)["model.json"])["weight"] == pytest.approx(learned())
    interrupted = [
        each for each in told["SecondaryStatusTransitions"] if each["Status"] == "Interrupted"
    ]
    assert (
        "algo-2" in interrupted[0]["StatusMessage"] or "deleted" in interrupted[0]["StatusMessage"]
    )
    steps = begins(shed, name, "algo-1")
    assert steps[0] == 0
    assert len(steps) == 2
    assert steps[1] >= SAVED_EVERY
    shed.nothing_left()


def test_a_rank_that_fails_fails_the_job_with_its_reason(shed: PodShed) -> None:
    name = torchrun(shed, "fail")
    told = shed.over(name)
    assert told["TrainingJobStatus"] == "Failed"
    assert "the data of rank 1 is no data" in told["FailureReason"]
    assert "(algo-2)" in told["FailureReason"]
    shed.nothing_left()

"""Containers that are stopped: those that save, those that will not listen, those out of time."""

from collections.abc import Callable

import pytest
from tests.docker.shed import DockerShed

pytestmark = pytest.mark.docker


def stop(shed: DockerShed, name: str) -> None:
    shed.sagemaker.stop_training_job(TrainingJobName=name)


def seconds_of(told: dict, status: str) -> float:
    """Return how long a job was in a status."""
    (found,) = (each for each in told["SecondaryStatusTransitions"] if each["Status"] == status)
    return (found["EndTime"] - found["StartTime"]).total_seconds()


def test_a_container_that_saves_is_given_time_and_its_model_is_kept(shed: DockerShed) -> None:
    name = shed.run("saves.py")
    shed.until_line(name, "training")
    stop(shed, name)
    told = shed.over(name)
    assert (told["TrainingJobStatus"], told["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "FailureReason" not in told
    assert shed.archive(name) == {"checkpoint.txt": b"epoch 3"}
    assert shed.lines(name)[-1] == "asked to stop"
    assert seconds_of(told, "Stopping") >= 1


def test_script_mode_in_a_plain_image_passes_the_wish_on(shed: DockerShed) -> None:
    name = shed.run_script("saves.py", "trainshed-test/python:base")
    shed.until_line(name, "training")
    stop(shed, name)
    assert shed.over(name)["TrainingJobStatus"] == "Stopped"
    assert shed.archive(name) == {"checkpoint.txt": b"epoch 3"}


def test_a_container_that_ignores_it_is_killed_after_its_grace(
    shed: DockerShed, record_property: Callable[[str, object], None]
) -> None:
    """``stop_seconds`` is 4 here; 120 is the default, and the service's."""
    name = shed.run("stubborn.py")
    shed.until_line(name, "training")
    stop(shed, name)
    told = shed.over(name)
    assert told["TrainingJobStatus"] == "Stopped"
    assert shed.lines(name).count("heard, and goes on") == 1  # process 1 alone is asked
    assert shed.archive(name) == {"half.txt": b"half a model"}
    took = seconds_of(told, "Stopping")
    record_property(
        "figure", f"killed and carried out {took:.1f} s after the stop, with a grace of 4 s"
    )
    assert took >= 4
    shed.nothing_left()


def test_a_container_that_is_out_of_time_is_stopped_and_keeps_its_model(shed: DockerShed) -> None:
    name = shed.run("saves.py", StoppingCondition={"MaxRuntimeInSeconds": 5})
    told = shed.over(name)
    assert told["TrainingJobStatus"] == "Stopped"
    assert told["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert shed.archive(name) == {"checkpoint.txt": b"epoch 3"}

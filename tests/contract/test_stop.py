"""StopTrainingJob and MaxRuntimeInSeconds."""

import pytest
from tests.contract.images import STOP_SECONDS
from tests.contract.job import Job
from tests.contract.place import Place
from tests.journeys.shed import Shed

SAVES = """
import os, probe, signal, sys, time
def save(number, frame):
    print("asked to stop by", signal.Signals(number).name, flush=True)
    probe.write("model/checkpoint", "epoch 3")
    probe.write("output/data/report", "saved")
    sys.exit({code})
signal.signal(signal.SIGTERM, save)
print("training", flush=True)
while True:
    time.sleep(0.05)
"""
PASSES_ON = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", '''
import signal, sys, time
def told(number, frame):
    print("the child was told", flush=True)
signal.signal(signal.SIGTERM, told)
print("training", flush=True)
while True:
    time.sleep(0.05)
'''])
def end(number, frame):
    print("process 1 was told", flush=True)
    time.sleep(0.5)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
child.wait()
"""
GOES_ON = """
import probe, signal, time
ends = []
signal.signal(signal.SIGTERM, lambda *_: ends.append(time.monotonic() + 1.5))
print("training", flush=True)
while not ends or time.monotonic() < ends[0]:
    time.sleep(0.05)
probe.write("model/late", "finished after all")
"""


DEAF = """
import probe, signal, time
signal.signal(signal.SIGTERM, lambda *_: print("heard, and goes on", flush=True))
probe.write("model/step-1", "1")
print("training", flush=True)
while True:
    time.sleep(0.05)
"""


def stop(shed: Shed, name: str) -> None:
    shed.until_line(name, "training")
    shed.sagemaker.stop_training_job(TrainingJobName=name)


def stop_both(shed: Shed, name: str) -> None:
    shed.until_line(name, "training", "algo-2")
    stop(shed, name)


STOPPED = Job(name="stopped", main=SAVES.format(code=0), meanwhile=stop)
STOPPED_BADLY = Job(name="stopped-badly", main=SAVES.format(code=9), meanwhile=stop)
UNHEARD = Job(
    name="stopped-deaf-child",
    main=PASSES_ON,
    meanwhile=stop,
)
LATE = Job(name="stopped-late", main=GOES_ON, meanwhile=stop)
KILLED = Job(name="stopped-killed", main=DEAF, meanwhile=stop)
BOTH = Job(name="stopped-both", main=SAVES.format(code=0), nodes=2, meanwhile=stop_both)
LIMIT = Job(
    name="limit",
    main=SAVES.format(code=0),
    request={"StoppingCondition": {"MaxRuntimeInSeconds": 1}},
)
DEFAULT = Job(name="limit-none", main="pass", request={"StoppingCondition": {}})


@pytest.mark.parametrize(
    ("job", "status"),
    [
        (STOPPED, ("Stopped", "Stopped")),
        (STOPPED_BADLY, ("Stopped", "Stopped")),
        (LATE, ("Stopped", "Stopped")),
        (KILLED, ("Stopped", "Stopped")),
        (BOTH, ("Stopped", "Stopped")),
        (LIMIT, ("Stopped", "MaxRuntimeExceeded")),
    ],
    ids=lambda each: each.name if isinstance(each, Job) else "",
)
def test_a_job_that_was_stopped_has_this_status(
    place: Place, job: Job, status: tuple[str, str]
) -> None:
    assert place.run(job).status == status


@pytest.mark.parametrize("job", [STOPPED, STOPPED_BADLY, LIMIT], ids=lambda job: job.name)
def test_a_job_that_was_stopped_has_no_failure_reason(place: Place, job: Job) -> None:
    assert "FailureReason" not in place.run(job).told


@pytest.mark.parametrize("job", [STOPPED, STOPPED_BADLY, LIMIT], ids=lambda job: job.name)
def test_the_program_is_told_by_sigterm(place: Place, job: Job) -> None:
    lines = place.run(job).lines["algo-1"]
    assert lines.count("asked to stop by SIGTERM") == 1


@pytest.mark.parametrize("job", [STOPPED, STOPPED_BADLY, LIMIT], ids=lambda job: job.name)
def test_what_is_saved_after_sigterm_is_the_model(place: Place, job: Job) -> None:
    assert place.run(job).model == {"checkpoint": b"epoch 3"}


def test_what_else_is_saved_after_sigterm_is_kept(place: Place) -> None:
    assert place.run(STOPPED).output == {"report": b"saved"}


def test_sigterm_goes_to_the_first_process_alone(place: Place) -> None:
    lines = place.run(UNHEARD).lines["algo-1"]
    assert "process 1 was told" in lines
    assert "the child was told" not in lines


def test_nothing_of_the_container_outlives_its_first_process(place: Place) -> None:
    # Its child goes on for ever.
    assert place.run(UNHEARD).status == ("Stopped", "Stopped")


def test_a_program_that_goes_on_is_given_its_time(place: Place) -> None:
    assert place.run(LATE).model == {"late": b"finished after all"}


def test_a_program_that_does_not_end_is_killed_when_its_time_is_over(place: Place) -> None:
    seen = place.run(KILLED)
    stopping = next(
        each for each in seen.told["SecondaryStatusTransitions"] if each["Status"] == "Stopping"
    )
    seconds = (stopping["EndTime"] - stopping["StartTime"]).total_seconds()
    assert seconds >= STOP_SECONDS - 0.5
    assert seen.lines["algo-1"].count("heard, and goes on") == 1


def test_what_a_killed_program_had_made_is_the_model(place: Place) -> None:
    assert place.run(KILLED).model == {"step-1": b"1"}


@pytest.mark.parametrize("host", ["algo-1", "algo-2"])
def test_every_host_is_told(place: Place, host: str) -> None:
    assert "asked to stop by SIGTERM" in place.run(BOTH).lines[host]


@pytest.mark.parametrize(
    ("job", "statuses"),
    [
        (STOPPED, ["Starting", "Downloading", "Training", "Stopping", "Stopped"]),
        (LIMIT, ["Starting", "Downloading", "Training", "Stopping", "MaxRuntimeExceeded"]),
    ],
    ids=["asked", "limit"],
)
def test_a_stop_goes_through_these_statuses(place: Place, job: Job, statuses: list[str]) -> None:
    told = place.run(job).told["SecondaryStatusTransitions"]
    assert [each["Status"] for each in told] == statuses


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (STOPPED, "Training job stopped"),
        (LIMIT, "Training job runtime exceeded MaxRuntimeInSeconds provided"),
    ],
    ids=["asked", "limit"],
)
def test_the_last_message_says_how_it_was_stopped(place: Place, job: Job, message: str) -> None:
    told = place.run(job).told["SecondaryStatusTransitions"]
    assert told[-1]["StatusMessage"] == message


def test_a_stopped_job_ended_after_its_results_were_stored(place: Place) -> None:
    told = place.run(LATE).told
    assert (told["TrainingEndTime"] - told["TrainingStartTime"]).total_seconds() > 1.5


def test_the_time_limit_is_a_day_unless_it_is_told(place: Place) -> None:
    assert place.run(DEFAULT).told["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}


@pytest.mark.parametrize(
    ("job", "status"), [(STOPPED, "Stopped"), (DEFAULT, "Completed")], ids=["stopped", "completed"]
)
def test_a_job_that_is_over_cannot_be_stopped(place: Place, job: Job, status: str) -> None:
    assert place.run(job).late_stop == (
        "ValidationException: The request was rejected because the training job is in status "
        f"{status}."
    )

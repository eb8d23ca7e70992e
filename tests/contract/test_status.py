"""The way of a job through its statuses, and the times that are told."""

from itertools import pairwise
from typing import Any

import pytest
from tests.contract.job import Job, channel
from tests.contract.place import Place

GOOD = Job(
    name="status",
    main="import probe; probe.write('model/a', '1')",
    objects={"status/train/a": b"1"},
    channels=[channel("train", "status/train/")],
)
BAD = Job(name="status-bad", main="raise SystemExit(1)")
NO_DATA = Job(name="status-no-channel", algorithm={"ContainerEntrypoint": ["/bin/true"]})


def transitions(place: Place, job: Job) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = place.run(job).told["SecondaryStatusTransitions"]
    return found


@pytest.mark.parametrize(
    ("job", "statuses"),
    [
        (GOOD, ["Starting", "Downloading", "Training", "Uploading", "Completed"]),
        (BAD, ["Starting", "Downloading", "Training", "Uploading", "Failed"]),
        (NO_DATA, ["Starting", "Training", "Uploading", "Completed"]),
    ],
    ids=["good", "bad", "without channels"],
)
def test_a_job_goes_through_these_statuses(place: Place, job: Job, statuses: list[str]) -> None:
    assert [each["Status"] for each in transitions(place, job)] == statuses


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("Starting", "Preparing the instances for training"),
        ("Downloading", "Downloading input data"),
        ("Training", "Training image download completed. Training in progress."),
        ("Uploading", "Uploading generated training model"),
        ("Completed", "Training job completed"),
    ],
)
def test_each_status_has_the_services_message(place: Place, status: str, message: str) -> None:
    told = {each["Status"]: each["StatusMessage"] for each in transitions(place, GOOD)}
    assert told[status] == message


def test_the_last_message_of_a_failed_job(place: Place) -> None:
    assert transitions(place, BAD)[-1]["StatusMessage"] == "Training job failed"


@pytest.mark.parametrize("job", [GOOD, BAD, NO_DATA], ids=lambda job: job.name)
def test_each_status_ends_when_the_next_begins(place: Place, job: Job) -> None:
    for one, following in pairwise(transitions(place, job)):
        assert one["EndTime"] == following["StartTime"] >= one["StartTime"]


@pytest.mark.parametrize("job", [GOOD, BAD], ids=lambda job: job.name)
def test_the_last_status_begins_when_training_ends(place: Place, job: Job) -> None:
    seen = place.run(job)
    assert transitions(place, job)[-1]["StartTime"] == seen.told["TrainingEndTime"]


def test_training_starts_with_the_download(place: Place) -> None:
    told = place.run(GOOD).told
    began = next(x for x in transitions(place, GOOD) if x["Status"] == "Downloading")
    assert told["TrainingStartTime"] == began["StartTime"]


def test_the_first_status_begins_with_the_job(place: Place) -> None:
    assert transitions(place, GOOD)[0]["StartTime"] == place.run(GOOD).told["CreationTime"]


@pytest.mark.parametrize("job", [GOOD, BAD], ids=lambda job: job.name)
def test_times_follow_each_other(place: Place, job: Job) -> None:
    told = place.run(job).told
    names = ("CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime")
    times = [told[name] for name in names]
    assert times == sorted(times)


@pytest.mark.parametrize("member", ["TrainingTimeInSeconds", "BillableTimeInSeconds"])
def test_a_short_job_counts_as_one_second(place: Place, member: str) -> None:
    assert place.run(GOOD).told[member] >= 1


@pytest.mark.parametrize(
    "member", ["TrainingEndTime", "TrainingTimeInSeconds", "BillableTimeInSeconds", "FailureReason"]
)
def test_what_is_not_known_yet_is_not_told(place: Place, member: str) -> None:
    assert member not in place.run(GOOD).at_first


def test_a_new_job_is_in_progress(place: Place) -> None:
    assert place.run(GOOD).at_first["TrainingJobStatus"] == "InProgress"

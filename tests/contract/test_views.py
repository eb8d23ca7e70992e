"""Channels that are not copied: shown as they lie in the store, and folders of file systems."""

import hashlib
import random
from typing import Any

import pytest
from tests.contract.images import FILE_SYSTEM
from tests.contract.job import Job, channel
from tests.contract.place import Place, refused

CHANCE = random.Random(11)
ROWS = [CHANCE.random() for _ in range(600)]
CSV = [
    "".join(f"{x},{3 * x + 2}\n" for x in ROWS[start : start + 100]).encode()
    for start in range(0, 600, 100)
]
LARGE = [CHANCE.randbytes(5_000_000 + n) for n in range(4)]
LEARN = """
import errno, hashlib, os, sys, threading
import probe
data = "/opt/ml/input/data"
slope = offset = 0.0
for epoch in range(60):
    for name in sorted(os.listdir(data + "/rows")):
        with open(f"{data}/rows/{name}") as file:
            rows = [tuple(map(float, line.split(","))) for line in file]
        for x, y in rows:
            wrong = slope * x + offset - y
            slope -= 0.1 * wrong * x
            offset -= 0.1 * wrong
sums = {}
def add_up(name):
    with open(f"{data}/large/deep/{name}", "rb") as file:
        sums[name] = hashlib.sha256(file.read()).hexdigest()
threads = [threading.Thread(target=add_up, args=(n,)) for n in os.listdir(data + "/large/deep")]
for each in threads: each.start()
for each in threads: each.join()
try:
    open(data + "/rows/new", "w")
    written = 0
except OSError as error:
    written = error.errno
kind = [line.split()[2] for line in open("/proc/mounts") if line.split()[1] == data + "/rows"]
probe.save(slope=slope, offset=offset, sums=sums, kind=kind, written=written == errno.EROFS)
"""
OBJECTS = {f"views/rows/{n}.csv": text for n, text in enumerate(CSV)} | {
    f"views/large/deep/{n}": data for n, data in enumerate(LARGE)
}


def learning(name: str, **more: Any) -> Job:
    return Job(
        name=name,
        main=LEARN,
        objects=OBJECTS,
        channels=[
            channel("rows", "views/rows/", InputMode="FastFile"),
            channel("large", "views/large", InputMode="FastFile"),
        ],
        **more,
    )


ROOT = learning("views")
OTHER_USER = learning("views-other-user", image="trainshed-test/contract-user")


@pytest.fixture(params=[ROOT, OTHER_USER], ids=lambda job: job.name)
def look(place: Place, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a job saw of its channels, in a container as root, and as another user."""
    return place.run(request.param).look


def test_a_job_learns_from_what_it_is_shown(look: dict[str, Any]) -> None:
    assert look["slope"] == pytest.approx(3, abs=0.01)
    assert look["offset"] == pytest.approx(2, abs=0.01)


def test_what_several_threads_read_at_once_are_the_objects_bytes(look: dict[str, Any]) -> None:
    assert look["sums"] == {
        str(n): hashlib.sha256(data).hexdigest() for n, data in enumerate(LARGE)
    }


def test_it_is_shown_and_not_copied(look: dict[str, Any]) -> None:
    assert set(look["kind"]) == {"fuse.fastfile"}


def test_it_cannot_be_written_to(look: dict[str, Any]) -> None:
    assert look["written"]


PARTIAL = Job(
    name="views-partial",
    main=LEARN,
    objects=OBJECTS,
    channels=[channel("rows", "views/ro", InputMode="FastFile")],
)


def test_a_prefix_that_is_only_part_of_a_name_is_refused_with_its_reason(place: Place) -> None:
    reason = place.run(PARTIAL).reason
    assert reason.startswith("ClientError: Data download failed:S3 key: s3://")
    assert "views/ro is no folder" in reason
    assert "views/rows/0.csv" in reason


def file_system(name: str, mode: str) -> dict[str, Any]:
    source = {
        "FileSystemId": name,
        "FileSystemAccessMode": mode,
        "FileSystemType": "FSxLustre",
        "DirectoryPath": "/mountname/sets",
    }
    return {"ChannelName": mode, "DataSource": {"FileSystemDataSource": source}}


SHARED = """
import probe
data = "/opt/ml/input/data"
may = {}
for name in ("ro", "rw"):
    try:
        open(f"{data}/{name}/written-{name}", "w").write("mine")
        may[name] = True
    except OSError:
        may[name] = False
probe.save(may=may)
"""
FILE_SYSTEMS = Job(
    name="views-file-systems",
    main=SHARED,
    channels=[file_system(FILE_SYSTEM, "ro"), file_system(FILE_SYSTEM, "rw")],
)


@pytest.mark.parametrize("name", ["ro", "rw"])
def test_a_file_systems_folder_is_a_channel(place: Place, name: str) -> None:
    assert place.run(FILE_SYSTEMS).data()[f"{name}/a.csv"] == b"shared"


def test_a_file_system_is_written_to_where_that_was_asked(place: Place) -> None:
    assert place.run(FILE_SYSTEMS).look["may"] == {"ro": False, "rw": True}


def test_its_channel_looks_like_any_other_in_the_config(place: Place) -> None:
    assert place.run(FILE_SYSTEMS).config("inputdataconfig")["rw"] == {
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }


def test_an_unknown_file_system_is_refused_before_the_job_begins(place: Place) -> None:
    told = refused(
        lambda: place.shed.create(
            TrainingJobName="views-unknown",
            algorithm={"TrainingImage": "img"},
            nodes=1,
            InputDataConfig=[file_system("fs-99999999", "ro")],
        )
    )
    assert "does not know the file system fs-99999999" in told
    assert FILE_SYSTEM in told
    assert "file_systems" in told

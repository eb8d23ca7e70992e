"""``trainshed artifacts``: what a job made, without the rest of it."""

import json

import pytest
from tests.cli.conftest import Shell
from tests.cli.test_commands import finished
from tests.client.fake_server import FakeServer
from tests.client.test_fetch import archive

CHECKPOINTS = {"CheckpointConfig": {"S3Uri": "s3://out/kept"}}


@pytest.fixture
def job(fake: FakeServer) -> str:
    fake.buckets.add("out")
    finished(fake, "one", **CHECKPOINTS)
    fake.objects |= {
        "out/one/output/model.tar.gz": archive(("./w.bin", b"\0\xff" * 700_000), ("sub/a", b"aa")),
        "out/one/output/output.tar.gz": archive(("report.txt", b"fine\n")),
        "out/kept/epoch-1/c": b"c1",
        "out/kept/epoch-2/c": b"c2",
    }
    return "one"


def test_archives_and_the_files_in_them_are_listed(shell: Shell, job: str) -> None:
    assert shell("artifacts", "ls", job, "-o", "name").lines == [
        "model/w.bin",
        "model/sub/a",
        "output/report.txt",
        "checkpoints/epoch-1/c",
        "checkpoints/epoch-2/c",
    ]
    listed = json.loads(shell("artifacts", "ls", job, "-o", "json").out)
    assert [group["name"] for group in listed] == ["model", "output", "checkpoints"]
    assert listed[0]["address"] == "s3://out/one/output/model.tar.gz"
    assert listed[0]["files"][0] == {"path": "model/w.bin", "size": 1_400_000}
    assert listed[2]["size"] == 4
    short = shell("artifacts", "ls", job, "--short").lines
    assert [line.split()[0] for line in short] == ["model", "output", "checkpoints"]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("model/sub/a", "aa"),
        ("sub/a", "aa"),
        ("output/report.txt", "fine\n"),
        ("checkpoints/epoch-2/c", "c2"),
    ],
)
def test_one_file_is_written_as_it_is(shell: Shell, job: str, path: str, content: str) -> None:
    assert shell("artifacts", "cat", job, path).out == content


def test_what_a_job_has_not_made_is_told(shell: Shell, job: str) -> None:
    for path in ("none", "model", "output/none", "checkpoints/none", "sub"):
        assert "trainshed artifacts ls" in shell("artifacts", "cat", job, path, code=1).err
        if path != "model" and path != "sub":
            shell("artifacts", "get", job, path, code=1)
    shell("artifacts", "get", job, "model/../../w.bin", code=1)
    shell("artifacts", "ls", "none", code=7)


def test_files_folders_and_groups_are_brought(shell: Shell, fake: FakeServer, job: str) -> None:
    said = shell("artifacts", "get", job, "sub", "output/report.txt", "checkpoints/epoch-2")
    here = shell.folder / job
    assert said.lines == [
        str(here / path) for path in ("checkpoints/epoch-2/c", "model/sub/a", "output/report.txt")
    ]
    assert sorted(path.name for path in here.iterdir()) == ["checkpoints", "model", "output"]
    facts = json.loads(shell("artifacts", "get", job, "--to", "all", "-o", "json").out)
    assert len(facts["files"]) == 3
    shell("artifacts", "get", job, "checkpoints", "--to", "kept")
    assert (shell.folder / "kept/checkpoints/epoch-1/c").read_bytes() == b"c1"


def test_a_model_that_is_not_packed_is_its_files(shell: Shell, fake: FakeServer) -> None:
    fake.buckets.add("out")
    finished(
        fake,
        "plain",
        ModelArtifacts={"S3ModelArtifacts": "s3://out/plain/output/model/"},
        OutputDataConfig={"S3OutputPath": "s3://out/", "CompressionType": "NONE"},
    )
    fake.objects |= {"out/plain/output/model/a": b"1", "out/plain/output/model/sub/b": b"2"}
    assert shell("artifacts", "ls", "plain", "-o", "name").lines == ["model/a", "model/sub/b"]
    assert shell("artifacts", "cat", "plain", "sub/b").out == "2"
    assert len(shell("artifacts", "get", "plain").lines) == 2
    assert len(shell("pull", "plain", "--to", "pulled").lines) == 2


def test_an_archive_that_is_none_is_told(shell: Shell, fake: FakeServer) -> None:
    fake.buckets.add("out")
    finished(fake, "broken")
    whole = archive(("w.bin", bytes(range(256)) * 9000))
    for content in (b"no tar at all", whole[: len(whole) // 2], b""):
        fake.objects["out/broken/output/model.tar.gz"] = content
        shell("artifacts", "cat", "broken", "w.txt", code=1)
        assert "error: " in shell("pull", "broken", code=1).err

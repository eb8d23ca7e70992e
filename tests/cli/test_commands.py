"""Commands against a server with memory: what they say, ask and answer."""

import json
import re
import shlex
import subprocess

import pytest
from tests.cli.conftest import Shell
from tests.client.fake_server import FakeServer, Job
from tests.client.test_fetch import archive


def finished(fake: FakeServer, name: str, secondary: str = "Completed", **more: object) -> Job:
    status = "Stopped" if secondary == "MaxRuntimeExceeded" else secondary
    job = fake.add_job(name, **more)
    for phase in ("Starting", "Training"):
        fake.move(job, phase)
    fake.move(job, secondary, status)
    return job


def test_jobs_are_listed_the_newest_first(shell: Shell, fake: FakeServer) -> None:
    finished(fake, "old-one")
    fake.add_job("new-one")
    lines = shell("ls").lines
    assert lines[0].split() == ["NAME", "STATUS", "CREATED", "TOOK"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["new-one", "●", "InProgress"],
        ["old-one", "✓", "Completed"],
    ]
    assert lines[2].endswith("3.0s")


def test_lists_come_in_the_form_that_is_asked_for(shell: Shell, fake: FakeServer) -> None:
    for number in range(3):
        fake.add_job(f"job-{number}")
    assert shell("ls", "-o", "name", "-n", "2").lines == ["job-2", "job-1"]
    listed = json.loads(shell("ls", "-o", "json").out)
    assert listed[0]["TrainingJobName"] == "job-2"
    assert listed[0]["CreationTime"].startswith("2026-01-01T00:00:02")
    assert len(shell("ls", "-o", "jsonl").lines) == 3
    assert "arn:aws:sagemaker" in shell("ls", "-o", "wide").lines[1]
    assert shell("ls", "--status", "Failed", "-o", "name").out == ""
    assert "yaml" in shell("ls", "-o", "yaml", code=2).err


def test_a_job_is_shown_with_its_reason_and_what_to_do(shell: Shell, fake: FakeServer) -> None:
    reason = "AlgorithmError: boom, exit code: 137"
    finished(fake, "digits-1", "Failed", FailureReason=reason)
    said = shell("describe", "@last").out
    assert "✗ Failed" in said
    assert reason in said
    assert "memory" in said
    assert [line.split()[:2] for line in said.splitlines()[-3:]] == [
        ["1.0s", "Starting"],
        ["1.0s", "Training"],
        ["0.0s", "Failed"],
    ]
    assert json.loads(shell("describe", "digits", "-o", "json").out)["FailureReason"] == reason


def test_a_job_is_shown_with_its_place_its_image_and_its_tags(
    shell: Shell, fake: FakeServer
) -> None:
    algorithm = {
        "TrainingImage": "my/image:1",
        "ContainerEntrypoint": ["python"],
        "ContainerArguments": ["/app/train.py", "two words"],
    }
    job = fake.add_job("j", AlgorithmSpecification=algorithm)
    assert "backend  local" in shell("describe", "j").lines
    fake.tags[job["TrainingJobArn"]] = {
        "trainshed:backend": "docker",
        "trainshed:image": "sha256:abc",
        "trainshed:shm-size": "4g",
    }
    lines = shell("describe", "j").lines
    assert "backend  docker" in lines
    assert "image    my/image:1" in lines
    assert "digest   sha256:abc" in lines
    assert "program  python /app/train.py 'two words'" in lines
    assert "tags     trainshed:shm-size=4g" in lines


def test_a_job_is_shown_with_how_it_stood_among_others_and_what_that_saved(
    shell: Shell, fake: FakeServer
) -> None:
    job = fake.add_job("j")
    plain = shell("describe", "j").out
    assert not re.search(r"^(project|priority|attempts|spot|warm)", plain, re.MULTILINE)
    for phase in ("Starting", "Training", "Interrupted", "Starting", "Training"):
        fake.move(job, phase)
    job |= {
        "EnableManagedSpotTraining": True,
        "TrainingTimeInSeconds": 200,
        "BillableTimeInSeconds": 150,
        "WarmPoolStatus": {
            "Status": "Reused",
            "ResourceRetainedBillableTimeInSeconds": 90,
            "ReusedByJob": "next",
        },
    }
    fake.tags[job["TrainingJobArn"]] = {
        "trainshed:project": "vision",
        "trainshed:priority": "70",
        "trainshed:preemptible": "true",
    }
    lines = [" ".join(line.split()) for line in shell("describe", "j").lines]
    assert "project vision" in lines
    assert "priority 70, preemptible" in lines
    assert "attempts 2 (1 interruption; trainshed explain j)" in lines
    assert "spot saved 25% (2m30s of 3m20s billable)" in lines
    assert "warm pool Reused, kept for 1m30s, taken over by next" in lines
    assert not any(line.startswith("tags") for line in lines)


def test_a_log_is_shown_in_order_of_time_and_filtered(shell: Shell, fake: FakeServer) -> None:
    finished(fake, "two", ResourceConfig={"InstanceCount": 2, "InstanceType": "ml.m5.large"})
    fake.lines["two/algo-1-1"] = [(1, "loss=3"), (3, "loss=1")]
    fake.lines["two/algo-2-1"] = [(2, "loss=2"), (4, "done")]
    whole = ["[algo-1] loss=3", "[algo-2] loss=2", "[algo-1] loss=1", "[algo-2] done"]
    assert shell("logs", "two").lines == whole
    assert shell("logs", "two", "--node", "2", "--grep", "l.ss").lines == ["[algo-2] loss=2"]
    assert shell("logs", "two", "--since", "10m").lines == []
    assert shell("logs", "two", "-t", "--node", "algo-1").lines[0].startswith("1970-01-01T00:00")
    followed = shell("logs", "-f", "two")
    assert sorted(followed.lines) == sorted(whole)
    assert followed.err == "Completed\n"


@pytest.mark.parametrize(
    ("secondary", "code"),
    [("Completed", 0), ("Failed", 3), ("Stopped", 4), ("MaxRuntimeExceeded", 5)],
)
def test_waiting_ends_with_the_code_of_the_end(
    shell: Shell, fake: FakeServer, secondary: str, code: int
) -> None:
    finished(fake, "one", secondary)
    shell("wait", "one", code=code)


def test_waiting_too_long_is_an_error_and_leaves_the_job_alone(
    shell: Shell, fake: FakeServer
) -> None:
    fake.add_job("one")
    said = shell("wait", "one", "--timeout", "1s", code=1)
    assert "not over after 1.0s" in said.err
    assert "StopTrainingJob" not in fake.asked


def test_jobs_are_stopped_and_deleted_by_reference(shell: Shell, fake: FakeServer) -> None:
    fake.add_job("one")
    finished(fake, "two")
    said = shell("stop", "one", "@last")
    assert said.out == "asked one to stop\n"
    assert "two is over already" in said.err
    assert fake.jobs["one"]["SecondaryStatus"] == "Stopping"
    assert shell("rm", "two").out == "deleted two\n"
    assert set(fake.jobs) == {"one"}


def test_references_mean_the_jobs_that_there_were_before_any_was_deleted(
    shell: Shell, fake: FakeServer
) -> None:
    for name in ("one", "two", "three"):
        finished(fake, name)
    said = shell("rm", "@last", "@-2", "three")
    assert said.out == "deleted three\ndeleted two\n"
    assert set(fake.jobs) == {"one"}
    shell("rm", "one", "@-2", code=7)
    assert set(fake.jobs) == {"one"}


def test_a_model_is_pulled_into_a_folder(shell: Shell, fake: FakeServer) -> None:
    finished(fake, "one")
    fake.objects["out/one/output/model.tar.gz"] = archive(("model.bin", b"m"))
    fake.objects["out/one/output/output.tar.gz"] = archive(("report.txt", b"r"))
    assert shell("pull", "one").lines == [str(shell.folder / "one" / "model.bin")]
    shell("pull", "one", "--to", "there", "--with-output")
    assert (shell.folder / "there" / "model.bin").read_bytes() == b"m"
    assert (shell.folder / "there" / "output" / "report.txt").read_bytes() == b"r"


def test_what_does_not_work_is_told_in_three_lines(shell: Shell, fake: FakeServer) -> None:
    for words, code in (
        (["describe", "none"], 7),
        (["logs", "@last"], 7),
        (["pull", "@first"], 1),
    ):
        said = shell(*words, code=code)
        assert said.out == ""
        what, why, remedy = said.err.splitlines()
        assert what.startswith("error: ")
        assert why.startswith("  why: ")
        assert remedy.startswith("  do:  ")


@pytest.mark.parametrize(
    "words",
    [[], ["nonsense"], ["ls", "-n", "0"], ["ls", "-n", "x"], ["wait", "a", "--timeout", "soon"]],
)
def test_a_command_that_makes_no_sense_is_a_usage_error(
    shell: Shell, fake: FakeServer, words: list[str]
) -> None:
    shell(*words, code=2)


def test_the_environment_can_be_read_by_a_shell(shell: Shell, fake: FakeServer) -> None:
    text = shell("aws-env").out
    done = subprocess.run(
        ["sh", "-c", f"{text}\nenv"],
        env={"AWS_PROFILE": "mine", "AWS_SESSION_TOKEN": "old", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert {name: value for name, value in found.items() if name.startswith("AWS_")} == {
        "AWS_ENDPOINT_URL": fake.url,
        "AWS_REGION": "eu-test-1",
        "AWS_DEFAULT_REGION": "eu-test-1",
        "AWS_ACCESS_KEY_ID": "AKFAKE",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    assert all(shlex.split(line)[0] in {"export", "unset"} for line in text.splitlines())


def test_the_server_is_shown(shell: Shell, fake: FakeServer) -> None:
    assert fake.url in shell("status").out
    assert "backends  local (process)" in shell("status").lines
    facts = json.loads(shell("status", "-o", "json").out)
    assert facts["running"] is True
    assert (facts["backend"], facts["backends"]) == ("local", {"local": "process"})
    elsewhere = str(shell.folder / "elsewhere")
    assert "no" in shell("status", "--data-dir", elsewhere, code=6).lines[0]
    assert "no server runs" in shell("down", "--data-dir", elsewhere).err


def test_the_doctor_looks_at_everything_and_says_what_to_do(shell: Shell, fake: FakeServer) -> None:
    checks = {check["subject"]: check for check in json.loads(shell("doctor", "-o", "json").out)}
    assert {"python", "isolation", "data folder", "disk", "clock", "server"} <= checks.keys()
    assert {"docker", "kubernetes"} <= checks.keys()
    assert checks["server"]["level"] == "ok"
    assert all(check["remedy"] for check in checks.values() if check["level"] in {"warn", "fail"})
    (shell.folder / "file").touch()
    bad = shell("doctor", "--data-dir", "file/below", code=1)
    assert "fail  data folder" in bad.out


def test_the_version_is_told_both_ways(shell: Shell) -> None:
    assert shell("--version").out == shell("-V").out
    assert shell("--version").out.startswith("trainshed ")


def test_a_long_channel_name_is_shown_whole(shell: Shell, fake: FakeServer) -> None:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/here"}}
    finished(fake, "j", InputDataConfig=[{"ChannelName": "a-long-one", "DataSource": source}])
    said = shell("describe", "j").lines
    assert "data a-long-one  s3://b/here" in said
    assert {line.index(line.split()[1]) for line in said[:3]} == {len("data a-long-one  ")}


def test_how_data_comes_is_shown_where_it_is_not_plain_files(
    shell: Shell, fake: FakeServer
) -> None:
    dealt = {"S3DataType": "ManifestFile", "S3DataDistributionType": "ShardedByS3Key"}
    streamed = {"S3DataSource": {"S3Uri": "s3://b/list", **dealt}}
    system = {
        "FileSystemId": "fs-1",
        "FileSystemAccessMode": "ro",
        "FileSystemType": "EFS",
        "DirectoryPath": "/d",
    }
    channels = [
        {"ChannelName": "s", "InputMode": "Pipe", "DataSource": streamed},
        {"ChannelName": "f", "DataSource": {"FileSystemDataSource": system}},
    ]
    finished(fake, "j", InputDataConfig=channels)
    said = [" ".join(line.split()) for line in shell("describe", "j").lines]
    assert "data s s3://b/list Pipe, ManifestFile, ShardedByS3Key" in said
    assert "data f fs-1:/d ro" in said


def test_words_that_a_terminal_cannot_show_end_no_command(shell: Shell, fake: FakeServer) -> None:
    finished(fake, "j")
    fake.lines["j/algo-1-1"] = [(1, "größer ✓")]
    shell.environment["PYTHONIOENCODING"] = "ascii"
    assert shell("logs", "j").out == "gr\\xf6\\xdfer \\u2713\n"


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("run", "trainshed run [OPTIONS] [SCRIPT] [-- ARGS]..."),
        ("stop", "trainshed stop [OPTIONS] JOB..."),
        ("describe", "trainshed describe [OPTIONS] JOB"),
    ],
)
def test_usage_reads_as_people_write_it(shell: Shell, command: str, usage: str) -> None:
    assert shell(command, "--help").lines[0] == f"Usage: {usage}"


def test_a_reader_that_goes_away_is_not_an_error_to_speak_of(
    shell: Shell, fake: FakeServer
) -> None:
    for number in range(50):
        fake.add_job(f"job-{number}")
    with shell.begin("ls", "-o", "json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""

"""explain, queue, describe and drill on a real server that has one node to give."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Shell

from trainshed.testing.server import Server

SCRIPT = """
import os, pathlib, sys, time
gate = pathlib.Path(os.environ["GATE"])
folder = pathlib.Path("/opt/ml/checkpoints")
if folder.is_dir():
    print("found", sorted(path.name for path in folder.iterdir()), flush=True)
    (folder / "step").write_text("1")
print("began", flush=True)
while not gate.exists():
    time.sleep(0.05)
if "--bad" in sys.argv:
    import a_package_that_nobody_has
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell for a server that runs one node at a time."""
    folder = tmp_path_factory.mktemp("here")
    data = tmp_path_factory.mktemp("data")
    (folder / "train.py").write_text(SCRIPT)
    (folder / "begun").touch()
    made = Shell(data, folder)
    with Server(data, "[backends.local]\nmax_nodes = 1\n"):
        yield made
    made.close()


@pytest.fixture(autouse=True)
def gates(shell: Shell) -> Iterator[None]:
    """Let every job go on at a test's end: one that failed must not hold the only node."""
    yield
    for gate in re.findall(r"GATE=(\S+)", (shell.folder / "begun").read_text()):
        Path(gate).touch()


@pytest.fixture(scope="module")
def bucket(shell: Shell) -> str:
    """The bucket that the command makes for jobs."""
    begin(shell, "first").touch()
    shell("wait", "first")
    described = json.loads(shell("describe", "first", "-o", "json").out)
    return str(described["OutputDataConfig"]["S3OutputPath"]).rstrip("/")


def begin(shell: Shell, name: str, *words: str) -> Path:
    """Submit a job; return the gate that it waits at."""
    gate = shell.folder / f"{name}.gate"
    with (shell.folder / "begun").open("a") as begun:
        begun.write(f"GATE={gate}\n")
    shell("run", "train.py", "--name", name, "--env", f"GATE={gate}", "-d", *words)
    return gate


def until(shell: Shell, name: str, text: str) -> None:
    """Return once the job has written something."""
    with shell.begin("logs", "-f", name) as process:
        assert process.stdout is not None
        assert any(text in line for line in process.stdout), f"{name} ended without {text}"
        process.kill()


def test_a_finished_job_tells_where_its_time_went(shell: Shell) -> None:
    begin(shell, "plain").touch()
    shell("wait", "plain")
    said = shell("explain", "plai")
    assert "\x1b" not in said.out
    assert said.lines[1].split() == ["status", "✓", "Completed", "(Completed)"]
    timeline = said.lines[said.lines.index("timeline") + 1 :]
    assert [line.split()[0] for line in timeline] == [
        "Queue",
        "Capacity",
        "Starting",
        "Download",
        "Training",
        "Upload",
    ]
    told = json.loads(shell("explain", "plain", "--json").out)
    assert told["Attempts"][0]["Outcome"] == "Completed"
    assert re.fullmatch(r"\d{4}-.*\+00:00", told["Phases"][0]["StartTime"])
    total = sum(each["Seconds"] for each in told["Phases"])
    # The phases of one node fill the time from the request to the end.
    last = told["Phases"][-1]
    assert total == pytest.approx(_seconds(told["CreationTime"], last["EndTime"]), abs=0.1)


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def test_a_failed_job_tells_why_and_what_to_do(shell: Shell) -> None:
    begin(shell, "broken", "--hp", "bad=1").touch()
    shell("wait", "broken", code=3)
    said = shell("explain", "broken").out
    assert "No module named 'a_package_that_nobody_has'" in said
    assert re.search(r"^do +add the package to a requirements.txt", said, re.MULTILINE)
    assert re.search(r"^  1 +Failed", said, re.MULTILINE)


def test_a_waiting_job_tells_what_for_and_the_queue_who_goes_before(
    shell: Shell, bucket: str
) -> None:
    assert "nobody waits" in shell("queue").out
    gate = begin(shell, "holds", "--project", "vision")
    until(shell, "holds", "began")
    begin(shell, "later", "--priority", "10").touch()
    words = ["--preemptible", "--checkpoints", f"{bucket}/checkpoints/sooner"]
    begin(shell, "sooner", "--priority", "80", "--project", "speech", *words).touch()
    said = shell("explain", "later").out
    assert re.search(r"^waits for +Training job waiting for", said, re.MULTILINE)
    told = json.loads(shell("queue", "--json").out)
    assert [each["TrainingJobName"] for each in told["WaitingJobs"]] == ["sooner", "later"]
    assert [each["Position"] for each in told["WaitingJobs"]] == [1, 2]
    local = next(each for each in told["Backends"] if each["Backend"] == "local")
    assert (local["NodesInUse"], local["NodesTotal"], local["WaitingJobs"]) == (1, 1, 2)
    lines = shell("queue").lines
    assert lines[0].split() == ["POS", "JOB", "PROJECT", "PRIO", "BACKEND", "NODES", "WAITS", "FOR"]
    assert lines[1].split()[:5] == ["1", "sooner", "speech", "80", "local"]
    assert ["vision", "1", "0", "1", "100%"] in [line.split() for line in lines]
    assert shell("queue", "--project", "speech").lines[1].split()[1] == "sooner"
    assert len(json.loads(shell("queue", "-n", "1", "--json").out)["WaitingJobs"]) == 1
    described = shell("describe", "sooner").out
    assert re.search(r"^project +speech$", described, re.MULTILINE)
    assert re.search(r"^priority +80, preemptible$", described, re.MULTILINE)
    gate.touch()
    for name in ("holds", "later", "sooner"):
        shell("wait", name)
    assert "nobody waits" in shell("queue").out


def test_in_a_terminal_bars_show_where_the_time_went(shell: Shell) -> None:
    begin(shell, "drawn").touch()
    shell("wait", "drawn")
    mine, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "trainshed.cli", "explain", "-f", "drawn"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=shell.folder,
        env=shell.environment | {"TERM": "xterm"},
    ) as process:
        os.close(theirs)
        said = b""
        while chunk := _read(mine):
            said += chunk
        os.close(mine)
    assert process.returncode == 0, said
    bars = [line for line in said.decode().splitlines() if "█" in line]
    assert len(bars) == 6
    assert max(bars, key=lambda line: line.count("█")).split()[0] == "Training"


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux says EIO when the other end is closed
        return b""


def test_a_job_that_is_not_there_is_told_as_everywhere(shell: Shell) -> None:
    assert "no job is called 'nobody'" in shell("explain", "nobody", code=7).err


def test_a_drilled_job_goes_on_from_its_checkpoint(shell: Shell, bucket: str) -> None:
    kept = f"{bucket}/checkpoints/kept"
    gate = begin(shell, "kept", "--spot", "--max-time", "1h", "--checkpoints", kept)
    while not explained(shell, "kept")["Checkpoints"]["Files"]:
        assert explained(shell, "kept")["TrainingJobStatus"] == "InProgress"
    said = shell("drill", "kept", "--notice", "60")
    assert re.fullmatch(r"resumed +from its checkpoint of .* \(1 file\)", said.lines[0])
    assert [line.split()[0] for line in said.lines] == ["resumed", "work", "gap"]
    until(shell, "kept", "found ['step']")
    told = explained(shell, "kept")
    assert [each["Outcome"] for each in told["Attempts"]] == ["Interrupted", "Running"]
    assert told["Attempts"][1]["RestoredFiles"] == 1
    drill = told["Drill"]
    assert (drill["Kind"], drill["Status"], drill["AttemptNumber"]) == ("Notice", "Resumed", 1)
    phases = [each["Phase"] for each in told["Phases"]]
    assert phases.count("Interrupted") == 1
    assert phases.count("Training") == 2
    gate.touch()
    shell("wait", "kept")
    described = shell("describe", "kept").out
    assert re.search(r"^attempts +2  \(1 interruption", described, re.MULTILINE)
    assert re.search(r"^spot +saved", described, re.MULTILINE)


def test_a_drilled_job_without_checkpoints_starts_over(shell: Shell) -> None:
    gate = begin(shell, "unkept", "--spot")
    said = shell("drill", "unkept", "--sudden", "--json", code=1)
    assert said.lines, said.err
    told = json.loads(said.lines[0])
    assert (told["Kind"], told["Status"]) == ("SuddenLoss", "StartedOver")
    assert "keeps no checkpoints" in shell("explain", "unkept").out
    gate.touch()
    shell("wait", "unkept")


def explained(shell: Shell, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shell("explain", name, "--json").out)
    return found


def test_a_job_that_is_over_cannot_be_drilled(shell: Shell) -> None:
    begin(shell, "over").touch()
    shell("wait", "over")
    said = shell("drill", "over", code=1)
    assert "the training job is in status Completed" in said.err


def test_the_folder_of_the_model_is_printed_without_a_server(shell: Shell) -> None:
    (line,) = shell("aws-model", "--help").lines[:1]
    assert "trainshed aws-model" in line
    folder = Path(shell("aws-model").lines[0])
    assert (folder / "trainshed" / "2026-11-22" / "service-2.json").is_file()

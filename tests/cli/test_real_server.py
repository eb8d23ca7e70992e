"""The commands with the server itself: jobs really run, the server really stops and starts."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Shell

SCRIPT = """
import argparse, os, pathlib, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.0)
parser.add_argument("--end", default="well")
args = parser.parse_args()
gate = pathlib.Path(os.environ.get("GATE", "/"))
print("began", flush=True)
while not gate.exists():
    time.sleep(0.05)
if args.end == "badly":
    sys.exit("the data is not what it was")
text = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "a.csv").read_text()
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text(f"{args.lr} {text}")
print(f"loss={1 - args.lr}")
"""


@pytest.fixture
def server(shell: Shell) -> Iterator["subprocess.Popen[str]"]:
    """The server in the foreground, ready, on a port of its own; stopped at the end."""
    (shell.folder / "train.py").write_text(SCRIPT)
    (shell.folder / "data").mkdir()
    (shell.folder / "data" / "a.csv").write_text("1,2")
    process = up(shell)
    yield process
    shell("down")
    process.communicate(timeout=60)


def up(shell: Shell) -> "subprocess.Popen[str]":
    process = shell.begin("up", "--port", "0")
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "  ready  http://127.0.0.1:" in line, (line, process.stderr and process.stderr.read())
    return process


def run(shell: Shell, *words: str, code: int = 0) -> str:
    return shell("run", "train.py", "--data", "train=data", *words, code=code).out


@pytest.mark.usefixtures("server")
def test_a_job_from_the_first_word_to_the_last(shell: Shell) -> None:
    said = run(shell, "--name", "first", "--metric", "loss=loss=([0-9.]+)", "--", "--lr", "0.25")
    assert "loss=0.75" in said.splitlines()
    assert "✓ Completed" in said
    assert "metrics  loss=0.75" in said
    assert shell("ls", "-o", "name").lines == ["first"]
    assert shell("logs", "first", "--grep", "^loss").lines == ["loss=0.75"]
    (model,) = shell("pull", "@last", "--to", "out").lines
    assert Path(model).read_text() == "0.25 1,2"
    assert shell("artifacts", "cat", "first", "model.txt").out == "0.25 1,2"
    follow = ["pull", "--follow", "--once", "--existing", "--to", "home", "-o", "json"]
    (told,) = map(json.loads, shell(*follow).lines)
    assert (told["job"], told["folder"]) == ("first", str(shell.folder / "home/first"))
    assert Path(told["folder"], "model.txt").read_text() == "0.25 1,2"
    assert shell(*follow).out == ""
    described = json.loads(shell("describe", "fir", "-o", "json").out)
    assert described["TrainingJobStatus"] == "Completed"
    shell("wait", "first")
    shell("rm", "first")
    shell("describe", "first", code=7)


@pytest.mark.usefixtures("server")
def test_a_job_that_fails_is_stopped_or_takes_too_long_ends_with_its_code(shell: Shell) -> None:
    said = run(shell, "--hp", "end=badly", code=3)
    assert "the data is not what it was" in said.partition("✗ Failed")[2]
    never = ["--env", f"GATE={shell.folder / 'never'}"]
    assert "time limit" in run(shell, "--max-time", "1s", *never, code=5)
    run(shell, "-d", "--name", "endless", *never)
    assert shell("stop", "endless", "--wait").lines[-1].endswith("Stopped  endless")
    shell("wait", "endless", code=4)


def test_a_watched_job_survives_the_death_of_the_server(
    shell: Shell, server: "subprocess.Popen[str]"
) -> None:
    gate = shell.folder / "gate"
    words = ["--name", "long", "--data", "train=data", "--env", f"GATE={gate}"]
    with shell.begin("run", "train.py", *words) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        while watching.stdout.readline() != "began\n":
            assert watching.poll() is None
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        for line in watching.stderr:
            if "does not answer" in line:
                break
        again = up(shell)
        gate.touch()
        out, _ = watching.communicate(timeout=90)
        assert watching.returncode == 0, out
    assert out.splitlines().count("loss=1.0") == 1
    shell("down")
    again.communicate(timeout=60)


def test_the_server_starts_by_itself_says_so_once_and_is_stopped(shell: Shell) -> None:
    first = shell("ls")
    try:
        assert "server started  http://127.0.0.1:" in first.err
        assert "server started" not in shell("ls").err
        assert "runs already" in shell("up", "--detach").out
        refused = shell("up", "--port", "0", code=1).err
        assert "already runs" in refused
    finally:
        stopped = shell("down").out
    assert "server stopped" in stopped
    shell("status", code=6)


def test_the_demo_reads_the_digits_and_leaves_no_server(shell: Shell) -> None:
    said = shell("demo")
    words = said.lines[-1].split()
    assert words[:2] == ["demo", "ok:"]
    found = dict(word.split("=", 1) for word in words[2:])
    assert found["status"] == "Completed"
    assert 0.95 <= float(found["accuracy"]) <= 1
    assert Path(found["model"]).is_file()
    shell("status", code=6)

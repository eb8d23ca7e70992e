"""``trainshed shell`` where jobs are processes."""

import json
import shlex
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from tests.cli.conftest import Shell
from tests.cli.inside import LOOP, Terminal, left_of_shells, model_of, until_line

from trainshed.client import objects, server
from trainshed.client.submit import bucket_of

SCRIPT = """
import os, pathlib, sys
text = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "a.csv").read_text()
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text(text)
print("trained with", *sys.argv[1:])
"""


@pytest.fixture
def served(shell: Shell) -> Iterator[Shell]:
    """A shell whose server has run the job ``done``."""
    (shell.folder / "train.py").write_text(SCRIPT)
    (shell.folder / "a.csv").write_text("1,2")
    shell("up", "--detach", "--port", "0")
    words = ["--data", "train=a.csv", "--hp", "lr=0.5", "--env", "COLOUR=green"]
    shell("run", "-q", "--name", "done", "train.py", *words)
    yield shell
    shell("down")


def own_command(err: str) -> str:
    (line,) = (line for line in err.splitlines() if line.startswith("  command"))
    return line.removeprefix("  command").strip()


def test_a_job_that_is_over_can_be_walked_into_and_run_again(served: Shell) -> None:
    before = json.loads(served("describe", "done", "-o", "json").out)
    program = "pwd; echo $COLOUR $TRAINING_JOB_NAME; cat /opt/ml/input/data/train/a.csv; exit 5\n"
    said = served("shell", "done", typed=program, code=5)
    assert said.lines == ["/opt/ml", "green done", "1,2"]
    assert "nothing is uploaded" in said.err
    command = own_command(said.err)
    assert shlex.split(command)[-1] == "train"
    again = f"echo 3,4 > /opt/ml/input/data/train/a.csv\n{command}\ncat /opt/ml/model/model.txt\n"
    said = served("shell", "done", typed=again)
    assert said.lines == ["trained with --lr 0.5", "3,4"]
    assert model_of(served, "done") == "1,2"
    assert json.loads(served("describe", "done", "-o", "json").out) == before
    assert left_of_shells(served) == []


def test_a_job_that_runs_goes_on_beside_its_shell(served: Shell) -> None:
    (served.folder / "train.py").write_text(LOOP)
    gate = served.folder / "gate"
    served("run", "-d", "--name", "long", "train.py", "--env", f"GATE={gate}")
    until_line(served, "long", "began")
    said = served("shell", "long", typed="ls /opt/ml\ntouch /opt/ml/model/mine\n")
    assert "input" in said.lines
    assert served("exec", "long", "ls", "/opt/ml/model").lines == []
    gate.touch()
    served("wait", "long")


def test_a_person_has_a_terminal_with_job_control(served: Shell) -> None:
    terminal = Terminal(served, "shell", "done")
    terminal.until("Ctrl-D")
    terminal.type("echo is a $(tty)\n")
    terminal.until("is a /dev/pts/")
    # Said by what Ctrl-C is for: the shell has given it the terminal by then.
    terminal.type("sh -c \"echo be''gin; exec sleep 1000\"; echo a''wake\n")
    terminal.until("begin\r\n")
    terminal.type("\x03")
    terminal.type("echo in''terrupted\n")
    terminal.until("interrupted")
    assert b"awake" not in terminal.said
    terminal.type("exit 4\n")
    assert terminal.end() == 4
    assert left_of_shells(served) == []


def opened(shell: Shell) -> "subprocess.Popen[str]":
    """Return a shell that waits for its next command."""
    process = shell.begin("shell", "done", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("echo open\n")
    process.stdin.flush()
    assert process.stdout.readline() == "open\n"
    return process


def test_a_shell_that_is_told_to_end_leaves_nothing(served: Shell) -> None:
    with opened(served) as process:
        assert len(left_of_shells(served)) == 1
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGHUP
    assert left_of_shells(served) == []


def test_what_a_killed_shell_leaves_the_next_one_removes(served: Shell) -> None:
    with opened(served) as process:
        process.kill()
        process.communicate(timeout=60)
    assert len(left_of_shells(served)) == 1
    with opened(served) as process:
        assert len(left_of_shells(served)) == 1
        served("shell", "done", typed="")  # and one that is in use is left alone
        assert len(left_of_shells(served)) == 1
        process.communicate("exit 3\n", timeout=60)
    assert process.returncode == 3
    assert left_of_shells(served) == []


def test_data_that_is_gone_is_said_as_the_job_would_say_it(served: Shell) -> None:
    found = server.find(served.data_dir, lambda: datetime.now(UTC))
    assert found is not None
    with found.api(lambda: datetime.now(UTC)) as api:
        objects.clear(api, bucket_of(api), "done/input/")
    said = served("shell", "done", typed="", code=1)
    assert "matched no files" in said.err
    assert left_of_shells(served) == []

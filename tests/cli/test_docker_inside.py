"""``trainshed run``, ``exec``, ``attach`` and ``shell`` with containers of a real engine."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Shell
from tests.cli.inside import Terminal, left_of_shells, until_line

pytestmark = pytest.mark.docker

IMAGE = "trainshed-test/python:base"
"""Python and nothing else: no toolkit, no ENTRYPOINT."""
LOOP = 'echo began; while [ ! -e "$GATE" ]; do echo tick; sleep 0.1; done; echo bye; exit 3'
SCRIPT = """
import os, pathlib, sys
text = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "a.csv").read_text()
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text(text)
print("trained with", *sys.argv[1:])
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell whose server has run the script ``done`` in an image."""
    place = tmp_path_factory.mktemp("docker")
    shell = Shell(place / "data", place / "here")
    shell.folder.mkdir()
    (shell.folder / "train.py").write_text(SCRIPT)
    (shell.folder / "a.csv").write_text("1,2")
    shell("up", "--detach", "--port", "0")
    words = ["--data", "train=a.csv", "--hp", "lr=0.5", "--env", "COLOUR=green"]
    said = shell("run", "--name", "done", "--image", IMAGE, "train.py", *words)
    assert "trained with --lr 0.5" in said.lines
    yield shell
    shell("down")


@pytest.fixture
def running(served: Shell, request: pytest.FixtureRequest) -> Iterator[str]:
    """A job that goes on until its file ``/opt/ml/model/gate`` is there; ended at the end."""
    name = request.node.name.replace("_", "-")[-60:].strip("-")
    gate = "/opt/ml/model/gate"
    program = ["--entrypoint", "/bin/sh", "--", "-c", LOOP]
    words = ["--env", f"GATE={gate}", "--env", "COLOUR=green", "--shm", "64m", *program]
    served("run", "-d", "--name", name, "--image", IMAGE, *words)
    until_line(served, name, "began")
    yield name
    if json.loads(served("describe", name, "-o", "json").out)["TrainingJobStatus"] == "InProgress":
        served("exec", name, "--", "touch", gate)
    served("wait", name, code=3)


def containers(served: Shell) -> list[str]:
    """Return the names of the containers, running or not, of this server."""
    shown = '{{.Names}} {{.Label "trainshed.folder"}}'
    asked = ["docker", "ps", "--all", "--filter=label=trainshed.folder", f"--format={shown}"]
    listed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in listed if str(served.data_dir) in line]


def own_command(err: str) -> str:
    (line,) = (line for line in err.splitlines() if line.startswith("  command"))
    return line.removeprefix("  command").strip()


def test_a_job_of_an_image_shows_where_it_ran_and_what(served: Shell) -> None:
    lines = served("describe", "done").lines
    assert "backend     docker" in lines
    assert f"image       {IMAGE}" in lines
    assert [line.split()[1][:7] for line in lines if line.startswith("digest")] == ["sha256:"]
    assert "docker (docker)" in served("status").out
    checks = {check["subject"]: check for check in json.loads(served("doctor", "-o", "json").out)}
    assert checks["docker"]["level"] == "ok"
    assert checks["network"]["found"].endswith("169.254.170.2")


def test_a_command_runs_in_the_container_and_its_exit_code_is_passed_on(
    served: Shell, running: str
) -> None:
    program = 'echo "$COLOUR $TRAINING_JOB_NAME $(hostname)"; ls /opt/ml; df -k /dev/shm; exit 9'
    said = served("exec", running, "--", "sh", "-c", program, code=9)
    assert said.lines[0] == f"green {running} algo-1"
    assert {"input", "model", "output"} <= set(said.lines)
    assert "65536" in said.out
    assert served("exec", "-i", running, "cat", typed="a line\n").out == "a line\n"
    said = served("exec", running, typed="echo $COLOUR\nexit 6\n", code=6)
    assert said.lines == ["green"]


def test_a_person_has_a_terminal_in_the_container(served: Shell, running: str) -> None:
    terminal = Terminal(served, "exec", "-it", running, "sh")
    terminal.type("echo is a $(tty)\n")
    terminal.until("is a /dev/pts/")
    terminal.type("exit 5\n")
    assert terminal.end() == 5


def test_what_it_writes_is_shown_from_now_on_and_ctrl_c_leaves_it_running(
    served: Shell, running: str
) -> None:
    with served.begin("attach", running) as attached:
        assert attached.stdout is not None
        assert attached.stdout.readline() == "tick\n"
        attached.send_signal(signal.SIGINT)
        _, err = attached.communicate(timeout=60)
    assert attached.returncode == 130
    assert f"{running} goes on" in err
    with served.begin("attach", running) as attached:
        assert attached.stdout is not None
        assert attached.stdout.readline() == "tick\n"
        served("exec", running, "--", "touch", "/opt/ml/model/gate")
        rest, _ = attached.communicate(timeout=60)
    assert rest.splitlines()[-1] == "bye"
    assert attached.returncode == 3


def test_a_job_that_is_over_can_be_walked_into_and_run_again(served: Shell) -> None:
    said = served(
        "shell", "done", typed="hostname; cat /opt/ml/input/data/train/a.csv; exit 5\n", code=5
    )
    assert said.lines == ["algo-1", "1,2"]
    assert own_command(said.err) == "train"
    again = "echo 3,4 > /opt/ml/input/data/train/a.csv; train; cat /opt/ml/model/model.txt\n"
    said = served("shell", "done", typed=again)
    assert "trained with --lr 0.5" in said.lines
    assert said.lines[-1] == "3,4"
    served("pull", "done", "--to", "pulled")
    assert Path(served.folder, "pulled", "model.txt").read_text() == "1,2"
    assert left_of_shells(served) == []
    assert containers(served) == []


def test_a_shell_beside_a_running_container_has_the_same_share_and_its_own_model(
    served: Shell, running: str
) -> None:
    typed = 'df -k /dev/shm; touch /opt/ml/model/gate; echo "$COLOUR $TRAINING_JOB_NAME"\n'
    said = served("shell", running, typed=typed)
    assert "65536" in said.out
    assert said.lines[-1] == f"green {running}"
    assert own_command(said.err).startswith("/bin/sh -c ")
    assert served("exec", running, "--", "ls", "/opt/ml/model").lines == []
    assert left_of_shells(served) == []
    assert len(containers(served)) == 1


def test_what_a_killed_shell_leaves_the_next_one_removes(served: Shell) -> None:
    terminal = Terminal(served, "shell", "done")
    terminal.until("Ctrl-D")
    terminal.type("echo o''pen $(tty)\n")
    terminal.until("open /dev/pts/")
    terminal.kill()
    assert len(left_of_shells(served)) == len(containers(served)) == 1
    served("shell", "done", typed="")
    assert left_of_shells(served) == containers(served) == []


def test_an_image_that_cannot_be_had_is_told_as_the_job_would(served: Shell) -> None:
    words = ["--image", "trainshed-test/none:1", "--name", "none"]
    said = served("run", *words, code=3)
    assert "trainshed-test/none:1" in said.out
    assert "trainshed-test/none:1" in served("shell", "none", typed="", code=1).err
    assert left_of_shells(served) == []

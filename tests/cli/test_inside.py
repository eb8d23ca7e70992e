"""``trainshed exec`` and ``attach`` where jobs are processes, with and without namespaces."""

import shutil
import signal
from collections.abc import Iterator

import pytest
from tests.cli.conftest import Shell
from tests.cli.inside import LOOP, Terminal, until_line

PROGRAMS = ("echo", "sh", "bash", "ls", "cat", "touch", "tty", "pwd", "sleep", "nsenter")


@pytest.fixture(scope="module", params=["namespaces", "bare"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shell]:
    """A shell whose server runs jobs with, or without, namespaces."""
    shell = Shell(tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("here"))
    if request.param == "bare":
        programs = tmp_path_factory.mktemp("bin")
        for name in PROGRAMS:
            (programs / name).symlink_to(shutil.which(name) or f"/bin/{name}")
        shell.environment["PATH"] = str(programs)
    (shell.folder / "train.py").write_text(LOOP)
    shell("up", "--detach", "--port", "0")
    yield shell
    shell("down")
    shell.close()


@pytest.fixture
def running(server: Shell) -> Iterator[Shell]:
    """A shell whose server runs the job ``long``, which ends when the file ``gate`` is there."""
    gate = server.folder / "gate"
    words = ["--env", f"GATE={gate}", "--env", "CODE=3", "--env", "COLOUR=green"]
    server("run", "-d", "--name", "long", "train.py", *words)
    until_line(server, "long", "began")
    yield server
    gate.touch()
    server("wait", "long", code=3)
    server("rm", "long")
    gate.unlink()


def test_a_command_runs_where_the_job_does_and_its_exit_code_is_passed_on(running: Shell) -> None:
    program = 'echo "$COLOUR $TRAINING_JOB_NAME"; ls; read -r line || echo nothing to read; exit 9'
    said = running("exec", "long", "--", "sh", "-c", program, code=9, typed="a line\n")
    assert said.lines == ["green long", "train.py", "nothing to read"]
    said = running("exec", "-i", "long", "cat", typed="a line\n")
    assert said.out == "a line\n"
    assert "nonesuch" in running("exec", "long", "--", "nonesuch", code=127).err


def test_without_a_command_there_is_a_shell(running: Shell) -> None:
    said = running("exec", "long", "--node", "1", typed="echo $COLOUR\nexit 6\n", code=6)
    assert said.lines == ["green"]
    terminal = Terminal(running, "exec", "long")
    terminal.type("echo is a $(tty)\n")
    terminal.until("is a /dev/pts/")
    terminal.type("exit 5\n")
    assert terminal.end() == 5


def test_what_a_container_writes_is_shown_from_now_on_until_it_ends(running: Shell) -> None:
    with running.begin("attach", "long") as attached:
        assert attached.stdout is not None
        assert attached.stdout.readline() == "tick\n"
        running("exec", "long", "--", "touch", str(running.folder / "gate"))
        rest, err = attached.communicate(timeout=60)
    assert rest.splitlines()[-1] == "bye"
    assert "began" not in rest
    assert "Ctrl-C leaves it running" in err
    assert attached.returncode == 3


def test_ctrl_c_detaches_and_leaves_the_job_running(running: Shell) -> None:
    with running.begin("attach", "long") as attached:
        assert attached.stdout is not None
        assert attached.stdout.readline() == "tick\n"
        attached.send_signal(signal.SIGINT)
        _, err = attached.communicate(timeout=60)
    assert attached.returncode == 130
    assert "long goes on" in err
    assert running("exec", "long", "echo", "still here").out == "still here\n"


def test_what_cannot_be_joined_is_told_with_the_reason(running: Shell) -> None:
    assert "its nodes are algo-1" in running("exec", "long", "--node", "2", "ls", code=1).err
    assert "behind --" in running("exec", "long", "ls", "--", "-l", code=2).err
    assert "no job is called" in running("attach", "short", code=7).err
    (running.folder / "gate").touch()
    running("wait", "long", code=3)
    over = running("exec", "long", "ls", code=1).err
    assert "long is over (Failed)" in over
    assert "trainshed shell long" in over
    assert "long is over" in running("attach", "long", code=1).err

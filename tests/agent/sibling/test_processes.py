"""Which of a pod's processes are the user's container's, and which of those is its program."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainshed.agent.runtimes.sibling.processes import Process, Processes

ID = "ab" * 32
OTHER = "cd" * 32


class Proc:
    """A played /proc of real processes that only wait."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.children: list[subprocess.Popen[bytes]] = []
        path.mkdir()

    def add(self, container: str, parent: int, began: int, state: str = "S") -> int:
        child = subprocess.Popen(["sleep", "600"])
        self.children.append(child)
        shown = self.path / str(child.pid)
        shown.mkdir()
        (shown / "cgroup").write_text(f"12:pids:/kubepods/podx/{container}\n0::/../{container}\n")
        zeros = " ".join("0" * 17)
        (shown / "stat").write_text(f"{child.pid} (a) b) {state} {parent} {zeros} {began} 0 0\n")
        return child.pid

    def ended(self, pid: int) -> int:
        return next(child for child in self.children if child.pid == pid).wait(10)

    def lives(self, pid: int) -> bool:
        return next(child for child in self.children if child.pid == pid).poll() is None


@pytest.fixture
def proc(tmp_path: Path) -> Iterator[Proc]:
    found = Proc(tmp_path / "proc")
    (found.path / "self").mkdir()
    yield found
    for child in found.children:
        child.kill()
        child.wait()


def test_the_program_is_the_first_without_a_parent(proc: Proc) -> None:
    child = proc.add(ID, parent=1, began=10)
    exec_ed = proc.add(ID, parent=0, began=30)
    program = proc.add(ID, parent=0, began=20)
    agent = proc.add(OTHER, parent=0, began=5)
    found = Processes(proc.path, ID)
    assert found.first() == Process(program, 20)
    assert found.terminate()
    assert proc.ended(program) == -signal.SIGTERM
    assert all(proc.lives(pid) for pid in (child, exec_ed, agent))


def test_all_of_a_container_are_killed_and_nobody_else(proc: Proc) -> None:
    mine = [proc.add(ID, parent=each, began=10) for each in (0, 1, 1)]
    agent = proc.add(OTHER, parent=0, began=5)
    assert Processes(proc.path, ID).kill()
    assert [proc.ended(pid) for pid in mine] == [-signal.SIGKILL] * 3
    assert proc.lives(agent)


def test_of_a_container_that_is_over_nobody_is_found(proc: Proc) -> None:
    proc.add(OTHER, parent=0, began=5)
    proc.add(ID, parent=0, began=5, state="Z")
    found = Processes(proc.path, ID)
    assert found.first() is None
    assert not found.terminate()
    assert not found.kill()


def test_a_number_that_is_given_again_is_another_process(proc: Proc) -> None:
    pid = proc.add(ID, parent=0, began=20)
    found = Processes(proc.path, ID)
    assert found.lives(Process(pid, 20))
    assert not found.lives(Process(pid, 19))
    (proc.path / str(pid)).rename(proc.path / "gone")
    assert not found.lives(Process(pid, 20))

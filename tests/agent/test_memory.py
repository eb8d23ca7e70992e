"""A script that the kernel kills for want of memory."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.agent.conftest import Agent

from trainshed.domain.facts import Kind

MakeAgent = Callable[..., Agent]
LIMIT = 96 << 20
EATER = "x = []\nwhile True: x.append(b'1' * (1 << 20))\n"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[str]:
    """Return a shell command that moves the shell into a cgroup of little memory.

    Version 2 where the memory controller is there, version 1 elsewhere; root may make both.
    """
    root = Path("/sys/fs/cgroup")
    second = (root / "cgroup.controllers").exists()
    base = root if second else root / "memory"
    if second and "memory" not in (root / "cgroup.subtree_control").read_text():
        (root / "cgroup.subtree_control").write_text("+memory")
    group = base / f"trainshed-test-{os.getpid()}"
    group.mkdir()
    (group / ("memory.max" if second else "memory.limit_in_bytes")).write_text(str(LIMIT))
    swap = group / "memory.swap.max"
    if swap.exists():
        swap.write_text("0")
    yield f"echo 0 >{group}/cgroup.procs"
    group.rmdir()


def test_a_script_killed_for_want_of_memory_is_told_so(
    agent: MakeAgent, small: str, python: Callable[[str], tuple[str, ...]]
) -> None:
    interpreter, script = python(EATER)
    node = agent(f"{small} && exec {interpreter} {script}")
    node.start().wait()
    exited = node.fact(Kind.EXITED)
    assert exited is not None
    assert (exited.detail["exit_code"], exited.detail["oom"]) == (137, True)
    assert node.ended()[0] == "failed"
    assert "out of memory" in node.ended()[1]


def test_a_memory_error_is_named(
    agent: MakeAgent, python: Callable[[str], tuple[str, ...]]
) -> None:
    node = agent(entrypoint=python("raise MemoryError"))
    node.start().wait()
    assert node.ended()[1] == "AlgorithmError: MemoryError, exit code: 1"

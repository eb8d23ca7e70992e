"""The warm spare: loaded ahead, told its folder on one line."""

import subprocess
import sys
from collections.abc import Callable

from tests.agent.conftest import Agent

MakeAgent = Callable[..., Agent]


def _spare() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-I", "-m", "trainshed.agent", "--wait"], stdin=subprocess.PIPE
    )


def test_a_spare_takes_the_folder_it_is_told(agent: MakeAgent) -> None:
    node = agent("cat; echo ran")
    node.folder.mkdir(parents=True)
    (node.folder / "plan.json").write_text(node.plan.to_json())
    with _spare() as spare:
        spare.communicate(f"{node.folder}\n".encode(), timeout=60)
        assert spare.returncode == 0
    assert node.lines() == ["ran"]
    assert node.ended() == ("completed", "")


def test_a_spare_that_nobody_wants_ends() -> None:
    with _spare() as spare:
        spare.communicate(b"", timeout=60)
        assert spare.returncode == 0


def test_without_a_folder_it_says_how_it_is_called() -> None:
    asked = subprocess.run(
        [sys.executable, "-I", "-m", "trainshed.agent"], capture_output=True, check=False
    )
    assert asked.returncode == 2
    assert asked.stderr.startswith(b"usage: ")

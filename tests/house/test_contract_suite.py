"""The contract's conformance suite holds both runtimes to the same rows."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEAST = 150
"""Rows that both runtimes are held to, at least."""
ROW = re.compile(
    r"^(?P<test>tests/contract/\S+\.py::\w+)\[(?P<runtime>process|docker)(?P<row>.*)\]$"
)


@cache
def collected(markers: str) -> tuple[str, ...]:
    """Return the names of the suite's tests."""
    pytest = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    told = subprocess.run(
        [*pytest, "-m", markers, "tests/contract"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return tuple(line for line in told.stdout.splitlines() if "::" in line)


def rows(runtime: str, markers: str = "docker or not docker") -> set[tuple[str, str]]:
    found = (ROW.match(name) for name in collected(markers))
    return {(each["test"], each["row"]) for each in found if each and each["runtime"] == runtime}


def test_both_runtimes_are_held_to_the_same_rows_and_docker_only_when_asked_for() -> None:
    assert rows("process") == rows("docker")
    assert len(rows("docker")) >= LEAST
    assert rows("process", "not docker") == rows("process")
    assert rows("docker", "not docker") == set()
    assert [name for name in collected("not docker") if "/test_images.py" in name] == []

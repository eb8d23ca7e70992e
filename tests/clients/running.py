"""Runs a client as a user would: a program of its own, told where to go by its environment."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(command: list[str | Path], environment: dict[str, str]) -> str:
    """Run a client and return what it printed; fail the test with it when it fails."""
    clean = {k: v for k, v in environment.items() if not k.startswith(("VIRTUAL_ENV", "PYTHON"))}
    clean["HOME"] = os.environ.get("HOME", "/root")
    ran = subprocess.run(
        command, env=clean, capture_output=True, text=True, timeout=110, check=False
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    return ran.stdout + ran.stderr

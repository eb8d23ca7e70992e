"""The ``trainshed`` command: finds the one file that carries out what was typed, and loads only it.

A command line is judged by how fast it answers, so nothing is imported that the typed command does
not need: ``--version`` needs nothing, ``--help`` only the table below.
"""

import sys
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any, Final

from trainshed import __version__


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command is carried out, and how it is spoken of."""

    module: str
    function: str
    summary: str
    """Its line in ``trainshed --help``."""
    trouble: str
    """The first line when it did not work: what is not so now."""
    parts: tuple[str, ...] = ()
    """Commands of its own, each a function of the module; ``function`` only tells what they are."""


COMMANDS: Final = {
    "run": Command("run", "run", "Train with a script or an image.", "the job was not started"),
    "ls": Command("ls", "ls", "List jobs, the newest first.", "jobs cannot be listed"),
    "describe": Command("describe", "describe", "Show one job.", "the job cannot be shown"),
    "explain": Command(
        "explain", "explain", "Tell why a job is where it is.", "the job cannot be explained"
    ),
    "queue": Command("queue", "queue", "Show who waits for nodes.", "the queue cannot be shown"),
    "logs": Command("logs", "logs", "Show what a job wrote.", "the log cannot be shown"),
    "attach": Command("inside", "attach", "Show what a container writes.", "nothing is attached"),
    "exec": Command("inside", "exec_", "Run a command in a container.", "nothing was run"),
    "shell": Command("shell", "shell", "Open a job's container again.", "no shell was opened"),
    "wait": Command("ending", "wait", "Wait until a job is over.", "the job cannot be waited for"),
    "stop": Command("ending", "stop", "Ask jobs to stop.", "not every job was asked to stop"),
    "drill": Command("drill", "drill", "Interrupt a job on purpose.", "no node was taken away"),
    "pull": Command("pull", "pull", "Fetch models, once or always.", "the model was not fetched"),
    "artifacts": Command(
        "artifacts",
        "artifacts",
        "Look into what a job made.",
        "the artifacts cannot be read",
        parts=("ls", "cat", "get"),
    ),
    "data": Command(
        "data",
        "data",
        "Move data to and from buckets.",
        "not all was done",
        parts=("put", "ls", "get"),
    ),
    "rm": Command("ending", "rm", "Delete jobs that are over.", "not every job was deleted"),
    "gc": Command("gc", "gc", "Remove what is left of jobs.", "not everything was removed"),
    "up": Command("serving", "up", "Run the server.", "the server does not run"),
    "down": Command("serving", "down", "Stop the server.", "the server was not stopped"),
    "status": Command("serving", "status", "Show the server.", "the server cannot be shown"),
    "backend": Command(
        "backend",
        "backend",
        "Show and add places where jobs run.",
        "nothing was changed",
        parts=("add", "ls"),
    ),
    "doctor": Command("doctor", "doctor", "Check this machine.", "the check did not finish"),
    "lint": Command(
        "lint", "lint", "Check an image or code before a run.", "the check did not finish"
    ),
    "demo": Command("demo", "demo", "Train and score a small model.", "the demo did not finish"),
    "aws-env": Command(
        "aws_env", "aws_env", "Print the environment for AWS clients.", "nothing was printed"
    ),
    "aws-model": Command(
        "aws_model", "aws_model", "Print where our own model is.", "nothing was printed"
    ),
}
"""Every command, in the order of ``trainshed --help``."""


def main() -> int:
    """Carry out the command line and return the exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"trainshed {__version__}")
        return 0
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a job's words must not end us where they can't show
            stream.reconfigure(errors="backslashreplace")
    # Measured: Typer alone is half of what `--version` may take.
    from trainshed.cli.group import invoke  # noqa: PLC0415

    result: Any = invoke()
    return int(result or 0)

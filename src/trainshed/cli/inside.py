"""``trainshed exec`` and ``attach``: into a container that runs."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from trainshed.app import clock
from trainshed.cli import containers, exits, output, session
from trainshed.cli.containers import Container
from trainshed.cli.options import DataDir, Job, Node, behind_dashes, spread
from trainshed.client import nodes, references

SHELL: Final = ("/bin/sh", "-c", "command -v bash >/dev/null && exec bash; exec sh")
"""The best shell that is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecOptions:
    """What can be typed after ``trainshed exec``."""

    context: typer.Context
    job: Job
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- CMD", help="What to run; none: a shell, in this terminal."),
    ] = None
    node: Node = ""
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="Connect stdin; a shell has it anyway.")
    ] = False
    tty: Annotated[
        bool, typer.Option("--tty", "-t", help="Give it a terminal; a shell here has one anyway.")
    ] = False
    data_dir: DataDir = None


@spread(ExecOptions)
def exec_(options: ExecOptions) -> None:
    """Run a command in a running job's container; its exit code is passed on.

    It runs beside the job, with the same files, environment and limits.
    """
    words = options.command or []
    behind = behind_dashes(options.context)
    if behind is not None and len(behind) < len(words):
        raise typer.BadParameter(f"{words[0]!r}: what to run stands behind --, whole")
    _, container = _container(options.job, options.node, options.data_dir)
    here = sys.stdin.isatty() and sys.stdout.isatty()
    container.enter(
        words or SHELL,
        interactive=options.interactive or not words,
        tty=options.tty or (not words and here),
    )


def attach(job: Job, node: Node = "", data_dir: DataDir = None) -> None:
    """Show what a job's container writes from now on. Ctrl-C leaves the job alone.

    Bytes come as they are written; without a container engine whole lines. Exit code: the
    container's, once it ends; 130 after Ctrl-C.
    """
    name, container = _container(job, node, data_dir)
    output.note(f"attached to {name}; Ctrl-C leaves it running")
    try:
        code = container.show()
    except KeyboardInterrupt:
        output.note(f"\ndetached: {name} goes on; come back with: trainshed attach {name}")
        raise typer.Exit(exits.INTERRUPTED) from None
    raise typer.Exit(code)


def _container(job: str, node: str, data_dir: Path | None) -> tuple[str, Container]:
    """Return the job's name and the container of a node of it."""
    server, _ = session.ensure(data_dir)
    api = server.api(clock.now)
    found = references.resolve(api, job)
    host = nodes.host(node, found)
    nodes.check_runs(found)
    return str(found["TrainingJobName"]), containers.running(server, api, found, host)

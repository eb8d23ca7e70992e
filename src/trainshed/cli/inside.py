"""``trainshed exec`` and ``attach``: into a container that runs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer

from trainshed.app import clock
from trainshed.cli import cluster_pods, engines, exits, output, processes, session
from trainshed.cli.cluster_pods import PodCommand
from trainshed.cli.options import DataDir, Job, Node, behind_dashes, spread
from trainshed.client import nodes, references
from trainshed.client.api import Api
from trainshed.client.errors import ClientError
from trainshed.client.follow import ENDED
from trainshed.domain import pods
from trainshed.domain.facts import Kind
from trainshed.stores.logs.format import decode

SHELL: Final = ("/bin/sh", "-c", "command -v bash >/dev/null && exec bash; exec sh")
"""The best shell that is there."""
_PIECE: Final = 1 << 20
_ASK_S: Final = 0.5
"""How often to ask a cluster whether it knows how a container ended."""
_LOOK_S: Final = 0.05
"""How often to look for more of what a container writes."""


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
    wanted = _wanted(options.job, options.node, options.data_dir)
    here = sys.stdin.isatty() and sys.stdout.isatty()
    interactive = options.interactive or not words
    tty = options.tty or (not words and here)
    command = words or SHELL
    sys.stdout.flush()
    if wanted.cluster is not None:
        connected = cluster_pods.terminal_options(interactive=interactive, tty=tty)
        inside = (_pod(wanted, wanted.cluster), "--container", pods.MAIN, "--", *command)
        argv = wanted.cluster.words("exec", *connected, *inside)
        os.execv(argv[0], argv)  # noqa: S606 - no shell is wanted
    found = _node(wanted)
    if found.plan.runtime == "docker":
        tool, container = _container(found)
        connected = engines.terminal_options(interactive=interactive, tty=tty)
        argv = tool.words("exec", *connected, container, *command)
        os.execv(argv[0], argv)  # noqa: S606 - as above
    joining = processes.join(_process(found), command)
    if not interactive:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if joining.folder is not None:
        os.chdir(joining.folder)
    environment = dict(joining.environment)
    if tty:
        environment["TERM"] = os.environ.get("TERM", "dumb")
    try:
        os.execvpe(joining.argv[0], joining.argv, environment)  # noqa: S606 - as above
    except OSError as error:  # nsenter says so itself; without namespaces it is ours to say
        output.note(f"{joining.argv[0]}: {error.strerror}")
        raise typer.Exit(126 if isinstance(error, PermissionError) else 127) from error


def attach(job: Job, node: Node = "", data_dir: DataDir = None) -> None:
    """Show what a job's container writes from now on. Ctrl-C leaves the job alone.

    Bytes come as they are written; without a container engine whole lines. Exit code: the
    container's, once it ends; 130 after Ctrl-C.
    """
    wanted = _wanted(job, node, data_dir)
    name = wanted.name
    try:
        if wanted.cluster is not None:
            pod = _pod(wanted, wanted.cluster)
            output.note(f"attached to {name}; Ctrl-C leaves it running")
            raise typer.Exit(_attached_to_pod(wanted, wanted.cluster, pod))
        found = _node(wanted)
        if found.plan.runtime == "docker":
            tool, container = _container(found)
            output.note(f"attached to {name}; Ctrl-C leaves it running")
            code = _attached(tool.words("attach", "--no-stdin", "--sig-proxy=false", container))
        else:
            _process(found)
            output.note(f"attached to {name}; Ctrl-C leaves it running")
            code = _followed(found.path)
    except KeyboardInterrupt:
        output.note(f"\ndetached: {name} goes on; come back with: trainshed attach {name}")
        raise typer.Exit(exits.INTERRUPTED) from None
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """Which node of a running job is meant."""

    api: Api
    job: Mapping[str, Any]
    host: str
    data_dir: Path
    cluster: PodCommand | None
    """None when the job is none of a cluster's."""

    @property
    def name(self) -> str:
        return str(self.job["TrainingJobName"])


def _wanted(job: str, node: str, data_dir: Path | None) -> _Wanted:
    server, _ = session.ensure(data_dir)
    api = server.api(clock.now)
    found = references.resolve(api, job)
    host = nodes.host(node, found)
    nodes.check_runs(found)
    return _Wanted(
        api=api,
        job=found,
        host=host,
        data_dir=server.data_dir,
        cluster=cluster_pods.pod_command(server, references.tags(api, found)),
    )


def _node(wanted: _Wanted) -> nodes.NodeFolder:
    return nodes.running(wanted.data_dir, wanted.job, wanted.host)


def _pod(wanted: _Wanted, cluster: PodCommand) -> str:
    pod = cluster.pod(wanted.name, wanted.host)
    if not pod:
        raise ClientError(
            f"no container of {wanted.name} runs on {wanted.host} in {cluster.backend} now "
            f"(it is {wanted.job['SecondaryStatus']})",
            f"trainshed describe {wanted.name}",
        )
    return pod


def _container(found: nodes.NodeFolder) -> tuple[engines.EngineCommand, str]:
    tool = engines.engine_command(found.plan.engine)
    container = tool.container(found.plan.node_id)
    if not container:
        raise ClientError(
            f"no container of {found.plan.job_name} runs on {found.plan.host} now: "
            "it has not begun, or just ended",
            f"trainshed describe {found.plan.job_name}",
        )
    return tool, container


def _process(found: nodes.NodeFolder) -> int:
    pid = processes.first(found.path)
    if pid is not None:
        return pid
    raise ClientError(
        f"no process of {found.plan.job_name} is to be seen on {found.plan.host} now: "
        "it has not begun, or just ended, or is another user's than yours",
        f"trainshed describe {found.plan.job_name}",
    )


def _attached(argv: list[str]) -> int:
    """Run a command that only shows something; return its exit code.

    Raises:
        KeyboardInterrupt: Ctrl-C; the command is ended, whatever it makes of that itself.
    """
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            child.kill()
            raise


def _attached_to_pod(wanted: _Wanted, cluster: PodCommand, pod: str) -> int:
    """Show what the container of a pod writes; return its exit code.

    kubectl's own says nothing of it, and a kubelet tells a moment later; by then the pod may be
    gone, and then the job's end has to do.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    words = cluster.words("attach", pod, "--container", pods.MAIN)
    if refused := _attached(words):
        return refused
    while (code := cluster.exit_code(pod)) is None:
        job = references.resolve(wanted.api, wanted.name)
        if job["TrainingJobStatus"] in ENDED:
            return 0 if job["TrainingJobStatus"] == "Completed" else exits.ERROR
        time.sleep(_ASK_S)
    return code


def _followed(folder: Path) -> int:
    """Print the lines that a node's agent logs from now on; return the container's exit code."""
    with (
        (folder / "output.log").open("rb") as log,
        (folder / "journal.jsonl").open("rb") as journal,
    ):
        log.seek(0, os.SEEK_END)
        lines, facts = _Lines(log), _Lines(journal)
        while True:
            # In this order: the folder is removed after the end is told, what it wrote is in the
            # log before.
            gone = not folder.exists()
            code = _exit_code(facts)
            for line in lines.new():
                print(decode(line)[1])
            sys.stdout.flush()
            if code is not None:
                return code
            if gone:
                return exits.ERROR
            time.sleep(_LOOK_S)


class _Lines:
    """The lines of a file that somebody appends to."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rest = b""

    def new(self) -> Iterator[bytes]:
        """Yield the whole lines that are new since the last call."""
        while data := self._file.read(_PIECE):
            *lines, self._rest = (self._rest + data).split(b"\n")
            yield from lines


def _exit_code(facts: _Lines) -> int | None:
    """Return how the container ended; None while it runs."""
    for line in facts.new():
        fact = json.loads(line)
        if fact["kind"] == Kind.EXITED:
            return int(fact["exit_code"])
        if fact["kind"] == Kind.ENDED:
            return exits.ERROR
    return None

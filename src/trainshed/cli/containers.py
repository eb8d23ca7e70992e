"""The container of a running node, wherever it is: what enters it, and what shows its output.

PodContainer        kubectl
EngineContainer     docker, podman
ProcessContainer    nsenter, and the log of the node's agent
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn, Protocol

import typer

from trainshed.cli import cluster_pods, engines, exits, output, processes
from trainshed.cli.cluster_pods import PodCommand
from trainshed.cli.engines import EngineCommand
from trainshed.client import nodes, references
from trainshed.client.api import Api
from trainshed.client.errors import ClientError
from trainshed.client.follow import ENDED
from trainshed.client.nodes import NodeFolder
from trainshed.client.server import Server
from trainshed.domain import pods
from trainshed.domain.facts import Kind
from trainshed.stores.logs.format import decode

_PIECE: Final = 1 << 20
_ASK_S: Final = 0.5
"""How often to ask a cluster whether it knows how a container ended."""
_LOOK_S: Final = 0.05
"""How often to look for more of what a container writes."""


class Container(Protocol):
    """The container of a node that runs."""

    def enter(self, command: Sequence[str], *, interactive: bool, tty: bool) -> NoReturn:
        """Run a command in it instead of this process.

        Args:
            command: a program and its arguments.
            interactive: whether it is to have our stdin.
            tty: whether it is to have a terminal.

        Raises:
            ClientError: the container has just ended, or may not be entered.
            typer.Exit: there is no such command, which has been told.
        """
        ...

    def show(self) -> int:
        """Print what it writes from now on; return its exit code.

        Raises:
            ClientError: it can't be asked how it ended.
            KeyboardInterrupt: Ctrl-C; the container goes on.
        """
        ...


def running(server: Server, api: Api, job: Mapping[str, Any], host: str) -> Container:
    """Return the container of a job's node.

    Args:
        server: the job's.
        api: asks it.
        job: DescribeTrainingJob's answer.
        host: such as ``algo-1``.

    Raises:
        ClientError: none of it runs now, or nothing here can reach it.
        SettingsError: the server's settings can't be read.
    """
    cluster = cluster_pods.pod_command(server, references.tags(api, job))
    if cluster is not None:
        return PodContainer.of(cluster, api, job, host)
    found = nodes.running(server.data_dir, job, host)
    return (EngineContainer if found.plan.runtime == "docker" else ProcessContainer).of(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodContainer:
    """One of a cluster's."""

    command: PodCommand
    pod: str
    api: Api
    job: str

    @classmethod
    def of(cls, command: PodCommand, api: Api, job: Mapping[str, Any], host: str) -> "PodContainer":
        """Find it; raise ``ClientError`` when it does not run."""
        name = str(job["TrainingJobName"])
        pod = command.pod(name, host)
        if not pod:
            raise ClientError(
                f"no container of {name} runs on {host} in {command.backend} now "
                f"(it is {job['SecondaryStatus']})",
                f"trainshed describe {name}",
            )
        return cls(command=command, pod=pod, api=api, job=name)

    def enter(self, command: Sequence[str], *, interactive: bool, tty: bool) -> NoReturn:
        """See ``Container``."""
        connected = cluster_pods.terminal_options(interactive=interactive, tty=tty)
        inside = (self.pod, "--container", pods.MAIN, "--", *command)
        _become(self.command.words("exec", *connected, *inside))

    def show(self) -> int:
        """See ``Container``.

        kubectl's own exit code says nothing of the container's, and a kubelet tells that a moment
        later; by then the pod may be gone, and then the job's end has to do.
        """
        if refused := _shown(self.command.words("attach", self.pod, "--container", pods.MAIN)):
            return refused
        while (code := self.command.exit_code(self.pod)) is None:
            status = references.resolve(self.api, self.job)["TrainingJobStatus"]
            if status in ENDED:
                return 0 if status == "Completed" else exits.ERROR
            time.sleep(_ASK_S)
        return code


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineContainer:
    """One of a container engine on this machine."""

    command: EngineCommand
    container: str
    """Its id."""

    @classmethod
    def of(cls, found: NodeFolder) -> "EngineContainer":
        """Find it; raise ``ClientError`` when it does not run."""
        command = engines.engine_command(found.plan.engine)
        container = command.container(found.plan.node_id)
        if not container:
            raise ClientError(
                f"no container of {found.plan.job_name} runs on {found.plan.host} now: "
                "it has not begun, or just ended",
                f"trainshed describe {found.plan.job_name}",
            )
        return cls(command=command, container=container)

    def enter(self, command: Sequence[str], *, interactive: bool, tty: bool) -> NoReturn:
        """See ``Container``."""
        connected = engines.terminal_options(interactive=interactive, tty=tty)
        _become(self.command.words("exec", *connected, self.container, *command))

    def show(self) -> int:
        """See ``Container``."""
        words = ("attach", "--no-stdin", "--sig-proxy=false", self.container)
        return _shown(self.command.words(*words))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessContainer:
    """One of processes on this machine, without an engine."""

    pid: int
    """Its first process."""
    folder: Path
    """The node's."""

    @classmethod
    def of(cls, found: NodeFolder) -> "ProcessContainer":
        """Find it; raise ``ClientError`` when it does not run."""
        pid = processes.first(found.path)
        if pid is None:
            raise ClientError(
                f"no process of {found.plan.job_name} is to be seen on {found.plan.host} now: "
                "it has not begun, or just ended, or is another user's than yours",
                f"trainshed describe {found.plan.job_name}",
            )
        return cls(pid=pid, folder=found.path)

    def enter(self, command: Sequence[str], *, interactive: bool, tty: bool) -> NoReturn:
        """See ``Container``."""
        joining = processes.join(self.pid, command)
        if not interactive:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if joining.folder is not None:
            os.chdir(joining.folder)
        terminal = {"TERM": os.environ.get("TERM", "dumb")} if tty else {}
        try:
            _become(joining.argv, {**joining.environment, **terminal})
        except OSError as error:  # nsenter says so itself; without namespaces it is ours to say
            output.note(f"{joining.argv[0]}: {error.strerror}")
            raise typer.Exit(126 if isinstance(error, PermissionError) else 127) from error

    def show(self) -> int:
        """Print the lines that the node's agent logs from now on; see ``Container``."""
        with (
            (self.folder / "output.log").open("rb") as log,
            (self.folder / "journal.jsonl").open("rb") as journal,
        ):
            log.seek(0, os.SEEK_END)
            lines, facts = _Lines(log), _Lines(journal)
            while True:
                # In this order: the folder is removed after the end is told, what it wrote is in
                # the log before.
                gone = not self.folder.exists()
                code = _exit_code(facts)
                for line in lines.new():
                    print(decode(line)[1])
                sys.stdout.flush()
                if code is not None:
                    return code
                if gone:
                    return exits.ERROR
                time.sleep(_LOOK_S)


def _become(argv: list[str], environment: Mapping[str, str] | None = None) -> NoReturn:
    """Run a command line instead of this process; ``OSError`` when that does not work."""
    sys.stdout.flush()
    chosen = os.environ if environment is None else environment
    os.execvpe(argv[0], argv, chosen)  # noqa: S606 - no shell is wanted


def _shown(argv: list[str]) -> int:
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

"""Runs a container as processes of this machine, inside bubblewrap's namespaces where they work.

Three degrees, the best that a trial run shows to work:

    namespaces  own /opt/ml, /etc/hosts, host name and PIDs; the kernel ends all with the first
    mounts      own /opt/ml, /etc/hosts and host name; the reaper ends all
    bare        nothing of its own: the tree is named by SAGEMAKER_BASE_DIR; the reaper ends all
"""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

from trainshed.agent import oom
from trainshed.agent.channels.mounts import mounts_of
from trainshed.agent.checkpoints.mounting import mount_of
from trainshed.agent.command import command
from trainshed.agent.node import Node
from trainshed.agent.runtimes import bubblewrap
from trainshed.agent.runtimes.base import Command, Exit, Stream
from trainshed.domain.plan import NodePlan

_REAPER: Final = str(Path(__file__).with_name("reaper.py"))
_READ: Final = 256 * 1024


class Degree(StrEnum):
    """How much of its own a container has."""

    NAMESPACES = "namespaces"
    MOUNTS = "mounts"
    BARE = "bare"


class ProcessRuntime:
    """Starts containers as processes."""

    def __init__(self, *, python: str, most: Degree = Degree.NAMESPACES) -> None:
        """Find out what works here (5 ms).

        Args:
            python: the interpreter that runs the reaper.
            most: try nothing better than this.
        """
        self._python = python
        self._program = _found("bwrap")
        self.degree, self.why = self._probe(most)

    @property
    def sees_opt_ml(self) -> bool:
        """Whether the container finds its tree under ``/opt/ml``."""
        return self.degree is not Degree.BARE

    @property
    def interface(self) -> str:
        """All nodes of a process backend are on one machine; NCCL and MPI are told to use this."""
        return "lo"

    @property
    def starts_by_itself(self) -> bool:
        """Return False: the agent starts it."""
        return False

    @property
    def no_views(self) -> str:
        """Return nothing: the container sees what is mounted below its tree."""
        return ""

    def describe(self) -> str:
        """Return how the container will run."""
        return f"process ({self.degree})"

    def notes(self, node: Node) -> list[str]:
        """Return what the user should know before the first line."""
        if self.sees_opt_ml:
            return []
        text = (
            f"paths under /opt/ml are not visible to this job: {self.why}. Its tree is "
            f"{node.seen.base}; SAGEMAKER_BASE_DIR, SM_MODEL_DIR, SM_CHANNEL_* and the like name it"
        )
        kept = f"checkpoints are kept of {node.seen.checkpoints}, whatever LocalPath says"
        notes = [text, kept] if node.plan.request.get("CheckpointConfig") else [text]
        for each in mounts_of(node.plan):
            if each.read_only:
                notes.append(f"channel {each.channel}: nothing keeps it from being written to here")
        return notes

    def fetch(self, node: Node) -> None:
        """Do nothing: what runs is an environment of this machine."""

    def brings_code(self, node: Node) -> bool:
        """Tell whether the toolkit runs the user's script here."""
        return node.plan.script_mode

    def find(self, node: Node) -> None:
        """Return None: a container ends with the agent that started it."""

    def clear(self, node: Node) -> None:
        """Do nothing: the kernel has ended it all."""

    def prepare(self, node: Node) -> "Callable[[], ProcessContainer]":
        """Return what starts the node's command on its tree, from the process's main thread.

        Raises:
            NodeOver: there is nothing to run.
        """
        mounts = []
        if not self.sees_opt_ml:
            _link_channels(node)
            _link_warm_cache(node)
        else:
            # Checkpoints may be kept there, too: then they are mounted over it.
            if node.plan.warm_cache:
                mounts.append((Path(node.plan.warm_cache), str(node.seen.warm_pool_cache)))
            if (checkpoints := mount_of(node)) is not None:
                mounts.append(checkpoints)
        return partial(self._start, command(node, os.environ), node.folder, node.plan, mounts)

    def _start(
        self, what: Command, folder: Path, plan: NodePlan, mounts: Sequence[tuple[Path, str]]
    ) -> "ProcessContainer":
        status, told = os.pipe()
        control, hold = os.pipe()
        keep = [told]
        argv: list[str] = []
        if self.degree is not Degree.NAMESPACES:
            keep.append(control)
            announce = "1" if self.degree is Degree.BARE else "0"
            argv = [self._python, "-I", "-S", _REAPER, str(control), str(told), announce, "--"]
        if self.degree is not Degree.BARE:
            hosts = folder / "hosts"
            hosts.write_text(bubblewrap.hosts_file(plan.hosts))
            options = bubblewrap.arguments(
                ml=folder / "ml",
                hosts=hosts,
                host=plan.host,
                own_pids=self.degree is Degree.NAMESPACES,
                mounts=mounts,
                channels=mounts_of(plan),
            )
            options += ["--json-status-fd", str(told), "--chdir", what.folder]
            argv += [str(self._program), "--args", str(_listed(options, keep)), "--"]
        try:
            process = subprocess.Popen(
                [*argv, *what.argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(what.environment),
                cwd=what.folder if self.degree is Degree.BARE else "/",
                pass_fds=keep,
                start_new_session=True,
                bufsize=0,
            )
        finally:
            for fd in {*keep, control}:
                os.close(fd)
        own = str(self._program) if self.degree is not Degree.BARE else ""
        return ProcessContainer(process, status=status, hold=hold, degree=self.degree, own=own)

    def _probe(self, most: Degree) -> tuple[Degree, str]:
        if most is Degree.BARE:
            return Degree.BARE, "it was configured so"
        if self._program is None:
            return Degree.BARE, "bubblewrap (bwrap) is not installed"
        base = [self._program, "--dev-bind", "/", "/", "--unshare-uts", "--tmpfs", "/opt"]
        trials = {
            Degree.NAMESPACES: [*base, "--unshare-pid", "--as-pid-1", "--proc", "/proc"],
            Degree.MOUNTS: base,
        }
        why = ""
        for degree, trial in trials.items():
            if degree is Degree.NAMESPACES and most is not Degree.NAMESPACES:
                continue
            tried = subprocess.run([*trial, "true"], capture_output=True, check=False)
            if tried.returncode == 0:
                return degree, why
            said = tried.stderr.decode(errors="replace").strip()
            why = f"bubblewrap does not work here ({said})"
        return Degree.BARE, why


def _link_channels(node: Node) -> None:
    """Have folders of file systems found in the node's tree, where nothing can be mounted."""
    for each in mounts_of(node.plan):
        place = node.tree.channel(each.channel)
        if not place.is_symlink():
            place.rmdir()
            place.symlink_to(each.source)


def _link_warm_cache(node: Node) -> None:
    """Have what a warm pool keeps found in the node's tree."""
    place = node.tree.warm_pool_cache
    if node.plan.warm_cache and not place.is_symlink():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(node.plan.warm_cache)


class ProcessContainer:
    """A container made of processes; see ``runtimes.base.Container``."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        *,
        status: int,
        hold: int,
        degree: Degree,
        own: str,
    ) -> None:
        """Watch over a started process.

        Args:
            process: bubblewrap, or the reaper.
            status: where JSON objects about the container arrive.
            hold: closing it has the reaper kill everything.
            degree: what the container has of its own.
            own: bubblewrap's path; the command has begun when its process runs another program.
        """
        if process.stdout is None or process.stderr is None:
            raise ValueError("a container's process needs pipes for stdout and stderr")
        self._process = process
        self._hold = hold
        self._degree = degree
        self._own = os.path.realpath(own) if own else ""
        self._told = b""
        self._pid = -1
        self._pid_fd = -1
        self._exit_code: int | None = None
        self._oom_kills = oom.kills()
        self.events = status
        self.exited = os.pidfd_open(process.pid)
        self._streams = {
            process.stdout.fileno(): Stream.STDOUT,
            process.stderr.fileno(): Stream.STDERR,
        }
        self.outputs = tuple(self._streams)

    def read(self, output: int) -> Sequence[tuple[Stream, bytes]] | None:
        """Return what was written since; None at the end."""
        data = os.read(output, _READ)
        return [(self._streams[output], data)] if data else None

    def hear(self) -> bool:
        """Take what the status pipe tells."""
        data = os.read(self.events, 65536)
        self._told += data
        *lines, self._told = self._told.split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "child-pid" in told:
                self._pid = told["child-pid"]
                with contextlib.suppress(ProcessLookupError):
                    self._pid_fd = os.pidfd_open(self._pid)
            self._exit_code = told.get("exit-code", self._exit_code)
        return bool(data)

    def terminate(self) -> bool:
        """Send SIGTERM to the command; False while it is not yet the command that would get it."""
        if self._pid < 0:
            return False
        with contextlib.suppress(OSError):
            if self._own and os.readlink(f"/proc/{self._pid}/exe") == self._own:  # noqa: PTH115
                return False
        self._signal(signal.SIGTERM)
        return True

    def abandon(self) -> None:
        """Kill it: nobody reads what it writes any more, so it would hang."""
        self.kill()

    def kill(self) -> None:
        """Kill every process of the container."""
        if self._degree is Degree.NAMESPACES:
            if self._pid_fd >= 0:
                self._signal(signal.SIGKILL)
            else:
                self._process.kill()  # and by --die-with-parent whatever it has started
        elif self._hold >= 0:
            os.close(self._hold)
            self._hold = -1

    def collect(self) -> Exit:
        """Return how it ended."""
        code = self._process.wait()
        while self.hear():
            pass
        for fd in (self.events, self.exited, self._pid_fd, self._hold):
            if fd >= 0:
                os.close(fd)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        if self._exit_code is not None:
            killed = self._exit_code == 128 + signal.SIGKILL
            return Exit(exit_code=self._exit_code, oom=killed and oom.kills() > self._oom_kills)
        if code < 0:  # somebody killed bubblewrap, or the reaper, and with it the command
            return Exit(exit_code=128 - code)
        return Exit(exit_code=code, trouble=f"exit status {code}")

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, OSError):
            if self._pid_fd >= 0:
                signal.pidfd_send_signal(self._pid_fd, number)


def _found(program: str) -> str | None:
    """Return the path of a program; ``shutil.which`` would cost 3 ms of loading."""
    paths = (os.path.join(folder, program) for folder in os.get_exec_path())  # noqa: PTH118
    return next((path for path in paths if os.access(path, os.X_OK)), None)


def _listed(options: Sequence[str], keep: list[int]) -> int:
    """Return a descriptor from which bubblewrap reads its options, out of sight of ``ps``."""
    fd = os.memfd_create("bwrap", 0)
    keep.append(fd)
    os.write(fd, b"".join(os.fsencode(option) + b"\0" for option in options))
    os.lseek(fd, 0, os.SEEK_SET)
    return fd

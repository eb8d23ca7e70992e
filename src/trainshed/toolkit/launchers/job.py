"""What a launcher is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol
from zlib import crc32

from trainshed.contract.script_mode import PYTHON_VARIABLE
from trainshed.contract.tree import Tree
from trainshed.toolkit.child import Children, Ended
from trainshed.toolkit.entry_point import Kind
from trainshed.toolkit.environment import passable
from trainshed.toolkit.failure import ToolkitError

SHARED_PORTS: Final = range(20000, 30000)
"""Where jobs that share a machine's ports listen: below those that it gives to clients."""


class Job(NamedTuple):
    """A user's program, ready to be started on this host."""

    tree: Tree
    program: str
    kind: Kind
    python: str
    """The interpreter (absolute path) that runs the program."""
    arguments: list[str]
    variables: dict[str, str]
    """The program's whole environment."""
    told: list[str]
    """The names among ``variables`` that the toolkit itself made (``SM_*``)."""
    facts: Mapping[str, Any]
    """What ``SM_TRAINING_ENV`` holds."""
    parameters: Mapping[str, Any]
    """The framework parameters, read."""
    platform: Mapping[str, str]
    """The platform's words to the toolkit (``script_mode.PLATFORM_VARIABLES``)."""
    children: Children

    @property
    def host(self) -> str:
        """This host's name."""
        return str(self.facts["current_host"])

    @property
    def interface(self) -> str:
        """The network interface that reaches the other hosts."""
        return str(self.facts["network_interface_name"])

    @property
    def in_container(self) -> bool:
        """Whether it runs in one; where the platform chose the interpreter there is none."""
        return PYTHON_VARIABLE not in self.platform

    @property
    def own_port(self) -> int | None:
        """Where its hosts meet if it shares a machine's ports with other jobs; else None.

        Drawn from the job's name, which is what its hosts have in common and no other job has.
        """
        if self.in_container:
            return None
        drawn = crc32(str(self.facts["job_name"]).encode())
        return SHARED_PORTS[drawn % len(SHARED_PORTS)]


class Finished(NamedTuple):
    """How a job ended on this host."""

    exit_code: int
    """0-255."""
    failure: str
    """For the failure file; "" with exit code 0."""


class Launcher(Protocol):
    """Starts a job on this host, and stays until its end."""

    def __call__(self, job: Job) -> Finished:
        """Return how it ended.

        Raises:
            ToolkitError: it was not started.
            SystemExit: we were asked to stop before it ran.
        """


def say(text: str) -> None:
    """Write a line of ours to the job's log."""
    print(f"trainshed: {text}", flush=True)


def run(job: Job, command: list[str], extra: Mapping[str, str]) -> Ended:
    """Run ``command`` in the code folder to its end.

    Args:
        job: whose environment the command gets.
        command: the first word is a path.
        extra: added to that environment where it lacks them: what people set, wins.

    Raises:
        ToolkitError: it cannot be started.
    """
    try:
        passed, notes = passable({**extra, **job.variables})
        for note in notes:
            say(note)
        return job.children.run(command, passed, str(job.tree.code))
    except (OSError, ValueError) as error:
        raise ToolkitError(f"{' '.join(command)[:300]} cannot be started: {error}") from error


def processes_per_host(job: Job, asked: object) -> int:
    """Return how many processes a host runs: as asked, else one per accelerator, else one.

    Raises:
        ToolkitError: what was asked is no positive number.
    """
    if asked is None:
        return int(job.facts["num_gpus"]) or int(job.facts["num_neurons"]) or 1
    return positive("the number of processes per host", asked)


def positive(what: str, asked: object) -> int:
    """Return a framework parameter that counts something.

    Raises:
        ToolkitError: it is no positive number.
    """
    try:
        count = int(str(asked))
    except ValueError:
        count = 0
    if count < 1 or isinstance(asked, bool):
        raise ToolkitError(f"{what} is {asked!r}; it must be a whole number from 1 on")
    return count

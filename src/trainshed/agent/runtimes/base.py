"""What every runtime promises: a started container that can be heard, stopped and waited for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol


class Stream(IntEnum):
    """Which of its two streams a container wrote to."""

    STDOUT = 1
    STDERR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What runs in a container."""

    argv: tuple[str, ...]
    """The program is looked up on ``PATH`` of ``environment``."""
    environment: Mapping[str, str]
    """The whole environment; nothing else is inherited."""
    folder: str
    """Working directory, as the container sees it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a container ended."""

    exit_code: int
    """0-255; 128 + n for death by signal n; 126 and 127 when the program could not be run."""
    trouble: str = ""
    """Why the container could not be set up at all; the command then never ran."""
    oom: bool = False
    """Whether the kernel killed something in it for want of memory."""
    lost: str = ""
    """How the container was taken away, if it was; its exit code then tells nothing."""


class Container(Protocol):
    """A started container. Used from one thread."""

    @property
    def outputs(self) -> Sequence[int]:
        """File descriptors to ``read`` when they are readable."""
        ...

    def read(self, output: int) -> Sequence[tuple[Stream, bytes]] | None:
        """Return what was written since; None when nobody can write to that output any more.

        Runtimes whose containers outlive the agent give the same bytes in the same order to each
        agent that reads them from the start, however they are cut.
        """
        ...

    @property
    def events(self) -> int:
        """File descriptor; when it is readable call ``hear``."""
        ...

    @property
    def exited(self) -> int:
        """File descriptor that is readable once the container is over, with all its processes."""
        ...

    def hear(self) -> bool:
        """Take what ``events`` has to tell; return False when nothing more will come."""
        ...

    def terminate(self) -> bool:
        """Send SIGTERM to the command's own process; False when it has not begun yet."""
        ...

    def kill(self) -> None:
        """Kill every process of the container. What is over already is no error."""
        ...

    def abandon(self) -> None:
        """Leave it to the next agent; kill it where that could not find it again."""
        ...

    def collect(self) -> Exit:
        """Wait for the end and return it; frees everything. Call once."""
        ...

"""Containers whose command could not be run: each engine has words of its own for that."""

import contextlib
import os
import re
from collections.abc import Sequence
from typing import Final

from trainshed.agent.runtimes.base import Exit, Stream

_REFUSALS: Final = {
    "executable file not found": 127,
    "no such file or directory": 127,
    "exec format error": 127,
    "is a directory": 126,
    "permission denied": 126,
}
_COMMAND: Final = re.compile(r"exec: .*?(?=: unknown$|: OCI [^:]*$|$)", re.DOTALL)
_NOT_RUN: Final = re.compile(
    r"(?:standard_init_linux\.go:\d+: )?exec (?:user process caused: |user process caused \"|\S+: )"
    r"(?P<why>no such file or directory|exec format error|permission denied)\"?"
)
"""All that a container says whose command the kernel would not run; runc ends with 1 or 255."""
SAID: Final = 1024
"""Bytes of a container's first words that ``not_run`` wants to see."""


class NeverRan:
    """A container whose command the engine could not run: it says why, and is over."""

    def __init__(self, why: str, exit_code: int) -> None:
        self._why: bytes | None = why.encode() + b"\n"
        self._exit_code = exit_code
        self.exited = os.eventfd(1, os.EFD_CLOEXEC)
        self._always = os.eventfd(1, os.EFD_CLOEXEC)
        self.outputs: Sequence[int] = (self._always,)
        self.events, self._no_events = os.pipe()

    def read(self, output: int) -> Sequence[tuple[Stream, bytes]] | None:
        """Return why, once."""
        why, self._why = self._why, None
        return None if why is None else [(Stream.STDERR, why)]

    def hear(self) -> bool:
        """Return True: nothing is ever told."""
        return True

    def terminate(self) -> bool:
        """Do nothing: it is over."""
        return True

    def kill(self) -> None:
        """Do nothing: it is over."""

    def abandon(self) -> None:
        """Do nothing: it is over."""

    def collect(self) -> Exit:
        """Return 126 or 127, as a shell does."""
        for fd in (self.exited, self._always, self.events, self._no_events):
            with contextlib.suppress(OSError):
                os.close(fd)
        return Exit(exit_code=self._exit_code)


def refused_command(text: str) -> NeverRan | None:
    """Return the container whose command an engine could not run; None for any other trouble.

    Args:
        text: what the engine says of it.
    """
    found = _COMMAND.search(text)
    if found is None:
        return None
    for words, exit_code in _REFUSALS.items():
        if words in found[0]:
            return NeverRan(found[0], exit_code)
    return None


def not_run(exit_code: int, said: bytes) -> int:
    """Return 126 or 127 for a container whose command the kernel would not run; 0 for others.

    Args:
        exit_code: how it ended.
        said: the first that it wrote, ``SAID`` bytes or less.
    """
    if exit_code not in {1, 255}:
        return 0
    found = _NOT_RUN.fullmatch(said.decode(errors="replace").strip())
    if found is None:
        return 0
    return 126 if found["why"] == "permission denied" else 127

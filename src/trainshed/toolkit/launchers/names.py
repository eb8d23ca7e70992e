"""Waits until the names of a job's hosts resolve: containers of one job do not start at once.

Source: Amazon's developer guide asks programs to retry; its toolkit does so for 15 minutes.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from trainshed.toolkit.failure import ToolkitError
from trainshed.toolkit.launchers.job import say

WITHIN: Final = 15 * 60.0
"""Seconds."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 30.0
_SAID_AFTER: Final = 5.0
"""Seconds of waiting before the log hears of it."""


class Clock:
    """How time passes."""

    def now(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass; a signal's end of the process comes through."""
        time.sleep(seconds)


def wait(
    hosts: Sequence[str],
    within: float = WITHIN,
    *,
    resolve: Callable[[str], object] = socket.gethostbyname,
    clock: Clock | None = None,
) -> None:
    """Return once every name resolves.

    Args:
        hosts: the names.
        within: seconds; 0 asks once.
        resolve: raises OSError for a name that it does not know.
        clock: how time passes.

    Raises:
        ToolkitError: some do not within that time.
        SystemExit: we were asked to stop.
    """
    clock = clock or Clock()
    began, pause, said = clock.now(), _FIRST_PAUSE, False
    missing = [host for host in hosts if not _resolves(host, resolve)]
    while missing:
        left = within - (clock.now() - began)
        if left <= 0:
            raise ToolkitError(
                f"no address is known for {', '.join(missing)}, asked for {within:.0f} s; the "
                "runtime must let the names of all hosts resolve in every container"
            )
        if not said and clock.now() - began >= _SAID_AFTER:
            say(f"waiting for the names of other hosts to resolve: {', '.join(missing)}")
            said = True
        clock.sleep(min(pause, left))
        pause = min(pause * 2, _LONGEST_PAUSE)
        missing = [host for host in missing if not _resolves(host, resolve)]


def _resolves(host: str, resolve: Callable[[str], object]) -> bool:
    try:
        resolve(host)
    except OSError:
        return False
    except UnicodeError as error:
        raise ToolkitError(f"{host!r} is no host name: {error}") from error
    return True

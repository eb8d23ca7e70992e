"""How a container ended, for those who work beside it and must judge what it left behind."""

import select
import threading
import time

from trainshed.agent.runtimes.base import Exit


class Ending:
    """Nothing until the container is over. Written by one thread, read by all."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._fd = -1
        self._over_at = 0.0
        self._exit: Exit | None = None
        self._killed = False
        self._lock = threading.Lock()
        self._exited = select.poll()

    def follow(self, exited: int) -> None:
        """Take it for over as soon as this file descriptor, a container's, is readable."""
        self._fd = exited
        self._exited.register(exited, select.POLLIN)

    def note_over(self) -> None:
        """It is over; how, is not known yet. The descriptor is not asked any more."""
        with self._lock:
            if self._fd >= 0:
                self._exited.unregister(self._fd)
                self._fd = -1
            self._over_at = self._over_at or time.time()
            self._over.set()

    def note_exit(self, how: Exit, *, killed: bool) -> None:
        """It ended so; ``killed`` when the agent had to kill it."""
        self._exit, self._killed = how, killed

    def note_doubt(self) -> None:
        """How it ended tells nothing of what it left: it was misled while it ran."""
        self._exit = None

    @property
    def over(self) -> bool:
        """Whether the container is over, though nobody may have noted it yet."""
        with self._lock:
            return self._over.is_set() or (self._fd >= 0 and bool(self._exited.poll(0)))

    def wait(self, seconds: float) -> bool:
        """Wait until it is over, but no longer than so; tell whether it is."""
        return self._over.wait(seconds) or self.over

    @property
    def known(self) -> bool:
        """Whether its exit code tells how it ended."""
        how = self._exit
        return how is not None and not (self._killed or how.lost or how.trouble)

    @property
    def over_at(self) -> float:
        """When it was over, in seconds since the epoch; 0 while it is not."""
        return self._over_at

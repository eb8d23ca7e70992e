"""What was done already, line by line, so that an agent that starts over need not do it again."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainshed.agent.appending import append


class Notes:
    """JSON values, one a line. Safe to share between threads.

    What is forgotten is done again and does no harm: neither a line that a crash cut short nor one
    that the disk has no room for is an error.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, which is made when it is missing.

        Raises:
            OSError: it can be neither found nor made.
        """
        self._lock = threading.Lock()
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size

    def read(self) -> Iterator[Any]:
        """Yield what was added, by this agent or one before."""
        with self._path.open("rb") as file:
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue

    def add(self, value: Any) -> None:  # noqa: ANN401 - whatever JSON holds
        """Add a value, if there is room for it."""
        with self._lock:
            # A line of its own, whatever a crash left before it.
            data = b"\n" + json.dumps(value).encode() + b"\n"
            try:
                self._size = append(self._fd, data, self._size)
            except OSError:
                return

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

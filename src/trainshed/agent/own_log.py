"""What an agent says of itself, on stderr, for whoever runs it; never a reason to fail.

A full disk is when there is most to say, and no room to say it. A thread that died over that would
leave a job that nobody ends.
"""

import contextlib
import io
import os
import sys


class OwnLog(io.TextIOBase):
    """Writes to a descriptor what there is room for."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, text: str) -> int:
        """Write at once, or not at all."""
        with contextlib.suppress(OSError):
            os.write(self._fd, text.encode(errors="backslashreplace"))
        return len(text)


def say_what_there_is_room_for() -> None:
    """Have nothing fail that is written to ``sys.stderr`` from now on."""
    sys.stderr = OwnLog(2)

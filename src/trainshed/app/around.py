"""Where tests put something around a server's parts while it is built: faults on purpose."""

from typing import Protocol, TypeVar

T = TypeVar("T")


class Around(Protocol):
    """Told of each part as it is made.

    ``records``, ``leases``, ``driver`` (of each backend), ``reports`` (the ASGI app), ``objects``,
    ``clock`` (a function), and ``agent`` (the command that starts one).
    """

    def __call__(self, what: str, part: T, /) -> T:
        """Return the part, or what takes its place."""
        ...


def nothing(_: str, part: T, /) -> T:
    """Put nothing around a part."""
    return part

"""What feeds one channel to a container while it runs.

Feeds live in a process of their own beside the agent (``process.py``), which outlives it as the
container does: a pipe that lost its writer would look to the script like the end of its data.
"""

from typing import Protocol


class Feed(Protocol):
    """One channel. Made, opened and closed by one thread; ``serve`` runs in another."""

    def open(self) -> None:
        """Have the channel's paths there; the container may start when all feeds are open.

        Raises:
            BadInput: the request or the data is at fault.
            StoreError: the store refused, or stayed away.
            OSError: this machine can't do it.
        """
        ...

    def serve(self) -> None:
        """Hand over data until ``close`` is called; raises as ``open`` does.

        When it raises, no reader has been shown an end of data that is not one.
        """
        ...

    def close(self) -> None:
        """End ``serve``, and take away what ``open`` made; a second call changes nothing."""
        ...

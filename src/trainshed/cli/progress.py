"""A bar for bytes that move, in a terminal; nothing elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from trainshed.cli import output
from trainshed.client.objects import Progress


@contextmanager
def bytes_bar(what: str, total: int | None) -> Iterator[Progress]:
    """Yield what is told of bytes as they move; the bar goes away at the end.

    Args:
        what: stands before the bar.
        total: bytes to come; None when nobody knows.
    """
    if not output.fancy(sys.stderr):
        yield _nothing
        return
    # Measured: only who sees a bar pays for Rich.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        TextColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Bars(
        *columns, TransferSpeedColumn(), console=Console(stderr=True), transient=True
    ) as bars:
        task = bars.add_task(what, total=total)
        yield lambda moved: bars.advance(task, moved)


def _nothing(moved: int) -> None:
    """Take note of nothing."""

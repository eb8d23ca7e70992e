"""Unpacks the archive of the user's code, within bounds that real code stays far below."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trainshed.contract import archives
from trainshed.toolkit.failure import ToolkitError

MAX_MEMBERS: Final = 100_000
MAX_BYTES: Final = 8 * 1024**3
"""Unpacked. Weights of a few GB are seen in source archives; data belongs into channels."""


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar or tar.gz into ``folder``; what is there and has the same name is replaced.

    Raises:
        ToolkitError: the archive is missing, broken, too large, or reaches outside the folder.
    """
    try:
        archives.unpack(archive, folder, most_members=MAX_MEMBERS, most_bytes=MAX_BYTES)
    except archives.BrokenArchive as error:
        raise ToolkitError(f"the source archive {archive} cannot be unpacked: {error}") from error
    except archives.RefusedArchive as refused:
        raise ToolkitError(f"the source archive {archive} is refused: {refused}") from refused

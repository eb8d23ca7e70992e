"""Extends a stream whose lock is held.

The locked file names the last segment, because a folder on NFS may be listed as it was half a
minute ago, while a locked file and a file just opened are as they are. And bytes are written at
their offset rather than at the end: should two servers ever write the same bytes of an agent's
file, they are there once.
"""

import os
from pathlib import Path
from typing import Final

from trainshed.stores.flushing import flush_folder
from trainshed.stores.logs.reading import SUFFIX, Segment, segment_name

_DIGITS: Final = 20
_MOST: Final = 16 * 1024 * 1024
"""Bytes of one write."""


def last_segment(folder: Path, lock: int, limit: int) -> Segment:
    """Return the segment where a stream ends, which may not be there yet.

    Args:
        folder: the stream's.
        lock: what ``locked`` yielded.
        limit: bytes, after which a new segment begins.
    """
    noted = os.pread(lock, _DIGITS, 0)
    start = int(noted) if noted.isdigit() and len(noted) == _DIGITS else _listed(folder)
    # A power cut may have taken the last note.
    while (size := _size(folder, start)) >= limit and _path(folder, start + size).exists():
        start += size
    return Segment(start, size)


def extend(
    folder: Path,
    lock: int,
    last: Segment,
    data: memoryview,
    *,
    limit: int,
    flush: bool = False,
) -> None:
    """Write behind the last byte; begin a new segment where one of ``limit`` bytes ends a line.

    Args:
        folder: the stream's.
        lock: what ``locked`` yielded.
        last: its last segment.
        data: what to write.
        limit: bytes, after which a new segment begins.
        flush: whether all is to be on disk when this returns.

    Raises:
        FileNotFoundError: the stream was deleted meanwhile.
        OSError: the disk refused; a part may have been written.
    """
    start, size = last
    while data:
        if size >= limit and _ends_line(_path(folder, start), size):
            start, size = start + size, 0
        if not size:
            os.pwrite(lock, b"%0*d" % (_DIGITS, start), 0)
        cut = _end_of_line(data, max(limit - size - 1, 0))
        # A full file is flushed before the next begins, so that no power cut leaves a hole.
        _write(_path(folder, start), size, data[: cut or len(data)], flush=flush or bool(cut))
        if flush and not size:
            flush_folder(folder)
        if not cut:
            return
        size, data = size + cut, data[cut:]


def _path(folder: Path, start: int) -> Path:
    return folder / segment_name(start)


def _listed(folder: Path) -> int:
    starts = (name.removesuffix(SUFFIX) for name in os.listdir(folder) if name.endswith(SUFFIX))  # noqa: PTH208
    return max(map(int, starts), default=0)


def _size(folder: Path, start: int) -> int:
    try:
        # Opened, because only that asks a file server.
        descriptor = os.open(_path(folder, start), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _ends_line(path: Path, size: int) -> bool:
    with path.open("rb", buffering=0) as file:
        return os.pread(file.fileno(), 1, size - 1) == b"\n"


def _end_of_line(data: memoryview, start: int) -> int:
    """Return where the first line that ends behind ``start`` ends; 0 when none does."""
    if start >= len(data):
        return 0
    found = bytes(data[start:]).find(b"\n")
    return start + found + 1 if found >= 0 else 0


def _write(path: Path, offset: int, data: memoryview, *, flush: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while data:
            written = os.pwrite(descriptor, data[:_MOST], offset)
            offset, data = offset + written, data[written:]
        if flush:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)

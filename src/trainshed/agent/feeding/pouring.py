"""Puts parts into a pipe, one after the other: as they are, unpacked, or wrapped as records."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, Protocol

from trainshed.agent.channels.items import BadInput
from trainshed.agent.feeding import recordio
from trainshed.agent.feeding.ahead import Begun
from trainshed.agent.feeding.fifo import Fifo
from trainshed.agent.feeding.gzipped import NotGzip, unpacked
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import ObjectChanged

_PREFIX: Final = "ClientError: Data download failed:"
_IN_MEMORY: Final = 4 << 20
"""Bytes of an unpacked record that need no file."""
_PIECE: Final = 1 << 20
_AT_ONCE: Final = 1 << 30


class Pour:
    """What is done to each part of one channel."""

    def __init__(
        self, fifo: Fifo, objects: RemoteObjects, channel: Mapping[str, Any], workshop: Path
    ) -> None:
        """Pour into ``fifo``; ``workshop`` is where a record that is unpacked may wait."""
        self._fifo = fifo
        self._objects = objects
        self._packed = channel.get("CompressionType") == "Gzip"
        self._wrapped = channel.get("RecordWrapperType") == "RecordIO"
        self._workshop = workshop

    def take(self, begun: Begun) -> None:
        """Write a part, whole.

        Raises:
            ReaderLeft, Closed: nobody wants it.
            BadInput: it is not what the request says.
            StoreError: it can't be read, or not to its end.
        """
        try:
            if self._packed and begun.part.address is not None:
                self._unpack(begun)
            else:
                self._write(_supply(begun), self._size(begun))
        except NotGzip as error:
            raise BadInput(f"{_PREFIX}S3 key: {begun.part.address}: {error}") from error
        except ObjectChanged as changed:
            raise BadInput(f"{_PREFIX}S3 key: {begun.part.address}: {changed}") from changed
        finally:
            begun.close()

    def _unpack(self, begun: Begun) -> None:
        pieces = unpacked(begun.pieces)
        if not self._wrapped:
            self._write(_Pieces(pieces), -1)
            return
        # A record's length stands before it.
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._workshop)) as whole:
            for piece in pieces:
                whole.write(piece)
            size = whole.tell()
            whole.seek(0)
            self._write(_Pieces(_read(whole)), size)

    def _size(self, begun: Begun) -> int:
        if begun.size >= 0 or not self._wrapped or begun.part.address is None:
            return begun.size
        return self._objects.stat(begun.part.address).size

    def _write(self, supply: "_Supply", size: int) -> None:
        """Write all of it; ``size`` is how many bytes there must be, -1 for any number."""
        if not self._wrapped:
            done = supply.move(self._fifo, None)
            if size not in {-1, done}:
                raise ObjectChanged(f"it had {size} bytes when it was listed, and has {done}")
            return
        for header, length, padding in recordio.frames(size):
            self._fifo.write(header)
            done = supply.move(self._fifo, length)
            if done != length:
                raise ObjectChanged(f"it has fewer than the {size} bytes that it was to have")
            self._fifo.write(padding)
        if supply.more():
            raise ObjectChanged(f"it has more than the {size} bytes that it was to have")


class _Supply(Protocol):
    """Where bytes come from."""

    def move(self, fifo: Fifo, most: int | None) -> int:
        """Write ``most`` bytes (None: all); return how many there were."""
        ...

    def more(self) -> bool:
        """Tell whether there is any."""
        ...


class _Pieces:
    """Bytes that come in pieces, and are wanted in others; see ``_Supply``."""

    def __init__(self, pieces: Iterable[bytes | memoryview]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def move(self, fifo: Fifo, most: int | None) -> int:
        done = 0
        while (most is None or done < most) and self.more():
            wanted = len(self._rest) if most is None else most - done
            piece, self._rest = self._rest[:wanted], self._rest[wanted:]
            fifo.write(piece)
            done += len(piece)
        return done

    def more(self) -> bool:
        while not self._rest:
            following = next(self._pieces, None)
            if following is None:
                return False
            self._rest = memoryview(following)
        return True


class _File:
    """Bytes of an open file, which go into the pipe unread; see ``_Supply``."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._offset = 0
        self._version = _version(file)

    def move(self, fifo: Fifo, most: int | None) -> int:
        done = 0
        while most is None or done < most:
            moved = fifo.splice(self._file, self._offset, _AT_ONCE if most is None else most - done)
            if not moved:
                break
            self._offset += moved
            done += moved
        if _version(self._file) != self._version:
            raise ObjectChanged("it was written to while it was read")
        return done

    def more(self) -> bool:
        return bool(os.pread(self._file, 1, self._offset))


def _supply(begun: Begun) -> _Supply:
    return _File(begun.file) if begun.file >= 0 else _Pieces(begun.pieces)


def _version(file: int) -> tuple[int, int]:
    status = os.fstat(file)
    return status.st_mtime_ns, status.st_size


def _read(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece

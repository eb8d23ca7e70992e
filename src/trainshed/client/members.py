"""Looks into an archive where it lies: names its files, or reads one, as the bytes go by.

A gzip-compressed tar has no table of contents, so all before a file has to be read to get there;
none of it is kept.
"""

import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, BinaryIO, Final, cast

from isal import igzip, isal_zlib

from trainshed.client.api import Api
from trainshed.client.checksums import CHUNK
from trainshed.client.errors import ClientError
from trainshed.client.stores import Stores

_MOST_READ: Final = 1024 * 1024
"""Contents are read in pieces; only a forged header asks for more at once."""
_GZIP: Final = b"\x1f\x8b"
_BROKEN: Final = cast(type[Exception], isal_zlib.error)


def members(api: Api, uri: str) -> Iterator[tuple[str, int]]:
    """Yield (name, bytes) of every file in an archive, links among them.

    Raises:
        ApiError: 404 when there is no such object.
        ClientError: it is no archive, or a broken one.
    """
    with _opened(api, uri) as tar:
        for member in _each(tar):
            if not member.isdir():
                yield _plain(member.name), member.size


def contents(api: Api, uri: str, name: str) -> Iterator[bytes]:
    """Yield the content of one file of an archive, in pieces.

    Raises:
        ApiError: 404 when there is no such object.
        ClientError: the archive has no such file, or is broken.
    """
    with _opened(api, uri) as tar:
        for member in _each(tar):
            if _plain(member.name) != name or member.isdir():
                continue
            if not member.isreg():
                raise ClientError(
                    f"{name} is a link to {member.linkname}", f"ask for {member.linkname}"
                )
            source = cast(BinaryIO, tar.extractfile(member))
            while piece := source.read(CHUNK):
                yield piece
            return
    raise ClientError(f"there is no {name} in {uri}", "trainshed artifacts ls JOB")


def _each(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (member := tar.next()) is not None:
        cast(Any, tar).members = []  # or it would remember them all
        yield member


@contextmanager
def _opened(api: Api, uri: str) -> Iterator[tarfile.TarFile]:
    with closing(Stores(api).stream(uri)) as pieces:
        raw = io.BufferedReader(_Raw(pieces), CHUNK)
        try:
            packed = raw.peek(2)[:2] == _GZIP
            plain = cast(Any, igzip.IGzipFile)(fileobj=raw) if packed else raw
            with tarfile.open(fileobj=cast(BinaryIO, _Forward(plain)), mode="r:") as tar:
                yield tar
        except (tarfile.TarError, EOFError, zlib.error, _BROKEN, OSError) as error:
            raise ClientError(
                f"{uri} cannot be read as an archive: {error}", "run the job again"
            ) from error


class _Raw(io.RawIOBase):
    """Pieces as a file that can be read, once."""

    def __init__(self, pieces: Iterator[memoryview]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Fill ``buffer`` as far as bytes are there; 0 at the end."""
        self._rest = self._rest or next(self._pieces, self._rest)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class _Forward:
    """A stream that can be sought forward only, and is never asked for much at once."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self._at = 0

    def tell(self) -> int:
        """Return how many bytes were passed."""
        return self._at

    def seek(self, position: int, whence: int = 0) -> int:
        """Pass what comes before ``position``."""
        if whence or position < self._at:
            raise tarfile.ReadError("it is not in order")
        while self._at < position and self.read(min(CHUNK, position - self._at)):
            pass
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return ``size`` bytes, fewer at the end only."""
        if not 0 <= size <= _MOST_READ:
            raise tarfile.ReadError(f"a header claims {size} bytes")
        found = bytearray()
        while len(found) < size and (piece := self._stream.read(size - len(found))):
            found += piece
        self._at += len(found)
        return bytes(found)


def _plain(name: str) -> str:
    return name.removeprefix("./")

"""How files are cut and hashed, to be sent or to be compared with objects.

What S3 keeps of an object's content is one of these: a checksum of all its bytes (CRC64NVME is what
current clients ask for), an ETag that is its MD5, or, of an upload in parts, an ETag made of the
MD5 of each part.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainshed.client.errors import ClientError
from trainshed.domain import digests

PART: Final = 16 * 1024 * 1024
"""Bytes of a part: above it a file goes up in parts. S3 takes 5 MiB to 5 GiB."""
MAX_PARTS: Final = 10_000
"""S3's limit."""
CHUNK: Final = 512 * 1024
"""Bytes that are read and written at once."""
CRC: Final = "CRC64NVME"
"""What our uploads carry."""


def part_size(size: int, least: int = PART) -> int:
    """Return the bytes of each part of a file of ``size`` bytes; the same for the same file."""
    return max(least, -(-size // MAX_PARTS))


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a file, to be sent; read anew each time it is gone through."""

    path: Path
    offset: int
    length: int

    def __iter__(self) -> Iterator[bytes]:
        """Yield its bytes, a chunk at a time.

        Raises:
            ClientError: the file is shorter than it was.
        """
        left = self.length
        with self.path.open("rb") as file:
            file.seek(self.offset)
            while left:
                chunk = file.read(min(CHUNK, left))
                if not chunk:
                    raise changed(self.path)
                left -= len(chunk)
                yield chunk

    def sums(self) -> "Sums":
        """Return what its bytes add up to."""
        sha256, md5, crc = (digests.begin(name) for name in ("SHA256", "MD5", CRC))
        for chunk in self:
            for running in (sha256, md5, crc):
                running.update(chunk)
        return Sums(sha256.digest().hex(), md5.digest().hex(), crc.digest())


@dataclass(frozen=True, slots=True)
class Sums:
    """What a piece's bytes add up to."""

    sha256: str
    md5: str
    crc64nvme: bytes


def pieces(path: Path, size: int, length: int) -> Iterator[Piece]:
    """Yield a file as pieces of equal length, the last one shorter; an empty one as one piece."""
    for offset in range(0, size or 1, length):
        yield Piece(path, offset, min(length, size - offset))


def changed(path: Path) -> ClientError:
    """Return what to say of a file that is not what it was when it was begun."""
    return ClientError(f"{path} changed while it was uploaded", "run it again")


def etag_of(path: Path, size: int, like: str) -> str:
    """Return the ETag that a file would have, in parts of ours if ``like`` is one of parts."""
    if "-" not in like:
        return _md5(Piece(path, 0, size)).hex()
    parts = [_md5(piece) for piece in pieces(path, size, part_size(size))]
    return f"{digests.digest('MD5', b''.join(parts)).hex()}-{len(parts)}"


def _md5(piece: Piece) -> bytes:
    running = digests.begin("MD5")
    for chunk in piece:
        running.update(chunk)
    return running.digest()

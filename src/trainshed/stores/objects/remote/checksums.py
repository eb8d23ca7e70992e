"""Checksums of objects, as S3 stores have them: of pieces, and of wholes made of pieces.

Source: Amazon S3 user guide, "Checking object integrity".
"""

import base64
import hashlib
import importlib
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

Crc = Callable[[Any, int], int]

_BYTES: Final = {"crc64nvme": 8, "crc32c": 4, "crc32": 4}
"""What we can make of pieces, best first, and how long each is."""
_HASHES: Final = ("sha256", "sha1", "md5")
_PREFIX: Final = "x-amz-checksum-"
_PLAIN_MD5: Final = re.compile(r"[0-9a-f]{32}")
_CHUNK: Final = 1 << 20


def stored(headers: Mapping[str, str]) -> tuple[str, str]:
    """Return the algorithm and base64 checksum of a whole object; "" twice when there is none.

    Checksums that were made of parts' checksums say nothing without the parts, and are passed over.
    """
    if headers.get(f"{_PREFIX}type", "").upper() == "COMPOSITE":
        return "", ""
    for algorithm in (*_BYTES, *_HASHES[:2]):
        value = headers.get(_PREFIX + algorithm, "")
        if value and "-" not in value:
            return algorithm, value
    return "", ""


def plain_md5(etag: str, headers: Mapping[str, str]) -> bool:
    """Tell whether an ETag is the MD5 of the object's bytes."""
    encrypted = headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")
    customer = "x-amz-server-side-encryption-customer-algorithm" in headers
    return bool(_PLAIN_MD5.fullmatch(etag)) and not encrypted and not customer


def crc(algorithm: str) -> Crc | None:
    """Return what counts a piece on (``piece, so far``); None for what is not a CRC."""
    if algorithm == "crc32":
        return zlib.crc32
    return getattr(_awscrt(), algorithm) if algorithm in _BYTES else None


def combined(algorithm: str, pieces: Iterable[tuple[int, int]]) -> int:
    """Return the CRC of a whole from (CRC, length) of its pieces, in order."""
    waiting = iter(pieces)
    whole, _ = next(waiting, (0, 0))
    for value, length in waiting:
        whole = getattr(_awscrt(), f"combine_{algorithm}")(whole, value, length)
    return whole


def encoded(algorithm: str, value: int) -> str:
    """Return a CRC as headers have it."""
    return base64.b64encode(value.to_bytes(_BYTES[algorithm], "big")).decode()


class Counting:
    """The checksum of bytes that come one after the other."""

    def __init__(self, algorithm: str) -> None:
        """Count by ``algorithm``; by none when it is ""."""
        self._algorithm = algorithm
        self._crc = crc(algorithm)
        self._value = 0
        self._digest = (
            None if self._crc or not algorithm else hashlib.new(algorithm, usedforsecurity=False)
        )

    def take(self, data: memoryview) -> None:
        """Count the next bytes."""
        if self._crc is not None:
            self._value = self._crc(data, self._value)
        elif self._digest is not None:
            self._digest.update(data)

    def value(self) -> str:
        """Return the checksum as stores tell it: MD5 in hex, others in base64; "" by none."""
        if self._crc is not None:
            return encoded(self._algorithm, self._value)
        if self._digest is None:
            return ""
        digest = self._digest
        is_md5 = self._algorithm == "md5"
        return digest.hexdigest() if is_md5 else base64.b64encode(digest.digest()).decode()


def of_file(algorithm: str, path: Path, size: int) -> str:
    """Return the checksum of a file's first ``size`` bytes, as stores tell it."""
    counting = Counting(algorithm)
    with path.open("rb") as file:
        while size and (chunk := file.read(min(size, _CHUNK))):
            counting.take(memoryview(chunk))
            size -= len(chunk)
    return counting.value()


def content_md5(chunks: Iterable[memoryview]) -> str:
    """Return the header by which any server checks a body."""
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in chunks:
        digest.update(chunk)
    return base64.b64encode(digest.digest()).decode()


def _awscrt() -> Any:  # noqa: ANN401 - it has no types
    # 40 ms and 8 MB, which who moves only small objects never pays.
    return importlib.import_module("awscrt.checksums")

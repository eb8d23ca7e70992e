"""Digests of bytes, by the names that S3 gives to its checksums; and CRCs of bytes put together.

Known wherever bytes are checked: where they arrive, where they are written, where parts become one.
"""

import base64
import hashlib
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from typing import Any, Final, Protocol

SIZES: Final[Mapping[str, int]] = {
    "CRC32": 4,
    "CRC32C": 4,
    "CRC64NVME": 8,
    "SHA1": 20,
    "SHA256": 32,
    "SHA512": 64,
    "MD5": 16,
    "XXHASH64": 8,
    "XXHASH3": 8,
    "XXHASH128": 16,
}
"""Bytes of a digest, by algorithm."""
CRCS: Final = ("CRC32", "CRC32C", "CRC64NVME")
"""Those whose value for a whole follows from the values of its parts."""

_HASHED: Final = {"MD5": "md5", "SHA1": "sha1", "SHA256": "sha256", "SHA512": "sha512"}
_XX: Final = {
    "XXHASH64": "new_xxhash64",
    "XXHASH3": "new_xxhash3_64",
    "XXHASH128": "new_xxhash3_128",
}

Data = bytes | bytearray | memoryview


class Digest(Protocol):
    """A digest of the bytes it has been given so far."""

    def update(self, data: Data, /) -> None:
        """Take the bytes that follow."""
        ...

    def digest(self) -> bytes:
        """Return the digest, as ``SIZES`` bytes; a CRC's highest byte first."""
        ...


def begin(algorithm: str) -> Digest:
    """Return a digest of no bytes yet; raise ``KeyError`` for an algorithm not in ``SIZES``."""
    if (name := _HASHED.get(algorithm)) is not None:
        return hashlib.new(name, usedforsecurity=False)
    if (maker := _XX.get(algorithm)) is not None:
        return _Xx(maker)
    return _Crc(_crc(algorithm), SIZES[algorithm])


def begin_long_md5() -> Digest:
    """Return an MD5 of no bytes yet that will be given many ``bytes``, and nothing else.

    It costs more to begin, and is 5 % faster than Python's own, which bounds every upload.
    """
    return _LongMd5()


def digest(algorithm: str, data: Data) -> bytes:
    """Return the digest of ``data``."""
    running = begin(algorithm)
    running.update(data)
    return running.digest()


def digests(algorithms: Collection[str], data: Data) -> dict[str, bytes]:
    """Return digests of ``data`` by algorithm."""
    return {algorithm: digest(algorithm, data) for algorithm in algorithms}


def joined(algorithm: str, pieces: Iterable[tuple[bytes, int]]) -> bytes:
    """Return the CRC of pieces that follow each other, from the CRC and the bytes of each.

    Args:
        algorithm: one of ``CRCS``.
        pieces: (CRC, how many bytes), in order; that of none is the CRC of no bytes.
    """
    waiting = iter(pieces)
    whole, _ = next(waiting, (bytes(SIZES[algorithm]), 0))
    total = int.from_bytes(whole)
    for value, length in waiting:
        combine: Callable[[int, int, int], int] = getattr(_crt(), f"combine_{algorithm.lower()}")
        total = combine(total, int.from_bytes(value), length)
    return total.to_bytes(SIZES[algorithm])


def encoded(value: bytes) -> str:
    """Return a digest as S3's headers carry it: in base64."""
    return base64.b64encode(value).decode()


class _Crc:
    def __init__(self, update: Callable[[Data, int], int], size: int) -> None:
        self._update = update
        self._value = 0
        self._size = size

    def update(self, data: Data, /) -> None:
        self._value = self._update(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size)


class _Xx:
    def __init__(self, maker: str) -> None:
        self._running = getattr(_crt().XXHash, maker)()

    def update(self, data: Data, /) -> None:
        self._running.update(bytes(data))  # it takes nothing that could change

    def digest(self) -> bytes:
        found: bytes = self._running.finalize()
        return found


class _LongMd5:
    def __init__(self) -> None:
        self._running = _crypto().Hash.md5_new()

    def update(self, data: Data, /) -> None:
        self._running.update(bytes(data))  # it takes nothing that could change

    def digest(self) -> bytes:
        found: bytes = self._running.digest()
        return found


def _crc(algorithm: str) -> Callable[[Data, int], int]:
    if algorithm == "CRC32":
        return zlib.crc32
    found: Callable[[Data, int], int] = getattr(
        _crt(), {"CRC32C": "crc32c"}.get(algorithm, "crc64nvme")
    )
    return found


@cache
def _crt() -> Any:  # noqa: ANN401 - a module
    # Loaded when it is first needed: 40 ms and 8 MB, which most programs of ours never use.
    from awscrt import checksums  # type: ignore[import-untyped] # noqa: PLC0415

    return checksums


@cache
def _crypto() -> Any:  # noqa: ANN401 - a module
    from awscrt import crypto  # noqa: PLC0415 - as above

    return crypto

"""Checksums of payloads, and of objects put together from parts.

The wire checks payloads where it can; here values are kept, handed back and put together. A
``COMPOSITE`` checksum is the checksum of the parts' checksums; a ``FULL_OBJECT`` one is that of all
bytes, which for a CRC follows from the parts' values and lengths alone.

Source: Amazon S3 User Guide, "Checking object integrity"; the arithmetic of CRCs over GF(2).
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from trainshed.api.s3.refusals import bad_digest, invalid_request
from trainshed.domain.errors import RequestRejected
from trainshed.stores.objects.info import Part, Staged
from trainshed.wire.message import Body

ALGORITHMS: Final = (
    "CRC32",
    "CRC32C",
    "CRC64NVME",
    "SHA1",
    "SHA256",
    "SHA512",
    "MD5",
    "XXHASH64",
    "XXHASH3",
    "XXHASH128",
)
COMPOSITE: Final = "COMPOSITE"
FULL_OBJECT: Final = "FULL_OBJECT"


class _Crc(NamedTuple):
    """A CRC that begins and ends inverted, least significant bit first."""

    bits: int
    polynomial: int


_CRCS: Final = {
    "CRC32": _Crc(32, 0xEDB88320),
    "CRC32C": _Crc(32, 0x82F63B78),
    "CRC64NVME": _Crc(64, 0x9A6C9329AC4BC9B5),
}

_KINDS: Final = {
    "CRC32": (COMPOSITE, FULL_OBJECT),
    "CRC32C": (COMPOSITE, FULL_OBJECT),
    "CRC64NVME": (FULL_OBJECT,),
}
"""The kinds an algorithm comes in, the default first; all others are ``COMPOSITE`` only."""


def given(members: Mapping[str, Any], body: object = None) -> dict[str, str]:
    """Return the checksums a request names, in its members or behind its payload."""
    trailers: Mapping[str, str] = getattr(body, "trailers", {})
    found = {}
    for algorithm in ALGORITHMS:
        value = members.get(f"Checksum{algorithm}") or trailers.get(
            f"x-amz-checksum-{algorithm.lower()}"
        )
        if value:
            found[algorithm] = value
    return found


def members_of(checksums: Mapping[str, str], checksum_type: str = "") -> dict[str, str]:
    """Return checksums as the model's members."""
    members = {f"Checksum{algorithm}": value for algorithm, value in checksums.items()}
    return {**members, "ChecksumType": checksum_type} if members and checksum_type else members


def verified(
    staged: Staged, members: Mapping[str, Any], body: Body | bytes | None
) -> dict[str, str]:
    """Return the checksums of a payload that is now on disk.

    Raises:
        RequestRejected: ``Content-MD5`` or an MD5 checksum tells of other bytes.
    """
    checksums = given(members, body)
    if (content_md5 := members.get("ContentMD5")) is not None:
        if len(_decoded(content_md5) or b"") != 16:
            raise RequestRejected("InvalidDigest", "The Content-MD5 you specified was invalid.")
        if _decoded(content_md5) != bytes.fromhex(staged.md5):
            raise bad_digest("Content-MD5")
    if "MD5" in checksums and _decoded(checksums["MD5"]) != bytes.fromhex(staged.md5):
        raise bad_digest("MD5")
    return checksums


def type_for(algorithm: str, asked: str | None) -> str:
    """Return the kind of checksum an upload's object will have; "" without an algorithm.

    Raises:
        RequestRejected: the algorithm does not come in that kind.
    """
    if not algorithm:
        if asked:
            raise invalid_request(
                "The x-amz-checksum-type header can only be used with the "
                "x-amz-checksum-algorithm header."
            )
        return ""
    kinds = _KINDS.get(algorithm, (COMPOSITE,))
    if asked and asked not in kinds:
        raise invalid_request(
            f"The {asked} checksum type cannot be used with the {algorithm.lower()} checksum "
            "algorithm."
        )
    return asked or kinds[0]


def joined(algorithm: str, kind: str, parts: Sequence[Part]) -> dict[str, str]:
    """Return the checksum of the object that parts make; {} when it cannot be known."""
    values = [_decoded(part.checksums.get(algorithm, "")) for part in parts]
    known = [value for value in values if value]
    if not algorithm or len(known) != len(parts):
        return {}
    if kind == FULL_OBJECT:
        crc = _CRCS[algorithm]
        total = 0
        for value, part in zip(known, parts, strict=True):
            total = _shifted(crc, total, part.size) ^ int.from_bytes(value)
        return {algorithm: _encoded(total.to_bytes(crc.bits // 8))}
    digest = _digest(algorithm, b"".join(known))
    return {algorithm: f"{_encoded(digest)}-{len(parts)}"} if digest else {}


def _digest(algorithm: str, data: bytes) -> bytes:
    """Return the checksum of a few bytes; b"" for what Python cannot compute."""
    if (crc := _CRCS.get(algorithm)) is not None:
        value = mask = (1 << crc.bits) - 1
        table = _table(crc)
        for byte in data:
            value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
        return (value ^ mask).to_bytes(crc.bits // 8)
    name = algorithm.lower()
    return hashlib.new(name, data).digest() if name in hashlib.algorithms_available else b""


@cache
def _table(crc: _Crc) -> tuple[int, ...]:
    """Return what each byte does to a CRC."""
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (crc.polynomial if value & 1 else 0)
        table.append(value)
    return tuple(table)


def _shifted(crc: _Crc, value: int, length: int) -> int:
    """Return a CRC's share in the CRC of its bytes followed by ``length`` others."""
    return _times(crc, value, _power(crc, length))


@lru_cache(maxsize=64)  # an upload's parts are of one size but for the last
def _power(crc: _Crc, length: int) -> int:
    """Return x to the power of ``length`` bytes, modulo the CRC's polynomial."""
    power, factor, count = 1 << (crc.bits - 1), 1 << (crc.bits - 2), 8 * length
    while count:
        if count & 1:
            power = _times(crc, power, factor)
        factor = _times(crc, factor, factor)
        count >>= 1
    return power


def _times(crc: _Crc, one: int, other: int) -> int:
    """Multiply two polynomials modulo the CRC's; the highest bit stands for x to the 0."""
    product = 0
    for bit in range(crc.bits - 1, -1, -1):
        if one >> bit & 1:
            product ^= other
        other = other >> 1 ^ (crc.polynomial if other & 1 else 0)
    return product


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None

"""Checksums of objects put together from parts, against other ways to know them."""

import base64
import hashlib
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.api.s3.checksums import joined, type_for
from trainshed.domain.errors import RequestRejected
from trainshed.stores.objects.info import Part


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def crc32(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4)


def plain_crc(data: bytes, bits: int, polynomial: int) -> bytes:
    """Return a CRC by the definition, bit by bit."""
    value = (1 << bits) - 1
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
    return (value ^ (1 << bits) - 1).to_bytes(bits // 8)


def crc32c(data: bytes) -> bytes:
    return plain_crc(data, 32, 0x82F63B78)


def crc64nvme(data: bytes) -> bytes:
    return plain_crc(data, 64, 0x9A6C9329AC4BC9B5)


HASHES = {
    "CRC32": crc32,
    "CRC32C": crc32c,
    "CRC64NVME": crc64nvme,
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}


def parts(algorithm: str, pieces: list[bytes]) -> list[Part]:
    return [
        Part(
            number=number,
            size=len(piece),
            etag="",
            modified=datetime(2026, 1, 1, tzinfo=UTC),
            checksums={algorithm: b64(HASHES[algorithm](piece))},
            file="",
        )
        for number, piece in enumerate(pieces, 1)
    ]


@pytest.mark.parametrize(
    ("function", "check"),
    [(crc32, "cbf43926"), (crc32c, "e3069283"), (crc64nvme, "ae8b14860a799888")],
)
def test_the_yardsticks_agree_with_the_catalogue_of_crcs(function, check: str) -> None:  # noqa: ANN001
    assert function(b"123456789").hex() == check


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
@given(pieces=st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_the_crc_of_the_whole_follows_from_the_parts(algorithm: str, pieces: list[bytes]) -> None:
    whole = b64(HASHES[algorithm](b"".join(pieces)))
    assert joined(algorithm, "FULL_OBJECT", parts(algorithm, pieces)) == {algorithm: whole}


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "SHA1", "SHA256"])
@given(pieces=st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_a_composite_is_the_checksum_of_checksums(algorithm: str, pieces: list[bytes]) -> None:
    hashed = HASHES[algorithm]
    expected = b64(hashed(b"".join(hashed(piece) for piece in pieces)))
    found = joined(algorithm, "COMPOSITE", parts(algorithm, pieces))
    assert found == {algorithm: f"{expected}-{len(pieces)}"}


def test_a_part_without_checksum_leaves_the_whole_without() -> None:
    held = [*parts("CRC32", [b"a"]), *parts("SHA1", [b"b"])]
    assert joined("CRC32", "FULL_OBJECT", held) == {}
    assert joined("", "", held) == {}


@pytest.mark.parametrize(
    ("algorithm", "asked", "kind"),
    [
        ("", None, ""),
        ("CRC32", None, "COMPOSITE"),
        ("CRC32", "FULL_OBJECT", "FULL_OBJECT"),
        ("CRC64NVME", None, "FULL_OBJECT"),
        ("SHA256", None, "COMPOSITE"),
        ("SHA256", "COMPOSITE", "COMPOSITE"),
    ],
)
def test_each_algorithm_has_its_kind(algorithm: str, asked: str | None, kind: str) -> None:
    assert type_for(algorithm, asked) == kind


@pytest.mark.parametrize(
    ("algorithm", "asked"),
    [("SHA1", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"), ("", "FULL_OBJECT")],
)
def test_kinds_that_do_not_exist_are_refused(algorithm: str, asked: str) -> None:
    with pytest.raises(RequestRejected, match="checksum"):
        type_for(algorithm, asked)

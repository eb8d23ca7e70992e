"""What a store tells of an object's bytes, for those who compare with it what arrived.

Source: Amazon S3 user guide, "Checking object integrity".
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from trainshed.domain import digests

_CHEAPEST: Final = (*reversed(digests.CRCS), "SHA256", "SHA1")
"""What is believed, the cheapest to compute first."""
_MD5: Final = re.compile(r"[0-9a-f]{32}")
_CHUNK: Final = 1 << 20


def told(headers: Mapping[str, str], etag: str) -> tuple[str, bytes]:
    """Return a digest of an object's bytes that an answer tells, and by which algorithm.

    A checksum that was made of parts' checksums says nothing without the parts, and is passed over.

    Args:
        headers: of the whole object, asked for with ``x-amz-checksum-mode: ENABLED``; lower-case
            names.
        etag: the object's, without quotes.

    Returns:
        Algorithm, as in ``domain.digests``, and digest; "" and no bytes when nothing is told.
    """
    whole = headers.get("x-amz-checksum-type", "").upper() != "COMPOSITE"
    for algorithm in _CHEAPEST:
        text = headers.get(f"x-amz-checksum-{algorithm.lower()}", "")
        if whole and (value := _decoded(text)) and len(value) == digests.SIZES[algorithm]:
            return algorithm, value
    if is_md5(etag) and not _under_a_key(headers):
        return "MD5", bytes.fromhex(etag)
    return "", b""


def is_md5(etag: str) -> bool:
    """Tell whether an ETag looks like an object's MD5."""
    return _MD5.fullmatch(etag) is not None


def of_file(algorithm: str, path: Path, size: int) -> bytes:
    """Return the digest of a file's first ``size`` bytes."""
    running = digests.begin(algorithm)
    with path.open("rb") as file:
        while size and (chunk := file.read(min(size, _CHUNK))):
            running.update(chunk)
            size -= len(chunk)
    return running.digest()


def content_md5(chunks: Iterable[memoryview]) -> str:
    """Return the header by which any server checks a body."""
    running = digests.begin("MD5")
    for chunk in chunks:
        running.update(chunk)
    return digests.encoded(running.digest())


def _under_a_key(headers: Mapping[str, str]) -> bool:
    """Tell whether an object is encrypted so that its ETag is no MD5 of its bytes."""
    customer = "x-amz-server-side-encryption-customer-algorithm" in headers
    return customer or headers.get("x-amz-server-side-encryption", "AES256") != "AES256"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:  # one of parts, with their number behind it
        return b""

"""Checksums of payloads, and of objects put together from parts.

Whatever a client says of its payload is verified, and kept with the object. A client that says
nothing gets a CRC64NVME, as from S3. A ``COMPOSITE`` checksum is the checksum of the parts'
checksums; a ``FULL_OBJECT`` one is that of all bytes, which for a CRC follows from the parts'
values and lengths alone.

Source: Amazon S3 User Guide, "Checking object integrity".
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

from trainshed.api.s3.refusals import bad_digest, invalid_request
from trainshed.domain import digests
from trainshed.stores.objects.info import Part, Staged
from trainshed.wire.message import Body

DEFAULT: Final = "CRC64NVME"
"""What is kept of payloads that come without a checksum."""
COMPOSITE: Final = "COMPOSITE"
FULL_OBJECT: Final = "FULL_OBJECT"

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
    for algorithm in digests.SIZES:
        value = members.get(f"Checksum{algorithm}") or trailers.get(
            f"x-amz-checksum-{algorithm.lower()}"
        )
        if value:
            found[algorithm] = value
    return found


def wanted(body: Body | bytes | None, algorithm: str = DEFAULT) -> frozenset[str]:
    """Return the digests to compute of a payload: what it was announced with, and one to keep."""
    announced = frozenset[str]() if body is None or isinstance(body, bytes) else body.digests
    return announced | {algorithm}


def members_of(checksums: Mapping[str, str], checksum_type: str = "") -> dict[str, str]:
    """Return checksums as the model's members."""
    members = {f"Checksum{algorithm}": value for algorithm, value in checksums.items()}
    return {**members, "ChecksumType": checksum_type} if members and checksum_type else members


def verified(
    staged: Staged, members: Mapping[str, Any], body: Body | bytes | None
) -> dict[str, str]:
    """Return the checksums that a client sent with a payload that is now on disk.

    Raises:
        RequestRejected: it is another payload than was meant.
    """
    if body is not None and not isinstance(body, bytes):
        body.check(staged.digests)
    named = given(members, body)
    if members.get("ChecksumAlgorithm") and not named:
        raise invalid_request(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
            "x-amz-trailer headers were found."
        )
    return named


def computed(staged: Staged, algorithm: str = DEFAULT) -> dict[str, str]:
    """Return a checksum as we computed it ourselves."""
    return {algorithm: digests.encoded(staged.digests[algorithm])}


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
    if kind == COMPOSITE:
        whole = digests.digest(algorithm, b"".join(known))
        return {algorithm: f"{digests.encoded(whole)}-{len(parts)}"}
    sizes = (part.size for part in parts)
    return {algorithm: digests.encoded(digests.joined(algorithm, zip(known, sizes, strict=True)))}


def agree(asked: Mapping[str, Any], found: Mapping[str, str]) -> None:
    """Compare what a request says of the object that parts make with what they make.

    Raises:
        RequestRejected: it is another object, or another algorithm.
    """
    for algorithm, value in given(asked).items():
        if algorithm not in found:
            raise invalid_request(
                "Checksum Type mismatch occurred, expected checksum Type: "
                f"{', '.join(found).lower() or 'null'}, actual checksum Type: {algorithm.lower()}"
            )
        # A composite's number of parts may be left out.
        if value not in (found[algorithm], found[algorithm].partition("-")[0]):
            raise bad_digest(algorithm)


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None

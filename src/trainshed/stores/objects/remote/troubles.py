"""What can go wrong between us and an object store, sorted by whether asking again helps."""

from typing import Final

from trainshed.domain.errors import ObjectMissing, StoreError

_PASSING: Final = frozenset({"RequestTimeout", "InternalError", "SlowDown", "ServiceUnavailable"})
"""Codes of errors that go away by themselves, whatever their status."""
_FOR_GOOD: Final = frozenset({501, 505})
"""Statuses above 499 that no waiting changes."""
_DAMAGED: Final = frozenset(
    {"BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch", "InvalidDigest"}
)
_NOT_OFFERED: Final = frozenset(
    {"NotImplemented", "InvalidRequest", "InvalidArgument", "UnsupportedHeader"}
)


class StoreAway(StoreError):
    """The store could not be reached, or failed inside: the same request may work later."""


class StoreFull(StoreAway):
    """The store has no room, which somebody may make."""


class ObjectChanged(StoreError):
    """The object was replaced while it was being read."""


class UploadLost(StoreError):
    """The store does not know the unfinished upload (any more)."""


class Cancelled(StoreError):
    """The caller wanted no more."""


class Damaged(StoreError):
    """Bytes arrived other than they were sent."""


class NotOffered(StoreError):
    """The store does not know what it was asked for; there may be another way."""


def refusal(address: str, status: int, text: str, code: str = "") -> StoreError:
    """Return the error for an HTTP answer that is no success.

    Args:
        address: what was asked for, for the message.
        status: the HTTP status.
        text: the server's own words.
        code: S3's word for it, where there is one.
    """
    if status == 404:
        return ObjectMissing(f"{address} does not exist: {text}")
    if status == 412:
        return ObjectChanged(f"{address} was replaced meanwhile: {text}")
    if code in _DAMAGED:
        return Damaged(f"{address}: the bytes changed on their way: {text}")
    if status == 501 or code in _NOT_OFFERED:
        return NotOffered(f"{address} was refused: {text}")
    if status == 507:
        return StoreFull(f"{address}: {text}")
    if code in _PASSING or status in {408, 429} or (status >= 500 and status not in _FOR_GOOD):
        return StoreAway(f"{address}: {text}")
    return StoreError(f"{address} was refused: {text}")

"""What can go wrong between us and an object store, sorted by whether asking again helps."""

from trainshed.domain.errors import ObjectMissing, StoreError


class StoreAway(StoreError):
    """The store could not be reached, or failed inside: the same request may work later."""


class ObjectChanged(StoreError):
    """The object was replaced while it was being read."""


class Cancelled(StoreError):
    """The caller wanted no more."""


def refusal(address: str, status: int, text: str) -> StoreError:
    """Return the error for an HTTP answer that is no success.

    Args:
        address: what was asked for, for the message.
        status: the HTTP status.
        text: the server's own words.
    """
    if status == 404:
        return ObjectMissing(f"{address} does not exist: {text}")
    if status in {408, 429} or status >= 500:
        return StoreAway(f"{address}: {text}")
    return StoreError(f"{address} was refused: {text}")

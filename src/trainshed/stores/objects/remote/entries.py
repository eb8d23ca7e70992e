"""What a list tells of an object."""

from typing import NamedTuple


class Entry(NamedTuple):
    """One object of a list."""

    key: str
    size: int
    """Bytes."""
    etag: str
    """What changes whenever the bytes do, without quotes; "" where a store does not say."""
    modified: float = 0.0
    """Seconds since the epoch; 0 where a store does not say."""

"""What is streamed one after the other: objects, and texts between them."""

from dataclasses import dataclass

from trainshed.stores.objects.addresses import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a channel: one record, where records are wrapped."""

    address: Address | None = None
    """The object whose content it is; None for ``text``."""
    text: bytes = b""
    size: int = -1
    """Bytes of the object; -1 where no list told."""
    etag: str = ""
    """Its version, as a list told it; "" where none did."""
    named_in: str = ""
    """Where it is named, for messages; "" where it was found by its key."""

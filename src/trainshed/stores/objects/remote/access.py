"""How object stores are reached: which store holds an address, and as whom it is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trainshed.stores.objects.addresses import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where, and as whom."""

    prefix: str = ""
    """The addresses that it is for; "" is the default of ``s3://``."""
    endpoint: str = ""
    """``http(s)://host[:port]``; "" is the cloud's own, for Amazon's in ``region``."""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    region: str = "us-east-1"
    token: str = field(default="", repr=False)
    """The session's, of temporary keys."""
    own: bool = False
    """Whether this is the server's own store, and no other make."""

    @classmethod
    def of(cls, members: Mapping[str, str]) -> "Access":
        """Return the access that one of a node plan's stores names."""
        return cls(
            prefix=members.get("prefix", ""),
            endpoint=members.get("endpoint", "").rstrip("/"),
            access_key=members.get("access_key", ""),
            secret_key=members.get("secret_key", ""),
            region=members.get("region", "") or "us-east-1",
            token=members.get("token", ""),
        )


def fitting(stores: Sequence[Access], address: Address) -> Access | None:
    """Return the store with the longest prefix of ``address``; None when none has one."""
    text = str(address)
    found = [store for store in stores if store.prefix and text.startswith(store.prefix)]
    return max(found, key=lambda store: len(store.prefix), default=None)

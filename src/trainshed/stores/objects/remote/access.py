"""How S3 is reached."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where, and as whom."""

    endpoint: str
    """``http(s)://host[:port]``; "" is Amazon's own, in ``region``."""
    access_key: str
    secret_key: str
    region: str

    @classmethod
    def of(cls, objects: Mapping[str, str]) -> "Access":
        """Return the access that a node plan's ``objects`` names."""
        return cls(
            endpoint=objects.get("endpoint", "").rstrip("/"),
            access_key=objects.get("access_key", ""),
            secret_key=objects.get("secret_key", ""),
            region=objects.get("region", "") or "us-east-1",
        )

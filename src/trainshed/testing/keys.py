"""Access keys for servers in tests."""

from collections.abc import Mapping

from trainshed.wire.keys import AccessKey


class FixedKeys:
    """``wire.keys.Keys`` that never change."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """Take each secret by its access key."""
        self._keys = {access_key: AccessKey(secret) for access_key, secret in secrets.items()}

    async def find(self, access_key: str) -> AccessKey | None:
        """Return what belongs to the key, or None."""
        return self._keys.get(access_key)

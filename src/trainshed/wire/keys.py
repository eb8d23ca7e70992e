"""What the wire asks of whoever keeps the keys, and how a key that was found is believed.

The wire knows no job and no user: for the key that a request names it needs the secret, and the
session token which temporary keys come with.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from trainshed.wire import refusals


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What belongs to an access key."""

    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    """The session token that must come along; "" for a key without, which may come with any."""
    expired: bool = False
    """Whether its time is over."""
    allows: Callable[[str, str], bool] | None = None
    """Tells of (service, operation), as botocore spells them, whether it is good for that; None:
    for all."""


class Keys(Protocol):
    """Who knows the access keys."""

    async def find(self, access_key: str) -> AccessKey | None:
        """Return what belongs to the key; None when it is unknown, or good for nothing any more.

        Raises:
            StoreError: nobody can tell now.
        """
        ...


def secret_of(key: AccessKey | None, token: str, service: str) -> str:
    """Return the secret with which a request for ``service`` must have been signed.

    Args:
        key: what was found.
        token: the session token that came with the request; "" for none.
        service: the signing name, in whose words is refused.

    Raises:
        RequestRejected: the key is unknown, its token is another, or its time is over.
    """
    if key is None:
        raise refusals.unknown_key(service)
    if key.token and not hmac.compare_digest(key.token.encode(), token.encode("utf-8", "replace")):
        raise refusals.wrong_token(service)
    if key.expired:
        raise refusals.expired_token(service)
    return key.secret


def check_allowed(key: AccessKey | None, service: str, operation: str) -> None:
    """Refuse what a key, that was believed, is not good for.

    Raises:
        RequestRejected: ``AccessDeniedException``, or S3's word for it.
    """
    if key is None or key.allows is None or key.allows(service, operation):
        return
    raise refusals.not_allowed(service, operation)

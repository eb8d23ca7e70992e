"""Presigned S3 addresses in the older form, which boto3 still makes by default in many regions.

Such an address carries ``AWSAccessKeyId``, ``Expires`` (seconds since the epoch) and ``Signature``
(HMAC-SHA1, base64) in its query. Only this form of signature version 2 is read: no client of today
signs its headers so.

Source: "Signing and authenticating REST requests (AWS signature version 2)", Amazon S3 User Guide.
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, unquote

from trainshed.wire import refusals, route
from trainshed.wire.keys import AccessKey, secret_of
from trainshed.wire.sigv4 import Sent, Signed, unsigned

_SUBRESOURCES: Final = frozenset(
    {
        "acl",
        "cors",
        "delete",
        "lifecycle",
        "location",
        "logging",
        "notification",
        "partNumber",
        "policy",
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
    }
)
"""Query members that are signed; all others are not."""
_DIGITS: Final = 12
"""Most digits of a time in seconds; more are no date."""


def carried(sent: Sent) -> bool:
    """Tell whether the request's query claims such a signature."""
    return "AWSAccessKeyId=" in sent.query and "Signature=" in sent.query


def access_key(sent: Sent) -> str:
    """Return the access key that the request's query names; "" when there is none."""
    return dict(parse_qsl(sent.query, keep_blank_values=True)).get("AWSAccessKeyId", "")


def verify(sent: Sent, *, key: AccessKey | None, now: datetime) -> Signed:
    """Return the proof that the address was made by the holder of a key, for this very request.

    Args:
        sent: the request.
        key: what belongs to its ``access_key``.
        now: the server's time.

    Raises:
        RequestRejected: unknown or expired key, another session token, expired address, or a
            signature that differs; in S3's words.
    """
    query = dict(parse_qsl(sent.query, keep_blank_values=True))
    said = _said(sent, query)
    secret = secret_of(key, said.get("x-amz-security-token", ""), "s3")
    expires = query.get("Expires", "")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= _DIGITS):
        raise refusals.mismatch("s3")
    if now.timestamp() > int(expires):
        raise refusals.expired("s3", datetime.fromtimestamp(int(expires), UTC), now)
    expected = b64encode(
        hmac.digest(secret.encode(), _text(sent, said, expires).encode("latin-1"), "sha1")
    )
    if not hmac.compare_digest(expected, query.get("Signature", "").encode("latin-1", "replace")):
        raise refusals.mismatch("s3")
    return unsigned(access_key(sent))


def _said(sent: Sent, query: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers. They may stand in the query instead, where botocore puts them."""
    return {name.lower(): value for name, value in query.items()} | dict(sent.headers)


def _text(sent: Sent, said: Mapping[str, str], expires: str) -> str:
    """Return what was signed."""
    amazon = "".join(
        f"{name}:{said[name].strip()}\n" for name in sorted(said) if name.startswith("x-amz-")
    )
    head = (
        sent.method,
        said.get("content-md5", ""),
        said.get("content-type", ""),
        expires,
    )
    return "\n".join(head) + "\n" + amazon + _resource(sent)


def _resource(sent: Sent) -> str:
    path = route.path_style(sent.headers.get("host", ""), sent.path)
    signed = []
    for pair in sent.query.split("&"):
        name, equals, value = pair.partition("=")
        if name in _SUBRESOURCES:
            signed.append(f"{name}={unquote(value)}" if equals and value else name)
    return path + ("?" + "&".join(sorted(signed)) if signed else "")

"""Signs requests to S3, so that keys, conditions and headers go out exactly as they are meant.

Source: AWS general reference, Signature Version 4; Amazon S3 user guide, "Authenticating requests".
"""

import datetime
import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from trainshed.stores.objects.remote.access import Access

EMPTY: Final = hashlib.sha256(b"").hexdigest()
"""The hash of a request without a body."""
UNSIGNED: Final = "UNSIGNED-PAYLOAD"
"""Stands for a body's hash where something else guards it."""


def path_of(bucket: str, key: str = "") -> str:
    """Return the path of an object, or of a bucket, as it is sent and signed."""
    return f"/{bucket}/{quote(key, safe='/-_.~', errors='surrogatepass')}" if key else f"/{bucket}"


def query_of(members: Mapping[str, str]) -> str:
    """Return a query as it is sent and signed: sorted, every value after an equals sign."""
    pairs = sorted((_quoted(name), _quoted(value)) for name, value in members.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed(
    access: Access,
    asked: tuple[str, str, str],
    headers: Mapping[str, str],
    body_hash: str,
    now: datetime.datetime,
) -> dict[str, str]:
    """Return the headers to send: ``headers``, which must name the host, and the signature.

    Args:
        access: whose keys sign.
        asked: method, path and query, as they are sent.
        headers: lower-case names.
        body_hash: SHA-256 of the body in hex, or ``UNSIGNED``.
        now: aware of its zone.
    """
    moment = now.astimezone(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    sent = {**headers, "x-amz-content-sha256": body_hash, "x-amz-date": moment}
    if access.token:
        sent["x-amz-security-token"] = access.token
    scope = f"{moment[:8]}/{access.region}/s3/aws4_request"
    names = sorted(name for name in sent if name != "content-length")
    lines = "".join(f"{name}:{' '.join(sent[name].split())}\n" for name in names)
    listed = ";".join(names)
    canonical = "\n".join([*asked, lines, listed, body_hash])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
    key = _key(access.secret_key, moment[:8], access.region)
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    sent["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access.access_key}/{scope}, "
        f"SignedHeaders={listed}, Signature={signature}"
    )
    return sent


@lru_cache(maxsize=16)
def _key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~", errors="surrogatepass")

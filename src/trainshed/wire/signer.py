"""Signs requests, for clients of ours that have no botocore.

The rules are those that ``sigv4.verify`` checks, written by the same code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import quote, urlsplit

from trainshed.wire.canonical import (
    ALGORITHM,
    UNSIGNED,
    canonical_paths,
    canonical_query,
    canonical_request,
    host_of,
    signature,
    signing_key,
)
from trainshed.wire.refusals import S3_NAMES, stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Signs requests with one key for one service, by the rules of Signature Version 4."""

    access_key: str
    secret: str = field(repr=False)
    region: str
    service: str
    """The signing name, such as ``sagemaker`` or ``s3``."""

    def sign(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, now: datetime
    ) -> dict[str, str]:
        """Return ``headers`` with lower-cased names and all that makes the request signed.

        Args:
            method: in capitals.
            url: percent-encoded, with scheme and host.
            headers: all of them are signed; ``x-amz-content-sha256`` among them speaks for a body
                that is not at hand.
            body: None leaves an S3 payload unsigned.
            now: UTC.
        """
        parts = urlsplit(url)
        signed = {name.lower(): value for name, value in headers.items()}
        payload_hash = signed.get("x-amz-content-sha256")
        if payload_hash is None:
            payload_hash = UNSIGNED if body is None else sha256(body).hexdigest()
        signed |= {"host": host_of(url), "x-amz-date": stamp(now)}
        if self.service in S3_NAMES:
            signed["x-amz-content-sha256"] = payload_hash
        names = tuple(sorted(signed))
        path = next(canonical_paths(parts.path, s3=self.service in S3_NAMES))
        canonical = canonical_request(
            method, path, canonical_query(parts.query), (names, signed), payload_hash=payload_hash
        )
        signed["authorization"] = (
            f"{ALGORITHM} Credential={self.access_key}/{self._scope(now)}, "
            f"SignedHeaders={';'.join(names)}, Signature={self._sign(canonical, now)}"
        )
        return signed

    def presign(self, method: str, url: str, now: datetime, *, expires: timedelta) -> str:
        """Return ``url`` (S3) with a query that lets anybody use it until ``now + expires``."""
        parts = urlsplit(url)
        fields = {
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self.access_key}/{self._scope(now)}",
            "X-Amz-Date": stamp(now),
            "X-Amz-Expires": str(int(expires.total_seconds())),
            "X-Amz-SignedHeaders": "host",
        }
        added = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in fields.items())
        query = f"{parts.query}&{added}" if parts.query else added
        path = next(canonical_paths(parts.path, s3=self.service in S3_NAMES))
        names = (("host",), {"host": host_of(url)})
        canonical = canonical_request(
            method, path, canonical_query(query), names, payload_hash=UNSIGNED
        )
        query += f"&X-Amz-Signature={self._sign(canonical, now)}"
        return parts._replace(query=query, fragment="").geturl()

    def _scope(self, now: datetime) -> str:
        return f"{now:%Y%m%d}/{self.region}/{self.service}/aws4_request"

    def _sign(self, canonical: str, now: datetime) -> str:
        key = signing_key(self.secret, f"{now:%Y%m%d}", self.region, self.service)
        return signature(key, stamp(now), self._scope(now), canonical)

"""AWS Signature Version 4: who sent a request, and that nobody changed it on the way.

Every AWS client signs every request, in an ``Authorization`` header or in the query of a presigned
address, so one check covers them all. Any host name and any region is accepted: both are signed,
neither decides anything here.

Reading and believing are two steps. ``read`` tells what the request claims, which is enough to say
which service it is for; ``verify`` recomputes the signature.

Text from the wire is Latin-1 throughout, so that the byte that came in is the byte that is hashed.

Sources: "Create a signed AWS API request" (IAM User Guide) and "Authenticating Requests (AWS
Signature Version 4)" (Amazon S3 API Reference).
"""

import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Final
from urllib.parse import unquote_plus

from trainshed.wire import refusals
from trainshed.wire.canonical import (
    ALGORITHM,
    UNSIGNED,
    canonical_paths,
    canonical_query,
    canonical_request,
    signature,
    signing_key,
)
from trainshed.wire.keys import AccessKey, secret_of
from trainshed.wire.refusals import S3_NAMES

STREAMING: Final = frozenset(
    {
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    }
)
"""Payload hashes that announce aws-chunked framing."""
SKEW: Final = timedelta(minutes=15)
"""How far a client's clock may be off; the services allow the same."""
LONGEST_PRESIGN: Final = 604_800
"""Seconds a presigned address may live: a week, as in S3."""

_EMPTY: Final = sha256(b"").hexdigest()
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_STAMP: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The parts of a request that a signature covers, as they came over the wire."""

    method: str
    path: str
    """Percent-encoded."""
    query: str
    """Percent-encoded, without the ``?``."""
    headers: Mapping[str, str]
    """Lower-cased names; a repeated header's values joined by ``,``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a request says about its signature; nothing of it is believed yet."""

    access_key: str
    scope: str
    """``<date>/<region>/<service>/aws4_request``."""
    region: str
    service: str
    """The signing name, such as ``sagemaker`` or ``s3``."""
    signed_headers: tuple[str, ...]
    signature: str
    stamp: str
    """When it was signed, as the signature has it: ``20260101T120000Z``."""
    expires: int | None
    """Seconds that a presigned address is valid; None for the header form."""
    token: str = field(default="", repr=False)
    """The session token that came along; "" for none."""

    @property
    def signed_at(self) -> datetime:
        """When it was signed."""
        return datetime.fromisoformat(self.stamp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A request whose signature is right: who sent it, and what vouches for its payload."""

    access_key: str
    service: str
    region: str
    payload_hash: str
    """A hex SHA-256, ``UNSIGNED-PAYLOAD``, or one of ``STREAMING``."""
    seed: str
    """The request's own signature, which the first chunk's signature continues."""
    stamp: str
    scope: str
    key: bytes = field(repr=False)
    """The signing key of this scope."""

    def chunk_signature(self, previous: str, digest: str) -> str:
        """Return the signature of the chunk with hex SHA-256 ``digest`` after ``previous``."""
        return self._continued("AWS4-HMAC-SHA256-PAYLOAD", previous, f"{_EMPTY}\n{digest}")

    def trailer_signature(self, previous: str, trailer: bytes) -> str:
        """Return the signature of ``trailer``: lines ``name:value``, each ending in LF."""
        digest = sha256(trailer).hexdigest()
        return self._continued("AWS4-HMAC-SHA256-TRAILER", previous, digest)

    def _continued(self, algorithm: str, previous: str, tail: str) -> str:
        text = f"{algorithm}\n{self.stamp}\n{self.scope}\n{previous}\n{tail}"
        return hmac.digest(self.key, text.encode("latin-1"), "sha256").hex()


def unsigned(access_key: str) -> Signed:
    """Return the proof of a request that something else vouches for than a signature of version 4.

    Nothing is said of its payload.
    """
    return Signed(
        access_key=access_key,
        service="s3",
        region="",
        payload_hash=UNSIGNED,
        seed="",
        stamp="",
        scope="",
        key=b"",
    )


def read(sent: Sent, *, seeming: str = "") -> Claim | None:
    """Return what a request claims about its signature, None when it carries none.

    Args:
        sent: the request.
        seeming: the service whose words a refusal takes where the claim names none.

    Raises:
        RequestRejected: there is a signature, but it cannot be read.
    """
    authorization = sent.headers.get("authorization")
    if authorization is not None:
        return _header_claim(authorization, sent.headers, seeming)
    if "X-Amz-Signature=" in sent.query or "X-Amz-Algorithm=" in sent.query:
        return _query_claim(sent.query, seeming)
    return None


def verify(
    claim: Claim, sent: Sent, body_hash: str | None, *, key: AccessKey | None, now: datetime
) -> Signed:
    """Return the proof that ``claim`` holds for the request.

    Args:
        claim: what ``read`` found.
        sent: the same request.
        body_hash: hex SHA-256 of the payload; None when it is still to be read, which only S3
            allows, because there a header carries the hash.
        key: what belongs to the claim's access key.
        now: the server's time.

    Raises:
        RequestRejected: unknown or expired key, another session token, clock too far off, expired
            address, headers that must be signed and are not, or a signature that differs; in the
            words of the claim's service.
    """
    secret = secret_of(key, claim.token, claim.service)
    _check_time(claim, now)
    _check_coverage(claim, sent.headers)
    payload_hash = _payload_hash(claim, sent, body_hash)
    day = claim.scope.partition("/")[0]
    signing = signing_key(secret, day, claim.region, claim.service)
    for canonical in _canonical_forms(claim, sent, payload_hash):
        expected = signature(signing, claim.stamp, claim.scope, canonical)
        if hmac.compare_digest(expected.encode(), claim.signature.encode("latin-1")):
            return Signed(
                access_key=claim.access_key,
                service=claim.service,
                region=claim.region,
                payload_hash=payload_hash,
                seed=claim.signature,
                stamp=claim.stamp,
                scope=claim.scope,
                key=signing,
            )
    raise refusals.mismatch(claim.service)


def _header_claim(authorization: str, headers: Mapping[str, str], seeming: str) -> Claim:
    algorithm, _, rest = authorization.partition(" ")
    fields: dict[str, str] = {}
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        fields[name] = value
    credential = fields.get("Credential", "")
    service = _service_hint(credential) or seeming
    if algorithm != ALGORITHM:
        raise refusals.incomplete(
            service, f"the authorization mechanism is not supported: use {ALGORITHM}."
        )
    wanted = ("Credential", "Signature", "SignedHeaders")
    if missing := [name for name in wanted if not fields.get(name)]:
        raise refusals.incomplete(
            service,
            " ".join(f"Authorization header requires '{name}' parameter." for name in missing),
        )
    fields["Security-Token"] = headers.get("x-amz-security-token", "")
    return _claim(_scoped(credential, service), fields, _signing_time(headers, service), None)


def _query_claim(query: str, seeming: str) -> Claim:
    prefix = "X-Amz-"
    fields: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name.startswith(prefix):
            fields[name[len(prefix) :]] = unquote_plus(value, encoding="latin-1")
    credential = fields.get("Credential", "")
    service = _service_hint(credential) or seeming
    wanted = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
    if missing := [prefix + name for name in wanted if not fields.get(name)]:
        raise refusals.bad_presign(
            service, f"A presigned address needs these query parameters too: {', '.join(missing)}"
        )
    if fields["Algorithm"] != ALGORITHM:
        raise refusals.bad_presign(service, f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    expires = fields["Expires"]
    if not (expires.isascii() and expires.isdigit() and len(expires) <= len("604800")):
        raise refusals.bad_presign(service, _presign_limit())
    if not 0 < int(expires) <= LONGEST_PRESIGN:
        raise refusals.bad_presign(service, _presign_limit())
    stamp = _checked(fields["Date"], service)
    return _claim(_scoped(credential, service), fields, stamp, int(expires))


def _presign_limit() -> str:
    return f"X-Amz-Expires must be a number of seconds from 1 to {LONGEST_PRESIGN} (a week)"


def _scoped(credential: str, service: str) -> tuple[str, str, str, str]:
    # An access key may contain a slash (nothing forbids it here), the scope never does.
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request" or not parts[0]:
        raise refusals.incomplete(
            service,
            "the Credential is mal-formed; expecting "
            f"<access key>/YYYYMMDD/<region>/<service>/aws4_request, found '{credential}'.",
        )
    return parts[0], parts[1], parts[2], parts[3]


def _claim(
    credential: tuple[str, str, str, str],
    fields: Mapping[str, str],
    stamp: str,
    expires: int | None,
) -> Claim:
    access_key, day, region, service = credential
    if day != stamp[:8]:
        raise refusals.mismatch(
            service,
            f"Date in Credential scope does not match YYYYMMDD of the time of signing: "
            f"'{day}' != '{stamp}'.",
        )
    return Claim(
        access_key=access_key,
        scope=f"{day}/{region}/{service}/aws4_request",
        region=region,
        service=service,
        signed_headers=tuple(fields["SignedHeaders"].lower().split(";")),
        signature=fields["Signature"],
        stamp=stamp,
        expires=expires,
        token=fields.get("Security-Token", ""),
    )


def _service_hint(credential: str) -> str:
    parts = credential.split("/")
    return parts[-2] if len(parts) > 1 else ""


def _signing_time(headers: Mapping[str, str], service: str) -> str:
    stamp = headers.get("x-amz-date")
    if stamp is not None:
        return _checked(stamp, service)
    date = headers.get("date")
    if date is None:
        raise refusals.incomplete(
            service,
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
        )
    if _STAMP.fullmatch(date):
        return _checked(date, service)
    try:
        moment = parsedate_to_datetime(date).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise refusals.incomplete(service, f"cannot read the Date header '{date}'.") from error
    return _checked(refusals.stamp(moment), service)


def _checked(stamp: str, service: str) -> str:
    try:
        datetime.fromisoformat(stamp if _STAMP.fullmatch(stamp) else "")
    except ValueError as error:
        raise refusals.incomplete(
            service,
            f"Date must be in ISO-8601 'basic format'. Got '{stamp}'. Use 20260101T120000Z.",
        ) from error
    return stamp


def _check_time(claim: Claim, now: datetime) -> None:
    signed_at, service = claim.signed_at, claim.service
    if claim.expires is None:
        if abs(now - signed_at) > SKEW:
            raise refusals.skewed(service, signed_at, now, SKEW)
        return
    if signed_at - now > SKEW:
        raise refusals.skewed(service, signed_at, now, SKEW)
    until = signed_at + timedelta(seconds=claim.expires)
    if now > until:
        raise refusals.expired(service, until, now)


def _check_coverage(claim: Claim, headers: Mapping[str, str]) -> None:
    """Refuse headers that change a request's meaning and could have been added on the way."""
    signed = claim.signed_headers
    missing = [name for name in headers if name.startswith("x-amz-") and name not in signed]
    if "host" not in signed:
        missing.append("host")
    if missing:
        raise refusals.unsigned_headers(claim.service, missing)


def _payload_hash(claim: Claim, sent: Sent, body_hash: str | None) -> str:
    stated = sent.headers.get("x-amz-content-sha256")
    if claim.service not in S3_NAMES:
        # The other services hash what arrived; a header that says otherwise cannot match.
        if body_hash is None:
            raise ValueError(f"{claim.service}: the payload must be read before verifying")
        return body_hash
    if stated is None and claim.expires is not None:
        return UNSIGNED
    if stated is None or not (stated == UNSIGNED or stated in STREAMING or _HASH.fullmatch(stated)):
        raise refusals.payload_hash(stated)
    return stated


def _canonical_forms(claim: Claim, sent: Sent, payload_hash: str) -> Iterator[str]:
    presigned = claim.expires is not None
    query = canonical_query(sent.query, without="X-Amz-Signature" if presigned else None)
    headers = (claim.signed_headers, sent.headers)
    for path in canonical_paths(sent.path, s3=claim.service in S3_NAMES):
        yield canonical_request(sent.method, path, query, headers, payload_hash=payload_hash)

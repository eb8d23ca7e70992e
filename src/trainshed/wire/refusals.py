"""The words in which each family of services refuses a signature.

Clients decide by error code whether to retry, to correct their clock or to ask for other keys, and
the codes differ between S3, the query services (STS, IAM) and the JSON services.
"""

from datetime import datetime, timedelta
from typing import Final

from trainshed.domain.errors import RequestRejected

S3_NAMES: Final = frozenset({"s3", "s3express", "s3-object-lambda"})
"""Signing names under which S3 is spoken to."""
QUERY_NAMES: Final = frozenset({"sts", "iam"})
"""Signing names of services that speak the query protocol and its error codes."""

_UNKNOWN_KEY: Final = "The security token included in the request is invalid."
_EXPIRED_KEY: Final = "The security token included in the request is expired"
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details."
)


def missing_token(service: str) -> RequestRejected:
    """A request without any signature."""
    if service in S3_NAMES:
        return RequestRejected("AccessDenied", "Access Denied", 403)
    if service in QUERY_NAMES:
        return RequestRejected(
            "MissingAuthenticationToken", "Request is missing Authentication Token", 403
        )
    return RequestRejected("MissingAuthenticationTokenException", "Missing Authentication Token")


def unknown_key(service: str) -> RequestRejected:
    """An access key that this server does not have."""
    if service in S3_NAMES:
        return RequestRejected(
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
            403,
        )
    if service in QUERY_NAMES:
        return RequestRejected("InvalidClientTokenId", _UNKNOWN_KEY, 403)
    return RequestRejected("UnrecognizedClientException", _UNKNOWN_KEY)


def wrong_token(service: str) -> RequestRejected:
    """A temporary key without the session token that belongs to it."""
    if service in S3_NAMES:
        return RequestRejected(
            "InvalidToken", "The provided token is malformed or otherwise invalid."
        )
    return unknown_key(service)


def expired_token(service: str) -> RequestRejected:
    """A temporary key whose time is over; clients ask for the next one."""
    if service in S3_NAMES:
        return RequestRejected("ExpiredToken", "The provided token has expired.")
    if service in QUERY_NAMES:
        return RequestRejected("ExpiredToken", _EXPIRED_KEY, 403)
    return RequestRejected("ExpiredTokenException", _EXPIRED_KEY)


def mismatch(service: str, detail: str = "") -> RequestRejected:
    """A signature that is not the one we compute; ``detail`` replaces the usual sentence."""
    if service in S3_NAMES:
        words = detail or (
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method."
        )
        return RequestRejected("SignatureDoesNotMatch", words, 403)
    if service in QUERY_NAMES:
        return RequestRejected("SignatureDoesNotMatch", detail or _MISMATCH, 403)
    return RequestRejected("InvalidSignatureException", detail or _MISMATCH)


def incomplete(service: str, detail: str) -> RequestRejected:
    """An ``Authorization`` header that lacks a part or cannot be read."""
    if service in S3_NAMES:
        return RequestRejected(
            "AuthorizationHeaderMalformed", f"The authorization header is malformed; {detail}"
        )
    if service in QUERY_NAMES:
        return RequestRejected("IncompleteSignature", detail)
    return RequestRejected("IncompleteSignatureException", detail)


def bad_presign(service: str, detail: str) -> RequestRejected:
    """A presigned address that lacks a part or asks for more than it may."""
    if service in S3_NAMES:
        return RequestRejected("AuthorizationQueryParametersError", detail)
    return incomplete(service, detail)


def skewed(service: str, signed_at: datetime, now: datetime, allowed: timedelta) -> RequestRejected:
    """A clock that is further off than ``allowed``."""
    if service in S3_NAMES:
        return RequestRejected(
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            403,
        )
    minutes = int(allowed.total_seconds() // 60)
    if signed_at < now:
        detail = (
            f"Signature expired: {stamp(signed_at)} is now earlier than {stamp(now - allowed)} "
            f"({stamp(now)} - {minutes} min.)"
        )
    else:
        detail = (
            f"Signature not yet current: {stamp(signed_at)} is still later than "
            f"{stamp(now + allowed)} ({stamp(now)} + {minutes} min.)"
        )
    return mismatch(service, detail)


def expired(service: str, until: datetime, now: datetime) -> RequestRejected:
    """A presigned address whose time is over."""
    if service in S3_NAMES:
        return RequestRejected("AccessDenied", "Request has expired", 403)
    return mismatch(service, f"Signature expired: {stamp(until)} is now earlier than {stamp(now)}")


def unsigned_headers(service: str, names: list[str]) -> RequestRejected:
    """Headers that must be signed, because they change what a request means, and are not."""
    listed = ", ".join(names)
    detail = f"There were headers present in the request which were not signed: {listed}"
    if service in S3_NAMES:
        return RequestRejected("AccessDenied", detail, 403)
    return mismatch(service, detail)


def not_allowed(service: str, operation: str) -> RequestRejected:
    """A key that is good for some operations, and not for this one."""
    detail = (
        f"The access key is good, but not for {operation}: it may only read what is told of jobs."
    )
    code = "AccessDenied" if service in {"s3", *QUERY_NAMES} else "AccessDeniedException"
    return RequestRejected(code, detail, 403 if code == "AccessDenied" else 400)


def payload_hash(found: str | None) -> RequestRejected:
    """An S3 request whose ``x-amz-content-sha256`` is missing (None) or no hash."""
    if found is None:
        return RequestRejected(
            "InvalidRequest", "Missing required header for this request: x-amz-content-sha256"
        )
    return RequestRejected(
        "InvalidArgument",
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a "
        "valid sha256 value.",
    )


def stamp(moment: datetime) -> str:
    """Write ``moment`` (UTC) as signatures do: ``20260101T120000Z``."""
    return moment.strftime("%Y%m%dT%H%M%SZ")

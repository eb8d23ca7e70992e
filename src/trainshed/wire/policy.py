"""The policy of a browser's upload: what its maker allows, and that it was the maker.

Who holds a key signs a policy and gives it away within a form; whoever fills the form in may send
any file that the policy allows, until it expires.

Source: "Browser-based uploads using POST (AWS Signature Version 4)" and "Creating a POST policy"
(Amazon S3 API Reference).
"""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from trainshed.domain.errors import RequestRejected
from trainshed.wire import refusals
from trainshed.wire.canonical import ALGORITHM, signing_key
from trainshed.wire.keys import AccessKey, secret_of

_NOT_IN_POLICIES: Final = frozenset(
    {"x-amz-signature", "file", "policy", "awsaccesskeyid", "signature"}
)
"""Fields that a form may have without a condition; so may those that begin with ``x-ignore-``."""
_SCOPE: Final = 4
"""Parts of a credential behind its access key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What a policy lets the file be."""

    least: int = 0
    """Bytes."""
    most: int | None = None
    """Bytes; None for any number."""


def access_key(fields: Mapping[str, str]) -> str:
    """Return the access key that a form names.

    Raises:
        RequestRejected: it carries no signature.
    """
    if "policy" in fields and "x-amz-signature" in fields:
        return fields.get("x-amz-credential", "").rsplit("/", _SCOPE)[0]
    if "policy" in fields and "signature" in fields:
        return fields.get("awsaccesskeyid", "")
    raise refusals.missing_token("s3")


def allowed(
    fields: Mapping[str, str], bucket: str, *, key: AccessKey | None, now: datetime
) -> Allowed:
    """Return what the form's policy lets the file be, once signature and conditions are right.

    Args:
        fields: by lower-cased name, ``${filename}`` already replaced.
        bucket: which the form is sent to.
        key: what belongs to the form's ``access_key``.
        now: the server's time.

    Raises:
        RequestRejected: signed by somebody else, expired, or not what the policy allows.
    """
    secret = secret_of(key, fields.get("x-amz-security-token", ""), "s3")
    if not hmac.compare_digest(*(text.encode() for text in _signatures(fields, secret))):
        raise refusals.mismatch("s3")
    policy = _read(fields["policy"])
    if now > policy.expiration:
        raise _denied("Policy expired.")
    return _checked(policy.conditions, {**fields, "bucket": bucket})


@dataclass(frozen=True, slots=True)
class _Policy:
    expiration: datetime
    conditions: list[Any]


def _signatures(fields: Mapping[str, str], secret: str) -> tuple[str, str]:
    """Return the signature that the form carries, and the one that we compute."""
    policy = fields["policy"].encode()
    if "x-amz-signature" not in fields:
        ours = base64.b64encode(hmac.digest(secret.encode(), policy, "sha1")).decode()
        return fields["signature"], ours
    scope = fields.get("x-amz-credential", "").rsplit("/", _SCOPE)[1:]
    if len(scope) != _SCOPE or scope[3] != "aws4_request" or scope[2] != "s3":
        raise RequestRejected(
            "InvalidArgument",
            "The x-amz-credential field must be <access key>/YYYYMMDD/<region>/s3/aws4_request.",
        )
    if fields.get("x-amz-algorithm") != ALGORITHM:
        raise RequestRejected("InvalidArgument", f"The x-amz-algorithm field must be {ALGORITHM}.")
    if not fields.get("x-amz-date", "").startswith(scope[0]):
        raise refusals.mismatch("s3")
    signing = signing_key(secret, scope[0], scope[1], scope[2])
    return fields["x-amz-signature"], hmac.digest(signing, policy, "sha256").hex()


def _read(encoded: str) -> _Policy:
    try:
        document = json.loads(base64.b64decode(encoded, validate=True))
        expiration = datetime.fromisoformat(document["expiration"])
        conditions = document["conditions"]
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise _invalid("it must be JSON with expiration and conditions, in base64") from error
    if not isinstance(conditions, list):
        raise _invalid("conditions must be a list")
    if expiration.tzinfo is None:
        expiration = expiration.replace(tzinfo=UTC)
    return _Policy(expiration, conditions)


def _checked(conditions: list[Any], fields: Mapping[str, str]) -> Allowed:
    allowed = Allowed()
    spoken_of = set(_NOT_IN_POLICIES)
    for condition in _listed(conditions):
        operator, first, second = condition
        if operator == "content-length-range":
            allowed = _range(first, second)
            continue
        name = str(first).removeprefix("$").lower()
        if not str(first).startswith("$") or operator not in {"eq", "starts-with"}:
            raise _invalid(f"{json.dumps(condition)} is no condition")
        spoken_of.add(name)
        if not _holds(operator, fields.get(name, ""), str(second), listed=name == "content-type"):
            raise _denied(f"Policy Condition failed: {json.dumps(condition)}")
    extra = [
        name
        for name in fields
        if name not in spoken_of and name != "bucket" and not name.startswith("x-ignore-")
    ]
    if extra:
        raise _denied(f"Extra input fields: {', '.join(extra)}")
    return allowed


def _listed(conditions: list[Any]) -> list[tuple[str, Any, Any]]:
    """Return conditions in the longer of their two forms."""
    found: list[tuple[str, Any, Any]] = []
    for condition in conditions:
        if isinstance(condition, dict):
            found += [("eq", f"${name}", value) for name, value in condition.items()]
        elif isinstance(condition, list) and len(condition) == 3:
            found.append((str(condition[0]).lower(), condition[1], condition[2]))
        else:
            raise _invalid(f"{json.dumps(condition)} is no condition")
    return found


def _holds(operator: str, value: str, wanted: str, *, listed: bool) -> bool:
    if operator == "eq":
        return value == wanted
    values = value.split(",") if listed else [value]
    return all(one.strip().startswith(wanted) for one in values)


def _range(least: object, most: object) -> Allowed:
    try:
        bounds = int(str(least)), int(str(most))
    except ValueError as error:
        raise _invalid("content-length-range needs two numbers of bytes") from error
    return Allowed(least=bounds[0], most=bounds[1])


def _denied(why: str) -> RequestRejected:
    return RequestRejected("AccessDenied", f"Invalid according to Policy: {why}", 403)


def _invalid(why: str) -> RequestRejected:
    return RequestRejected(
        "InvalidPolicyDocument", f"The content of the form does not meet its policy's form: {why}."
    )

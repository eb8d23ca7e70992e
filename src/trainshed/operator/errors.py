"""What an error of the service, or of the way to it, means for an object that waits for it.

Two things may be meant. The request is wrong and stays so: ``Refused``. Or something stands between
that may be gone the next time: ``Trouble``. A trouble's text is the same for as long as the trouble
is, or an object would be written for each try.
"""

from typing import Final

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from trainshed.operator.deciding.base import THROTTLED, Refused, Trouble
from trainshed.operator.objects import Place

_KEYS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_RIGHTS: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "NotAuthorized",
        "UnauthorizedOperation",
        "OptInRequired",
    }
)
_THROTTLED: Final = frozenset(
    {
        "LimitExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_FULL: Final = frozenset({"ResourceLimitExceeded", "ServiceQuotaExceededException"})
_ADDRESS: Final = (
    boto.InvalidRegionError,
    boto.NoRegionError,
    boto.UnknownEndpointError,
    boto.EndpointProviderError,
    boto.InvalidEndpointConfigurationError,
    ValueError,
)
_NO_KEYS: Final = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.NoAuthTokenError,
    boto.TokenRetrievalError,
    boto.InvalidConfigError,
    boto.ProfileNotFound,
)

ERRORS: Final = (
    boto.ClientError,
    boto.BotoCoreError,
    ResponseParserError,
    ValueError,
    OSError,
)
"""What making a client or a call may raise."""


def meaning(error: Exception, place: Place) -> Refused | Trouble:
    """Return what an error of ``ERRORS`` means."""
    if isinstance(error, boto.ClientError):
        return _of_the_service(error, place)
    if isinstance(error, boto.ParamValidationError):
        return Refused("ParamValidation", str(error))
    if isinstance(error, _NO_KEYS):
        return Trouble(
            "NoCredentials",
            f"The operator has no credentials to call the service of {place}: {error}. Give its "
            "service account a role, or its pod AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    if isinstance(error, _ADDRESS):
        text = f"{error}. Correct spec.region or spec.sageMakerEndpoint."
        return Refused("InvalidAddress", text)
    if isinstance(error, ResponseParserError):
        text = (
            f"What answers at {place} does not speak SageMaker's API. See spec.sageMakerEndpoint."
        )
        return Trouble("NotUnderstood", text)
    return Trouble(
        "ServiceUnreachable",
        f"The service of {place} cannot be reached: {error}. It is tried again and again; see that "
        "it runs, and that spec.region and spec.sageMakerEndpoint are right.",
    )


def _of_the_service(error: boto.ClientError, place: Place) -> Refused | Trouble:
    told = error.response.get("Error", {})
    code, message = str(told.get("Code", "")), str(told.get("Message", "")).strip()
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _KEYS:
        return Trouble(
            "CredentialsRefused",
            f"The service of {place} does not accept the operator's credentials ({code}): give its "
            "service account a role, or its pod keys, that are valid there.",
        )
    if code in _RIGHTS:
        return Trouble("AccessDenied", f"{message or code}. Give the operator's role this right.")
    if code in _THROTTLED or status == 429:
        return Trouble(THROTTLED, f"The service of {place} asks for fewer requests ({code})")
    if code in _FULL:
        return Trouble("LimitExceeded", f"{message} It is tried again as others' resources end.")
    if status >= 500 or code in {"RequestTimeout", "ServiceUnavailable", "InternalFailure"}:
        return Trouble(
            "ServiceFails", f"The service of {place} fails ({status} {code}); it is tried again"
        )
    return Refused(code, message)

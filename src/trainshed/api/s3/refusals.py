"""S3's error codes and texts: clients decide by them, and people search for them.

Source: Amazon S3 API Reference, "Error responses".
"""

from typing import Final

from trainshed.domain.errors import ObjectMissing, RequestRejected, StoreError
from trainshed.stores.objects.info import (
    BucketExists,
    BucketMissing,
    BucketNotEmpty,
    ConditionFailed,
    NoSpace,
    PartsChanged,
    UploadMissing,
)

_WORDS: Final[tuple[tuple[type[StoreError], str, str, int], ...]] = (
    (BucketMissing, "NoSuchBucket", "The specified bucket does not exist", 404),
    (
        UploadMissing,
        "NoSuchUpload",
        (
            "The specified upload does not exist. The upload ID may be invalid, or the upload may "
            "have been aborted or completed."
        ),
        404,
    ),
    (ObjectMissing, "NoSuchKey", "The specified key does not exist.", 404),
    (
        BucketExists,
        "BucketAlreadyOwnedByYou",
        "Your previous request to create the named bucket succeeded and you already own it.",
        409,
    ),
    (BucketNotEmpty, "BucketNotEmpty", "The bucket you tried to delete is not empty", 409),
    (
        ConditionFailed,
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        412,
    ),
    (
        PartsChanged,
        "InvalidPart",
        (
            "One or more of the specified parts could not be found.  The part may not have been "
            "uploaded, or the specified entity tag may not match the part's entity tag."
        ),
        400,
    ),
)
"""(what the store raises, code, message, status); the first that fits."""


def refusal(error: StoreError) -> RequestRejected | None:
    """Return what S3 says to a store's refusal; None for what is no fault of the caller's."""
    if isinstance(error, NoSpace):
        return RequestRejected("InsufficientStorage", str(error), 507)
    for kind, code, message, status in _WORDS:
        if isinstance(error, kind):
            return RequestRejected(code, message, status)
    return None


def invalid_argument(message: str) -> RequestRejected:
    """A parameter that cannot be."""
    return RequestRejected("InvalidArgument", message)


def invalid_request(message: str) -> RequestRejected:
    """Parameters that cannot be together."""
    return RequestRejected("InvalidRequest", message)


def precondition_failed() -> RequestRejected:
    """The object is not as the caller demanded."""
    return RequestRejected(*_coded("PreconditionFailed"))


def invalid_part() -> RequestRejected:
    """A part that is not there, or is another one."""
    return RequestRejected(*_coded("InvalidPart"))


def bad_digest(name: str) -> RequestRejected:
    """The payload is not the one that was meant."""
    return RequestRejected("BadDigest", f"The {name} you specified did not match what we received.")


def malformed_xml() -> RequestRejected:
    """XML that is not as published."""
    return RequestRejected(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )


def not_implemented(header: str) -> RequestRejected:
    """A parameter whose promise cannot be kept; better refused than ignored."""
    return RequestRejected(
        "NotImplemented",
        f"A header you provided implies functionality that is not implemented ({header}).",
        501,
    )


def _coded(code: str) -> tuple[str, str, int]:
    return next(words[1:] for words in _WORDS if words[1] == code)

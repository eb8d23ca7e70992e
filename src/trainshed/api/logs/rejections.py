"""The error texts of CloudWatch Logs that clients know."""

from trainshed.domain.errors import RequestRejected


def invalid(message: str) -> RequestRejected:
    """Return the error for a request that makes no sense."""
    return RequestRejected("InvalidParameterException", message)


def missing(what: str) -> RequestRejected:
    """Return the error for a ``log group`` or ``log stream`` that is not there."""
    return RequestRejected("ResourceNotFoundException", f"The specified {what} does not exist.")


def existing(what: str) -> RequestRejected:
    """Return the error for a ``log group`` or ``log stream`` that is there already."""
    return RequestRejected("ResourceAlreadyExistsException", f"The specified {what} already exists")

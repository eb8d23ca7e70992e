"""The error texts of the SageMaker service that several operations share."""

from trainshed.domain.errors import RequestRejected


def invalid(message: str) -> RequestRejected:
    """Return the error for a request that makes no sense."""
    return RequestRejected("ValidationException", message)


def constraint(path: str, value: object, rule: str) -> RequestRejected:
    """Return the error for one member's value, worded as the service words its own checks.

    Args:
        path: the member in lowerCamel, such as ``resourceConfig.instanceCount``.
        value: what was found; None for a member that is missing.
        rule: what would be right, such as ``Member must not be null``.
    """
    found = "null" if value is None else f"'{value}'"
    return invalid(
        f"1 validation error detected: Value {found} at '{path}' "
        f"failed to satisfy constraint: {rule}"
    )


def not_offered(what: str, instead: str) -> RequestRejected:
    """Return the error for something the service has and this server has not."""
    return invalid(f"{what} is not offered by this server; {instead}")


def wrong_status(status: str) -> RequestRejected:
    """Return the error for a job that is past what was asked."""
    return invalid(f"The request was rejected because the training job is in status {status}.")

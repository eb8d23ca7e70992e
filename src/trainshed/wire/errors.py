"""What the wire itself refuses, before any operation is asked."""

from typing import Final

from trainshed.domain.errors import RequestRejected

_UNKNOWN: Final = {
    "json": ("UnknownOperationException", 400),
    "rest-json": ("UnknownOperationException", 404),
    "rest-xml": ("MethodNotAllowed", 405),
    "query": ("InvalidAction", 400),
}


def unknown_operation(asked: str = "", protocol: str = "json") -> RequestRejected:
    """Nothing of that name, or no name at all, in the service's model.

    Args:
        asked: what the request names: a target, an action, or method and path.
        protocol: the service's, which settles how the error is called.
    """
    code, status = _UNKNOWN[protocol]
    named = f"{asked!r} is not" if asked else "The request names no operation that is"
    return RequestRejected(code, f"{named} in the service's model.", status)


def not_offered(service: str, operation: str) -> RequestRejected:
    """The model has the operation, Trainshed does not carry it out.

    501 keeps clients honest (nothing happened), and botocore does not retry it.
    """
    code = "NotImplemented" if service == "s3" else "NotImplementedException"
    message = f"Trainshed does not offer {service}:{operation}. Nothing was done."
    return RequestRejected(code, message, 501)


def not_deserializable(message: str) -> RequestRejected:
    """The body is not what the protocol promises, or a value is of a wrong type."""
    return RequestRejected("SerializationException", message)


def malformed_xml(detail: str = "") -> RequestRejected:
    """S3's answer to XML that is broken or not of the published schema."""
    text = (
        "The XML you provided was not well-formed or did not validate against our published schema"
    )
    return RequestRejected("MalformedXML", f"{text} ({detail})" if detail else text)


def invalid_argument(message: str) -> RequestRejected:
    """S3's answer to a header, a query parameter or a path that cannot be."""
    return RequestRejected("InvalidArgument", message)


def malformed_input(message: str) -> RequestRejected:
    """The query protocol's answer to a value of a wrong type."""
    return RequestRejected("MalformedInput", message)

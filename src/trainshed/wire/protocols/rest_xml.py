"""REST with XML bodies, as S3 speaks it."""

from typing import Final, NoReturn

from trainshed.domain.errors import RequestRejected
from trainshed.wire.errors import invalid_argument, malformed_xml
from trainshed.wire.message import Reply
from trainshed.wire.model import Ref, ServiceModel, Value
from trainshed.wire.protocols import rest
from trainshed.wire.protocols.base import HttpRequest, HttpResponse
from trainshed.wire.protocols.rest import operation_of
from trainshed.wire.protocols.xml_read import (
    NotReadable,
    read_document,
    read_structure,
    read_value,
)
from trainshed.wire.protocols.xml_write import DECLARATION, document, element
from trainshed.wire.validate import check, summary

__all__ = ["operation_of", "parse", "render", "render_error"]

_NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"

_ROOTS: Final = {
    "CompleteMultipartUploadOutput": "CompleteMultipartUploadResult",
    "CreateMultipartUploadOutput": "InitiateMultipartUploadResult",
    "DeleteObjectsOutput": "DeleteResult",
    "GetBucketAclOutput": "AccessControlPolicy",
    "GetBucketTaggingOutput": "Tagging",
    "GetBucketVersioningOutput": "VersioningConfiguration",
    "GetObjectAclOutput": "AccessControlPolicy",
    "GetObjectAttributesOutput": "GetObjectAttributesResponse",
    "GetObjectTaggingOutput": "Tagging",
    "ListBucketsOutput": "ListAllMyBucketsResult",
    "ListMultipartUploadsOutput": "ListMultipartUploadsResult",
    "ListObjectVersionsOutput": "ListVersionsResult",
    "ListObjectsOutput": "ListBucketResult",
    "ListObjectsV2Output": "ListBucketResult",
    "ListPartsOutput": "ListPartsResult",
}
"""S3's names of documents, by output shape: the model leaves them out, the Java SDK reads them."""

_UNWRAPPED: Final = {"GetBucketLocationOutput": "LocationConstraint"}
"""Outputs whose only member is the document itself, which the model does not say either."""


def parse(model: ServiceModel, operation: str, request: HttpRequest) -> dict[str, Value]:
    """Return the parameters from path, query, headers and body.

    Raises:
        RequestRejected: with S3's names: ``MalformedXML`` for a body, ``InvalidArgument`` for
            the rest.
    """
    ref = model.operation(operation).input
    if ref is None:
        return {}
    try:
        params = rest.located(model, operation, request)
    except ValueError as error:
        raise invalid_argument(str(error)) from error
    try:
        inside = _body(model, ref, request)
    except ValueError as error:
        raise malformed_xml(str(error)) from error
    if wrong := check(model, ref.shape, params | inside):
        _reject(model, ref, params, wrong)
    return params | inside


def _body(model: ServiceModel, ref: Ref, request: HttpRequest) -> dict[str, Value]:
    whole = rest.payload(model, ref)
    if whole is None:
        return (
            read_structure(model, model.shape_of(ref), read_document(request.body))
            if request.body
            else {}
        )
    name, member = whole
    if model.shape_of(member).type in {"blob", "string"}:
        value = rest.raw_payload(model, member, request)
        return {} if value is None else {name: value}
    if not request.body:
        return {}
    root = read_document(request.body)
    if root.tag != (wanted := member.location_name or member.shape):
        raise NotReadable(f"the document is {root.tag}, {wanted} was expected")
    return {name: read_value(model, member, root)}


def _reject(model: ServiceModel, ref: Ref, located: dict[str, Value], wrong: list[str]) -> NoReturn:
    """Raise the refusal, named by where the fault is: outside of the body or in it."""
    shape = model.shape_of(ref)
    of_body = sum(shape.members[name].location is None for name in shape.required)
    if len(check(model, ref.shape, located)) > of_body:  # more than the body that is left out here
        raise invalid_argument(summary(wrong))
    raise malformed_xml("; ".join(wrong))


def render(model: ServiceModel, operation: str, reply: Reply, request_id: str) -> HttpResponse:
    """Return the result in headers and body."""
    modelled = model.operation(operation)
    ref = modelled.output
    headers = [("x-amz-request-id", request_id)]
    if ref is None:
        if reply.result:
            raise ValueError(f"{operation} has no output; found {', '.join(reply.result)}")
        status, body = None, b""
    else:
        shape = model.shape_of(ref)
        status, found, left = rest.split_result(model, shape, reply.result)
        headers += found
        body = _rendered(model, ref, left)
        if isinstance(body, bytes) and body.startswith(b"<?xml") and not _typed(headers):
            headers.append(("Content-Type", "application/xml"))
    headers += reply.headers.items()
    status = reply.status or status or modelled.http.response_code
    return HttpResponse(status=status, headers=headers, body=body)


def _rendered(model: ServiceModel, ref: Ref, left: dict[str, Value]) -> Value:
    whole = rest.payload(model, ref)
    if whole is not None:
        name, member = whole
        value = left.pop(name, None)
        if left:
            raise ValueError(f"{ref.shape}: {', '.join(left)} cannot be sent beside a payload")
        return _payload(model, member, value)
    if ref.shape in _UNWRAPPED:
        tag = _UNWRAPPED[ref.shape]
        text = element(tag, left.get(tag) or "").replace(tag, f'{tag} xmlns="{_NAMESPACE}"', 1)
        return (DECLARATION + text).encode()
    if all(member.location is not None for member in model.shape_of(ref).members.values()):
        return b""
    root = _ROOTS.get(ref.shape, ref.shape)
    text = document(model, ref.shape, left, root=root, namespace=_NAMESPACE)
    return (DECLARATION + text).encode()


def _payload(model: ServiceModel, member: Ref, value: Value) -> Value:
    if value is None:
        return b""
    if model.shape_of(member).type == "structure":
        root = member.location_name or member.shape
        text = document(model, member.shape, value, root=root, namespace=_NAMESPACE)
        return (DECLARATION + text).encode()
    return value.encode() if isinstance(value, str) else value


def _typed(headers: list[tuple[str, str]]) -> bool:
    return any(name.lower() == "content-type" for name, _ in headers)


def render_error(
    model: ServiceModel | None, error: RequestRejected, request_id: str, resource: str
) -> HttpResponse:
    """Return the error as S3 does: no namespace, no wrapper, the path repeated."""
    text = (
        f"{DECLARATION}<Error>"
        + element("Code", error.code)
        + element("Message", error.message)
        + element("Resource", resource)
        + element("RequestId", request_id)
        + "</Error>"
    )
    headers = [("x-amz-request-id", request_id), ("Content-Type", "application/xml")]
    return HttpResponse(status=error.status, headers=headers, body=text.encode())

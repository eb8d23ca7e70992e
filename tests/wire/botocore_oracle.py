"""botocore as the judge: it writes the requests that we read, and reads the answers we write."""

import io
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import botocore.awsrequest
import botocore.parsers
import botocore.serialize
import botocore.session
from botocore.model import ServiceModel as BotocoreModel

from trainshed.wire.protocols import HttpRequest, HttpResponse

HOST = "http://127.0.0.1:8470"


@cache
def botocore_model(service: str) -> BotocoreModel:
    """Return botocore's own model of a service."""
    return botocore.session.Session().get_service_model(service)


def request_from_botocore(service: str, operation: str, params: dict[str, Any]) -> HttpRequest:
    """Return the request that botocore sends for these parameters."""
    model = botocore_model(service)
    serializer = botocore.serialize.create_serializer(
        model.resolved_protocol, include_validation=False
    )
    parts = serializer.serialize_to_request(params, model.operation_model(operation))
    botocore.awsrequest.prepare_request_dict(parts, endpoint_url=HOST)
    sent = botocore.awsrequest.create_request_object(parts).prepare()
    address = urlsplit(sent.url)
    body = sent.body or b""
    headers = {name.lower(): _text(value) for name, value in sent.headers.items()}
    if "ContentLength" not in params:
        headers.pop("content-length", None)  # added for every operation; S3 has a member for it
    return HttpRequest(
        method=sent.method,
        path=address.path,
        query=tuple(parse_qsl(address.query, keep_blank_values=True)),
        headers=headers,
        body=body.encode() if isinstance(body, str) else bytes(body),
    )


def answer_by_botocore(service: str, operation: str, response: HttpResponse) -> dict[str, Any]:
    """Return what botocore makes of a response, without its metadata."""
    result = parsed_by_botocore(service, operation, response)
    result.pop("ResponseMetadata", None)
    return result


def parsed_by_botocore(service: str, operation: str, response: HttpResponse) -> dict[str, Any]:
    """Return what botocore makes of a response; a streamed payload as bytes."""
    model = botocore_model(service)
    parser = botocore.parsers.create_parser(model.resolved_protocol)
    operation_model = model.operation_model(operation)
    streamed = operation_model.has_streaming_output and response.status < 300
    parts = {
        "status_code": response.status,
        "headers": botocore.awsrequest.HeadersDict(response.headers),
        "body": io.BytesIO(response.body) if streamed else response.body,
    }
    parsed: dict[str, Any] = parser.parse(parts, operation_model.output_shape)
    return {
        name: value.read() if isinstance(value, io.BytesIO) else value
        for name, value in parsed.items()
    }


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)

"""The server's AWS side, as one list of steps: bytes come in, an operation runs, bytes go out.

    route     which service is asked                            route.py
    verify    who asks, and that nothing was changed            sigv4.py, sigv2.py
    read      the body, whole or as a stream                    payload.py
    tell      which operation of the service's model            protocols/
    parse     its parameters, checked against the model         protocols/
    call      the operation, from the table this front is given
    render    its result, or the refusal                        protocols/
    send      head, body, and patience with a client still sending   sending.py

It is an ASGI application of its own, without a framework: a server answers thousands of Describe
calls a second with it. It knows no operation by name, keeps no state, and a request it refuses
leaves nothing behind.
"""

import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from trainshed.domain.errors import RequestRejected, StoreError
from trainshed.wire import forms, policy, protocols, refusals, route, sigv2, sigv4
from trainshed.wire.errors import not_offered, unknown_operation
from trainshed.wire.keys import AccessKey, Keys, check_allowed
from trainshed.wire.message import Call, Reply
from trainshed.wire.model import ServiceModel, load
from trainshed.wire.payload import Incoming, Payload, Receive, gathered, inflated
from trainshed.wire.protocols import HttpRequest, HttpResponse
from trainshed.wire.sending import FILES, Send, Sender

log = logging.getLogger(__name__)

Operation = Callable[[Call], Awaitable[dict[str, Any] | Reply]]
"""What carries out a call: returns the members of the answer, or raises ``RequestRejected``."""

MOST_BODY: Final = 5 * 1024 * 1024
"""Bytes of a JSON or query request; the largest real ones (PutLogEvents) have 1 MiB."""
MOST_INVOCATION: Final = 25 * 1024 * 1024
"""Bytes sent to an endpoint; SageMaker's own limit."""
MOST_XML: Final = 2 * 1024 * 1024
"""Bytes of an XML document; S3's own limit for DeleteObjects."""


@dataclass(slots=True, kw_only=True)
class _Exchange:
    """One request on its way through the steps, and what they have found out about it."""

    sent: sigv4.Sent
    incoming: Incoming
    request_id: str
    service: str
    """botocore's name: what the request looks like, until its signature says what it is."""
    operation: str = ""
    """"" until it is known."""
    access_key: str = ""
    """The one that is claimed, and once ``operation`` is known, the one that signed."""
    key: AccessKey | None = None
    """What belongs to it, once it was looked up."""


_Taken = tuple[sigv4.Signed, str, HttpRequest]
"""Who asks, the operation, and its request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One request that was answered, for logs and metrics. Holds nothing secret."""

    request_id: str
    service: str
    operation: str
    """"" when it was refused before that was known."""
    method: str
    path: str
    """Without the query, where signatures may be."""
    status: int
    """0 when the client was gone before an answer."""
    seconds: float
    """Until the last byte of the answer was handed over."""
    access_key: str
    """The id of the key that was claimed or signed with; "" for none."""


class Front:
    """An ASGI application that answers the AWS services in its table of operations."""

    def __init__(
        self,
        operations: Mapping[tuple[str, str], Operation],
        keys: Keys,
        clock: Callable[[], datetime],
        region: str,
        observe: Callable[[Answered], None] | None = None,
    ) -> None:
        """Load the models of all services that are offered.

        Args:
            operations: by ``(service, operation)``, both as botocore spells them.
            keys: who knows the access keys, and what each is good for.
            clock: the time, aware.
            region: for requests that name none.
            observe: is told of each request once it is answered; must not raise.

        Raises:
            LookupError: botocore has no such service, or not that operation of it.
        """
        for service, operation in operations:
            if operation not in load(service).operations:
                raise LookupError(f"the model of {service} has no operation {operation}")
        self._operations = operations
        self._keys = keys
        self._clock = clock
        self._region = region
        self._observe = observe

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request; always with an answer of the service that is asked."""
        exchange = _exchange(scope, receive)
        sender = Sender(
            send,
            exchange.incoming,
            head=exchange.sent.method == "HEAD",
            send_file=scope.get("extensions", {}).get(FILES),
        )
        if self._observe is None:
            await self._serve(exchange, sender)
            return
        began = time.perf_counter()
        try:
            await self._serve(exchange, sender)
        finally:
            seconds = time.perf_counter() - began
            self._observe(_answered(exchange, sender.status, seconds))

    async def _serve(self, exchange: _Exchange, sender: Sender) -> None:
        try:
            await sender.send(await self._answer(exchange))
        except RequestRejected as refusal:
            if sender.started:  # the connection ends here, which tells the client as much
                log.warning("an answer broke off", exc_info=refusal, extra=_traits(exchange))
            else:
                await sender.send(_refused(exchange, refusal))
        except StoreError as error:
            log.exception("a store failed", extra=_traits(exchange))
            if not sender.started:
                await sender.send(_refused(exchange, _internal(exchange, f"{error}.")))
        except Exception:  # the outermost edge: one request that fails must not end the others
            log.exception("a request failed unforeseen", extra=_traits(exchange))
            if not sender.started:
                why = "The server failed on this request."
                await sender.send(_refused(exchange, _internal(exchange, why)))

    async def _answer(self, exchange: _Exchange) -> HttpResponse:
        claim = sigv4.read(exchange.sent, seeming=exchange.service)
        if claim is not None:
            exchange.access_key = claim.access_key
            service = route.service_of(claim, exchange.sent.path)
            if service is None:
                raise _unknown_service(claim)
            exchange.service = service
        elif sigv2.carried(exchange.sent):
            exchange.service = "s3"
        elif exchange.service == "s3" and forms.is_form(
            exchange.sent.method, exchange.sent.headers
        ):
            return await self._answer_form(exchange)
        else:
            raise refusals.missing_token(exchange.service)
        model = load(exchange.service)
        if exchange.service == "s3" or claim is None:
            signed, operation, request = await self._take_s3(exchange, claim, model)
        else:
            signed, operation, request = await self._take(exchange, claim, model)
        return await self._carried_out(exchange, signed, operation, request)

    async def _answer_form(self, exchange: _Exchange) -> HttpResponse:
        """Carry out what a browser's form means: its policy is the signature."""
        sent, model = exchange.sent, load("s3")
        host = sent.headers.get("host", "")
        bucket = forms.bucket_of(unquote(route.path_style(host, sent.path)))
        form = await forms.read(aiter(exchange.incoming), sent.headers["content-type"])
        access_key = policy.access_key(form.fields)
        exchange.key = key = await self._keys.find(access_key)
        allowed = policy.allowed(form.fields, bucket, key=key, now=self._clock())
        signed = sigv4.unsigned(access_key)
        headers = form.headers()
        request = HttpRequest(
            method="PUT",
            path=form.path(bucket),
            headers=headers,
            stream=Payload(form.file(allowed), headers, signed),
        )
        operation = self._told(model, request)
        put = await self._carried_out(exchange, signed, operation, request)
        return form.answer(put, bucket, host)

    async def _carried_out(
        self, exchange: _Exchange, signed: sigv4.Signed, operation: str, request: HttpRequest
    ) -> HttpResponse:
        model = load(exchange.service)
        exchange.operation, exchange.access_key = operation, signed.access_key
        check_allowed(exchange.key, exchange.service, operation)
        carry_out = self._operations[exchange.service, operation]
        call = Call(
            service=exchange.service,
            operation=operation,
            params=protocols.parse(model, operation, request),
            region=signed.region or self._region,
            access_key=signed.access_key,
            request_id=exchange.request_id,
            headers=exchange.sent.headers,
            host=exchange.sent.headers.get("host", ""),
            method=exchange.sent.method,
            gone=exchange.incoming.gone,
        )
        result = await carry_out(call)
        reply = result if isinstance(result, Reply) else Reply(result=result)
        return protocols.render(model, operation, reply, exchange.request_id)

    async def _take(self, exchange: _Exchange, claim: sigv4.Claim, model: ServiceModel) -> _Taken:
        """Read, then verify: these services sign the hash of the body."""
        limit = MOST_INVOCATION if model.name == "sagemaker-runtime" else MOST_BODY
        too_large = RequestRejected(
            "RequestEntityTooLargeException", f"The body has more than {limit} bytes.", 413
        )
        body = await gathered(exchange.incoming, limit=limit, refusal=too_large)
        sent = exchange.sent
        digest = sha256(body).hexdigest()
        exchange.key = key = await self._keys.find(claim.access_key)
        signed = sigv4.verify(claim, sent, digest, key=key, now=self._clock())
        if sent.headers.get("content-encoding") == "gzip" and model.protocol != "rest-json":
            body = inflated(body, limit=limit, refusal=too_large)
        request = HttpRequest(
            method=sent.method,
            path=sent.path,
            query=_decoded(sent.query),
            headers=sent.headers,
            body=body,
        )
        return signed, self._told(model, request), request

    async def _take_s3(
        self, exchange: _Exchange, claim: sigv4.Claim | None, model: ServiceModel
    ) -> _Taken:
        """Verify, then read: S3 signs a header that tells the hash, and payloads are large."""
        sent, now = exchange.sent, self._clock()
        access_key = sigv2.access_key(sent) if claim is None else claim.access_key
        exchange.key = key = await self._keys.find(access_key)
        signed = (
            sigv2.verify(sent, key=key, now=now)
            if claim is None
            else sigv4.verify(claim, sent, None, key=key, now=now)
        )
        headers = _without_framing(sent.headers)
        query = _decoded(sent.query)
        request = HttpRequest(
            method=sent.method,
            path=route.path_style(headers.get("host", ""), sent.path),
            query=query,
            headers=headers,
        )
        operation = self._told(model, request)
        # Where an upload is completed, these headers tell of the object it makes.
        of_body = not (sent.method == "POST" and any(name == "uploadId" for name, _ in query))
        payload = Payload(exchange.incoming, headers, signed, checksums=of_body)
        if protocols.streams(model, operation):
            return signed, operation, replace(request, stream=payload)
        too_large = RequestRejected("MaxMessageLengthExceeded", "Your request was too large.")
        body = await payload.whole(limit=MOST_XML, refusal=too_large)
        return signed, operation, replace(request, body=body)

    def _told(self, model: ServiceModel, request: HttpRequest) -> str:
        operation = protocols.operation_of(model, request)
        if operation is None:
            asked = request.headers.get("x-amz-target") or f"{request.method} {request.path}"
            raise unknown_operation(asked, model.protocol)
        if (model.name, operation) not in self._operations:
            raise not_offered(model.name, operation)
        return operation


def _exchange(scope: Mapping[str, Any], receive: Receive) -> _Exchange:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    sent = sigv4.Sent(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
    )
    empty = "transfer-encoding" not in headers and headers.get("content-length", "0") == "0"
    return _Exchange(
        sent=sent,
        incoming=Incoming(receive, empty=empty),
        request_id=_request_id(),
        service=route.seeming_service(sent),
    )


def _request_id() -> str:
    """Return 128 random bits in the form of a UUID, at a third of the price of ``uuid4``."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _decoded(query: str) -> tuple[tuple[str, str], ...]:
    return tuple(parse_qsl(query, keep_blank_values=True)) if query else ()


def _without_framing(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return ``headers`` without ``aws-chunked``, which S3 does not keep with the object."""
    encodings = headers.get("content-encoding")
    if encodings is None or "aws-chunked" not in encodings:
        return headers
    left = [one.strip() for one in encodings.split(",") if one.strip() != "aws-chunked"]
    rest = {name: value for name, value in headers.items() if name != "content-encoding"}
    return rest | {"content-encoding": ",".join(left)} if left else rest


def _refused(exchange: _Exchange, refusal: RequestRejected) -> HttpResponse:
    sent = exchange.sent
    model = load(exchange.service)
    return protocols.render_error(
        model, refusal, exchange.request_id, sent.path, method=sent.method
    )


def _unknown_service(claim: sigv4.Claim) -> RequestRejected:
    return RequestRejected(
        "UnknownOperationException",
        f"This request is signed for {claim.service!r}, which Trainshed does not speak for. "
        f"It does for {', '.join(route.BY_SIGNING_NAME)}.",
    )


def _internal(exchange: _Exchange, why: str) -> RequestRejected:
    return RequestRejected(
        "InternalError" if exchange.service == "s3" else "InternalFailure",
        f"{why} The server's log says more under {exchange.request_id}.",
        500,
    )


def _answered(exchange: _Exchange, status: int, seconds: float) -> Answered:
    return Answered(
        request_id=exchange.request_id,
        service=exchange.service,
        operation=exchange.operation,
        method=exchange.sent.method,
        path=exchange.sent.path,
        status=status,
        seconds=seconds,
        access_key=exchange.access_key,
    )


def _traits(exchange: _Exchange) -> dict[str, str]:
    return {
        "request_id": exchange.request_id,
        "service": exchange.service,
        "target": exchange.sent.headers.get("x-amz-target", ""),
        "method": exchange.sent.method,
        "path": exchange.sent.path,
    }

"""Which files hold the objects that a node on this machine reads.

::

    POST /agent/v1/nodes/{node_id}/objects        Authorization: Bearer <the node's report token>
      {"bucket": …, "prefix": …, "after": …}      a page of what begins so, behind a key
      {"bucket": …, "keys": […]}                  those of these that are there
    -> {"objects": [[key, size, ETag, seconds, file], …], "more": …}
     | {"missing": true}                          there is no such bucket

A node may know what its S3 key may read, as long as that is good. The files are the server's: they
can be read by whom the machine lets read them, and must never be written.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from trainshed.api.keys import JobsById
from trainshed.domain import keys, names
from trainshed.domain.errors import ObjectMissing, RequestRejected, StoreError
from trainshed.stores.objects.whereabouts import PAGE, Whereabouts
from trainshed.wire.payload import gathered

PATH: Final = "/agent/v1/nodes/{node_id}/objects"
_MOST_BYTES: Final = 4 << 20


class Files(Protocol):
    """The slice of the embedded store that knows files."""

    async def below(self, bucket: str, prefix: str, after: str) -> tuple[list[Whereabouts], bool]:
        """Return a page of objects behind the key ``after``, and whether more follow."""
        ...

    async def named(self, bucket: str, keys: Sequence[str]) -> list[Whereabouts]:
        """Return those of the objects that are there."""
        ...


class NearbyObjects:
    """The ASGI app behind ``PATH``."""

    def __init__(self, *, files: Files, records: JobsById, secret: str) -> None:
        """Tell nodes of running jobs, as ``records`` has them; tokens derive from ``secret``."""
        self._files = files
        self._records = records
        self._secret = secret
        self._router = Router([Route(PATH, self._answer, methods=["POST"])])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._router(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        node_id = request.path_params["node_id"]
        try:
            too_large = RequestRejected(
                "RequestTooLarge", f"a question has at most {_MOST_BYTES} bytes", 413
            )
            body = await gathered(request.stream(), limit=_MOST_BYTES, refusal=too_large)
            await self._admit(node_id, request.headers.get("authorization", ""))
            # Keys are any text, half characters too, which only JSON's escapes can spell.
            return Response(json.dumps(await self._told(body)), media_type="application/json")
        except RequestRejected as error:
            told = {"code": error.code, "message": error.message}
            return JSONResponse(told, status_code=error.status)
        except StoreError as error:
            told = {"code": "ServiceUnavailable", "message": str(error)}
            return JSONResponse(told, status_code=503)

    async def _admit(self, node_id: str, authorization: str) -> None:
        """Raise ``RequestRejected`` unless this is the node, and its job still runs."""
        expected = f"Bearer {names.report_token(self._secret, node_id)}"
        if not hmac.compare_digest(authorization.encode(), expected.encode()):
            raise RequestRejected(
                "AccessDeniedException",
                f"node {node_id} needs its own token: Authorization: Bearer <token>",
                401,
            )
        try:
            key = keys.node(node_id)
        except ValueError as error:
            raise RequestRejected("ResourceNotFound", f"{node_id}: {error}", 404) from error
        if not key.opens(await self._records.by_id(key.job_id)):
            raise RequestRejected("AccessDeniedException", f"the job of {node_id} is over", 403)

    async def _told(self, body: bytes) -> Mapping[str, Any]:
        bucket, prefix, after, wanted = _asked(body)
        try:
            if wanted is not None:
                found, more = await self._files.named(bucket, wanted), False
            else:
                found, more = await self._files.below(bucket, prefix, after)
        except ObjectMissing:
            return {"missing": True}
        return {"objects": found, "more": more}


def _asked(body: bytes) -> tuple[str, str, str, list[str] | None]:
    """Return bucket, prefix, after and keys (None when it is a prefix that is asked for)."""
    try:
        asked = json.loads(body)
        texts = [asked["bucket"], asked.get("prefix", ""), asked.get("after", "")]
        wanted = asked.get("keys")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _malformed() from error
    listed = wanted is None or (isinstance(wanted, list) and len(wanted) <= PAGE)
    if not listed or not all(isinstance(text, str) for text in [*texts, *(wanted or [])]):
        raise _malformed()
    return texts[0], texts[1], texts[2], wanted


def _malformed() -> RequestRejected:
    return RequestRejected(
        "ValidationException",
        f'ask {{"bucket": …, "prefix": …, "after": …}} or {{"bucket": …, "keys": [up to {PAGE}]}}',
        400,
    )

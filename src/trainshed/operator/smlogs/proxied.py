"""Calls to a server in the cluster, through the API server's proxy for Services.

The API server takes the Authorization header for itself, and passes none on; so these requests are
signed in their query. The Host header goes through as it was sent, and so do all others.

Sources: "Access Services Running on Clusters" (Kubernetes documentation); "Authenticating Requests:
Using Query Parameters" (Amazon S3 API Reference), which other services understand as well.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

from trainshed.client.api import Credentials
from trainshed.client.errors import ApiError, ServerUnreachable
from trainshed.operator.smlogs.cluster import Cluster
from trainshed.operator.smlogs.routes import Proxied
from trainshed.wire.canonical import (
    ALGORITHM,
    canonical_query,
    canonical_request,
    signature,
    signing_key,
)

_TARGETS: Final = {"sagemaker": "SageMaker", "logs": "Logs_20140328"}
_VALID: Final = 300
"""Seconds."""


@dataclass(slots=True, kw_only=True)
class ProxiedCalls:
    """``log_streams.Calls`` to a server behind a Service."""

    cluster: Cluster
    route: Proxied
    credentials: Credentials
    now: Callable[[], datetime]

    def call(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the operation's answer.

        Raises:
            ApiError: the server refused, or the API server would not pass it on.
            ServerUnreachable: the API server did not answer, or found nobody behind the Service.
        """
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "host": self.cluster.host,
            "x-amz-target": f"{_TARGETS[service]}.{operation}",
        }
        body = json.dumps(params or {}).encode()
        query = signed_query(self.credentials, service, headers, body, self.now())
        status, told, answer = self.cluster.send(f"{self.route.path}?{query}", headers, body)
        found = _parsed(answer)
        if status < 400:
            return found
        if found.get("kind") == "Status":  # the API server's own words
            message = str(found.get("message"))
            if status in {502, 503, 504}:
                raise ServerUnreachable(f"behind {self.route}: {message}")
            raise ApiError(str(found.get("reason") or status), message, status)
        code = str(found.get("__type") or told.get("x-amzn-errortype") or f"HTTP {status}")
        message = str(found.get("message") or found.get("Message") or "")
        raise ApiError(code.rpartition("#")[2].partition(":")[0], message, status)


def signed_query(
    credentials: Credentials,
    service: str,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
) -> str:
    """Return the query that signs a POST of ``body`` to ``/`` with these headers.

    Args:
        credentials: what to sign with.
        service: the signing name.
        headers: names in lower case, ``host`` among them; all are signed.
        body: the payload.
        now: UTC.
    """
    scope = f"{now:%Y%m%d}/{credentials.region}/{service}/aws4_request"
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    names = tuple(sorted(headers))
    fields = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(_VALID),
        "X-Amz-SignedHeaders": ";".join(names),
    }
    if credentials.token:
        fields["X-Amz-Security-Token"] = credentials.token
    query = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in fields.items())
    canonical = canonical_request(
        "POST",
        "/",
        canonical_query(query),
        (names, headers),
        payload_hash=sha256(body).hexdigest(),
    )
    key = signing_key(credentials.secret_key, f"{now:%Y%m%d}", credentials.region, service)
    return f"{query}&X-Amz-Signature={signature(key, stamp, scope, canonical)}"


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {"message": body[:200].decode("utf-8", "replace").strip()}
    return found if isinstance(found, dict) else {}

"""Where the server is that has a job's log, and with which keys it is asked.

The object may say it (``sageMakerEndpoint``). Else a Secret does, which who installs the operator
leaves beside it, or in the object's namespace::

    kind: Secret
    metadata: {name: trainshed-logs}
    stringData:
      service: trainshed              # the server's Service, reached through the API server
      namespace: trainshed-system     # where that is; by default where the Secret is
      port: "7070"
      scheme: http
      url: https://trainshed.example  # where it answers from outside; tried first
      AWS_ACCESS_KEY_ID: …            # keys that read
      AWS_SECRET_ACCESS_KEY: …
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from trainshed.client.errors import ApiError
from trainshed.operator.smlogs.cluster import Cluster, Forbidden

SECRET: Final = "trainshed-logs"  # noqa: S105 - a Secret's name
NAMESPACES: Final = ("trainshed-system", "sagemaker-k8s-operator-system")
"""Where the Secret is looked for besides the object's namespace, and what is typed."""
_PORTS: Final = {"http": 80, "https": 443}
_LABEL: Final = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_IN_CLUSTER: Final = re.compile(
    rf"(?P<service>{_LABEL})\.(?P<namespace>{_LABEL})(\.svc(\.[a-z0-9.-]+)?)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """An address that this machine may reach itself."""

    url: str

    def __str__(self) -> str:
        """Return it for people."""
        return f"the server at {self.url}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxied:
    """A Service in the cluster, which the API server reaches."""

    namespace: str
    service: str
    port: int
    scheme: str = "http"

    @property
    def path(self) -> str:
        """Where the API server takes requests for it."""
        prefix = "https:" if self.scheme == "https" else ""
        name = f"{prefix}{self.service}:{self.port}"
        return f"/api/v1/namespaces/{self.namespace}/services/{name}/proxy/"

    def __str__(self) -> str:
        """Return it for people."""
        return f"the Service {self.service} in {self.namespace} (through the API server)"


Route = Direct | Proxied


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the Secret says."""

    url: str = ""
    service: Proxied | None = None
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)


def told(secret: Mapping[str, Any]) -> Told:
    """Return what a Secret says.

    Raises:
        ValueError: its data is none, or its port is no number.
    """
    data = {name: _decoded(name, text) for name, text in (secret.get("data") or {}).items()}
    service = None
    if data.get("service"):
        port = data.get("port") or "7070"
        if not (port.isascii() and port.isdigit()):
            raise ValueError(f"port: {port!r} is no number")
        service = Proxied(
            namespace=data.get("namespace") or secret["metadata"]["namespace"],
            service=data["service"],
            port=int(port),
            scheme=data.get("scheme") or "http",
        )
    return Told(
        url=data.get("url", ""),
        service=service,
        access_key=data.get("AWS_ACCESS_KEY_ID", ""),
        secret_key=data.get("AWS_SECRET_ACCESS_KEY", ""),
        session_token=data.get("AWS_SESSION_TOKEN", ""),
    )


def _decoded(name: str, text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode().strip()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{name} is no text in base64") from error


def routes(endpoint: str, told: Told | None) -> list[Route]:
    """Return where to ask for a job of that ``sageMakerEndpoint``, in order.

    Args:
        endpoint: "" when the object names none; then it is the operator's, which the Secret tells.
        told: None when there is no Secret.
    """
    if is_amazons(endpoint):
        return []
    found: list[Route] = []
    if endpoint:
        found.append(in_cluster(endpoint) or Direct(url=endpoint.rstrip("/")))
        if told is not None and told.service and found[0] == told.service and told.url:
            found.insert(0, Direct(url=told.url.rstrip("/")))
    elif told is not None:
        if told.url:
            found.append(Direct(url=told.url.rstrip("/")))
        if told.service:
            found.append(told.service)
    return found


def in_cluster(url: str) -> Proxied | None:
    """Return the Service that a URL names; None when it may be any other host."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    found = _IN_CLUSTER.fullmatch(host)
    # "service.namespace" may as well be a host of the wide world: it must say ".svc".
    if found is None or ".svc" not in host:
        return None
    try:
        port = parts.port or _PORTS.get(parts.scheme, 80)
    except ValueError:
        return None
    return Proxied(
        namespace=found["namespace"], service=found["service"], port=port, scheme=parts.scheme
    )


def is_amazons(endpoint: str) -> bool:
    """Tell whether an endpoint is the cloud's own, whose logs are elsewhere."""
    host = urlsplit(endpoint).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))


def look_up(cluster: Cluster, namespace: str) -> tuple[Told | None, list[str]]:
    """Return what the Secret says, and why it could not be read where it may be.

    Args:
        cluster: asked in the object's namespace first.
        namespace: looked into before the usual ones; "" for none.

    Raises:
        ServerUnreachable: the API server does not answer.
    """
    troubles = []
    for place in dict.fromkeys([cluster.namespace, namespace, *NAMESPACES]):
        if not place:
            continue
        try:
            secret = cluster.get(f"/api/v1/namespaces/{place}/secrets/{SECRET}")
            return told(secret), []
        except Forbidden as error:
            troubles.append(str(error))
        except ApiError as error:
            if error.status != 404:
                troubles.append(str(error))
        except ValueError as error:
            troubles.append(f"the Secret {SECRET} in {place}: {error}")
    return None, troubles

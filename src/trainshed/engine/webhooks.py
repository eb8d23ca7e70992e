"""Posts what happened to an object to a webhook, in the words of Amazon S3's event messages.

Source: Amazon S3 User Guide, "Event message structure".
"""

import http.client
import json
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote_plus, urlsplit

from trainshed.domain.names import partition_of
from trainshed.stores.objects.events import TEST, Event

_TIMEOUT_S: Final = 10.0
_BUSY: Final = frozenset({408, 425, 429})
"""Answers that mean: not now."""
_OWNER: Final = "trainshed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Who is told."""

    name: str
    url: str = field(repr=False)
    """http or https. Often a secret itself: what is behind the host goes into no message."""
    token: str = field(default="", repr=False)
    """Sent as ``Authorization: Bearer …``; "" for none."""


class Unreachable(Exception):
    """Nobody took it; the webhook may be asked again later."""


class Refused(Exception):
    """The webhook does not want this event."""


def post(webhook: Webhook, event: Event) -> None:
    """Tell a webhook one event; return when it has answered 2xx.

    ``X-Trainshed-Event`` is the same whenever the same event is told again.

    Raises:
        Unreachable: it did not answer in time, or not now.
        Refused: it answered otherwise.
    """
    url = urlsplit(webhook.url)
    body = json.dumps(message(event)).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "trainshed",
        "X-Trainshed-Event": f"{event.n:016X}",
    }
    if webhook.token:
        headers["Authorization"] = f"Bearer {webhook.token}"
    connection = _connection(url.scheme, url.netloc)
    try:
        target = url.path or "/"
        connection.request("POST", f"{target}?{url.query}" if url.query else target, body, headers)
        answer = connection.getresponse()
        said = answer.read(200).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{url.hostname} does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status // 100 == 2:
        return
    text = f"{url.hostname} answered {answer.status} {answer.reason}: {said}"
    if answer.status >= 500 or answer.status in _BUSY:
        raise Unreachable(text)
    raise Refused(text)


def message(event: Event) -> dict[str, Any]:
    """Return what a webhook is told, as S3 writes it."""
    at = datetime.fromtimestamp(event.at, UTC)
    time = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
    request = f"{event.n:016X}"
    if event.name == TEST:
        return {
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": time,
            "Bucket": event.bucket,
            "RequestId": request,
            "HostId": _OWNER,
        }
    thing: dict[str, Any] = {
        "key": quote_plus(event.key.encode("utf-8", "surrogatepass"), safe="/")
    }
    if not event.name.startswith("ObjectRemoved"):
        thing |= {"size": event.size, "eTag": event.etag}
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": event.region,
        "eventTime": time,
        "eventName": event.name,
        "userIdentity": {"principalId": _OWNER},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": request, "x-amz-id-2": _OWNER},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": event.subscription,
            "bucket": {
                "name": event.bucket,
                "ownerIdentity": {"principalId": _OWNER},
                "arn": f"arn:{partition_of(event.region)}:s3:::{event.bucket}",
            },
            # Events of one key are told apart, and ordered, by it: compare as text.
            "object": {**thing, "sequencer": request},
        },
    }
    return {"Records": [record]}


def _connection(scheme: str, netloc: str) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(netloc, timeout=_TIMEOUT_S, context=context)
    return http.client.HTTPConnection(netloc, timeout=_TIMEOUT_S)

"""What passes between the wire and the operations: a call, and what is answered.

Members are named as in the service model. Python types by the model's type: structure ``dict``,
list ``list``, map ``dict``, string ``str``, integer/long ``int``, float/double ``float``, boolean
``bool``, timestamp ``datetime`` (aware, UTC), blob ``bytes``; a streaming blob is a ``Body`` on the
way in, and ``bytes``, a ``File`` or an async iterator of bytes on the way out.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


class Body(Protocol):
    """A request's payload, read once, decoded (no chunk framing) and checked while read.

    Iterating raises ``RequestRejected`` when the payload does not match what was signed or the
    checksum that was sent.
    """

    length: int | None
    """Bytes to expect, None when the client did not say."""
    trailers: Mapping[str, str]
    """Headers sent after the payload, lower-cased; complete once the iteration has ended."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the payload."""
        ...


@dataclass(frozen=True, slots=True)
class File:
    """A part of a file on disk, to be sent as a payload."""

    path: Path
    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One checked request, ready to be carried out."""

    service: str
    """The service's name in botocore: ``sagemaker``, ``logs``, ``s3``, ``sts``, ``iam``."""
    operation: str
    params: dict[str, Any]
    """Only members the model knows; what the model forbids has been refused."""
    region: str
    """From the credential scope; the server's own region when unsigned."""
    access_key: str | None
    """Who signed; None for a request without signature."""
    request_id: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Lower-cased, for what the model leaves out."""
    host: str = ""
    """The Host header, to build addresses the client can reach."""


@dataclass(slots=True, kw_only=True)
class Reply:
    """What an operation answers when the plain dict is not enough."""

    result: dict[str, Any]
    status: int | None = None
    """HTTP status; None for the model's own (200 unless it says otherwise)."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers."""

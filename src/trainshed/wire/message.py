"""What passes between the wire and the operations: a call, and what is answered.

Members are named as in the service model. Python types by the model's type: structure ``dict``,
list ``list``, map ``dict``, string ``str``, integer/long ``int``, float/double ``float``, boolean
``bool``, timestamp ``datetime`` (aware, UTC), blob ``bytes``; a streaming blob is a ``Body`` on the
way in, and ``bytes``, a ``File`` or an async iterator of bytes on the way out.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

_LONGEST_INVOCATION: Final = 128


class Body(Protocol):
    """A request's payload, read once and decoded (no chunk framing).

    Iterating raises ``RequestRejected`` when its length, its framing or the signature of a chunk is
    not right. Digests are computed by whoever reads it, beside the disk: the reader must hand them
    to ``check`` before it relies on the payload.
    """

    length: int | None
    """Bytes to expect, None when the client did not say."""
    trailers: Mapping[str, str]
    """Headers sent after the payload, lower-cased; complete once the iteration has ended."""

    digests: frozenset[str]
    """Those that were announced, as ``domain.digests`` names them; known before the first byte."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the payload."""
        ...

    def check(self, found: Mapping[str, bytes]) -> None:
        """Compare what was announced with the digests (all of ``digests``) of what came.

        Raises:
            RequestRejected: it is another payload than was meant.
        """
        ...


@dataclass(frozen=True, slots=True)
class File:
    """A part of a file on disk, to be sent as a payload."""

    path: Path
    offset: int
    length: int


async def stays() -> None:
    """Wait for a client that never goes away."""
    await asyncio.get_running_loop().create_future()


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
    method: str = ""
    """The request's, which may be another than the operation's: a form's is POST."""
    gone: Callable[[], Coroutine[Any, Any, None]] = stays
    """Returns once nobody waits for the answer any more; for what takes long. Ask it of a request
    whose payload is no stream."""

    @property
    def invocation(self) -> str:
        """What the client calls this request, "" when it does not say.

        AWS's clients name each call by ``amz-sdk-invocation-id``, and send the same name with every
        retry of it: the answer to the first may have been lost.
        """
        return self.headers.get("amz-sdk-invocation-id", "")[:_LONGEST_INVOCATION]


@dataclass(slots=True, kw_only=True)
class Reply:
    """What an operation answers when the plain dict is not enough."""

    result: dict[str, Any]
    status: int | None = None
    """HTTP status; None for the model's own (200 unless it says otherwise)."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers."""

"""Access keys of running jobs: derived from the server's secret, so that none has to be kept.

A key's id tells all that is to know of it, in the alphabet that access keys have::

    TSNODE3F9A0C11D2E4T1H2                  the agent of node algo-2, attempt 1
    TSCONTAINER3F9A0C11D2E4T1H2X1767272400  its container, until that second
    TSCONTAINER3F9A0C11D2E4T1H2             its container, as long as the job runs

An id can be made up by anybody; the secret that belongs to it only by who has the server's. A
container's key comes with a session token beside, as all of AWS's temporary keys do.

None of them outlives its job: see ``Key.opens``.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final

from trainshed.domain import names
from trainshed.domain.training import TrainingJob

LIFETIME: Final = timedelta(hours=1)
"""Of a container's short-lived key. AWS clients ask for the next one 10 to 15 minutes ahead."""

_ID: Final = re.compile(
    r"TS(?P<holder>NODE|CONTAINER)(?P<job>[0-9A-F]{12})T(?P<attempt>[1-9][0-9]{0,8})"
    r"H(?P<rank>[1-9][0-9]{0,5})(?:X(?P<until>[1-9][0-9]{0,10}))?",
    re.ASCII,
)
_SECRET_LENGTH: Final = 40
"""Characters; as many as AWS's have."""
_HOST: Final = "algo-"


class Holder(StrEnum):
    """Who signs with a key."""

    NODE = "NODE"
    """The agent: its key lasts until the job is over and its nodes are removed, so that it can
    deliver after any time that the server was away."""
    CONTAINER = "CONTAINER"
    """The user's program: its key ends with the job, and usually before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What the id of a job's access key says."""

    holder: Holder
    job_id: str
    attempt: int
    host: str
    expires: datetime | None = None
    """None: with the job. Whole seconds, UTC."""

    @property
    def id(self) -> str:
        """The access key id."""
        rank = self.host.removeprefix(_HOST)
        until = "" if self.expires is None else f"X{int(self.expires.timestamp())}"
        return f"TS{self.holder}{self.job_id.upper()}T{self.attempt}H{rank}{until}"

    def secret(self, server_secret: str) -> str:
        """Return the secret access key."""
        return _derived(server_secret, "secret-key", self.id)[:_SECRET_LENGTH]

    def token(self, server_secret: str) -> str:
        """Return the session token that must come along; "" for a key that has none."""
        if self.holder is Holder.NODE:
            return ""
        return _derived(server_secret, "session-token", self.id)

    def given(self, server_secret: str) -> dict[str, str]:
        """Return what its holder is given: ``access_key``, ``secret_key``, ``session_token``.

        The last one is left out where there is none.
        """
        secret, token = self.secret(server_secret), self.token(server_secret)
        given = {"access_key": self.id, "secret_key": secret}
        return {**given, "session_token": token} if token else given

    def expired(self, now: datetime) -> bool:
        """Tell whether its time is over."""
        return self.expires is not None and now >= self.expires

    def opens(self, job: TrainingJob | None) -> bool:
        """Tell whether the key is good for anything, as ``job``, the one it names, now stands.

        Args:
            job: None when there is no such job (any more).
        """
        if job is None or job.attempt is None or job.attempt.number != self.attempt:
            return False
        if self.host not in names.hosts(job.instance_count):
            return False
        if self.holder is Holder.NODE:
            return not (job.over and job.cleaned)
        return not (job.over or job.request.get("EnableNetworkIsolation"))


def read(access_key: str) -> Key | None:
    """Return what an access key's id says; None when it is not a job's.

    Nothing of it is proven: only whoever knows the secret was given the key.
    """
    found = _ID.fullmatch(access_key)
    if found is None:
        return None
    until = found["until"]
    return Key(
        holder=Holder(found["holder"]),
        job_id=found["job"].lower(),
        attempt=int(found["attempt"]),
        host=f"{_HOST}{found['rank']}",
        expires=datetime.fromtimestamp(int(until), UTC) if until else None,
    )


def node(node_id: str) -> Key:
    """Return the key of a node's agent.

    Raises:
        ValueError: ``node_id`` is no ``<job id>.<attempt>.<host>``.
    """
    job_id, attempt, host = node_id.split(".", 2)
    return Key(holder=Holder.NODE, job_id=job_id, attempt=int(attempt), host=host)


def container(node_id: str, expires: datetime | None = None) -> Key:
    """Return a key of a node's container; ``expires`` in whole seconds, None for with the job.

    Raises:
        ValueError: ``node_id`` is no ``<job id>.<attempt>.<host>``.
    """
    return replace(node(node_id), holder=Holder.CONTAINER, expires=expires)


READER: Final = "TSREADER"
"""Begins the id of a key that only reads; the id of the key that it comes from follows."""


def reader(access_key: str, secret_key: str) -> tuple[str, str]:
    """Return id and secret of the key that may only read, and belongs to a key of the server's own.

    Whoever has that one can make it without asking anybody, and with a shell's tools or a template
    engine's: the secret is the first 40 hex digits of the SHA-256 of
    ``trainshed-reader/<access key>/<secret key>``. There is no way back.
    """
    digest = sha256(f"trainshed-reader/{access_key}/{secret_key}".encode()).hexdigest()
    return f"{READER}{access_key}", digest[:_SECRET_LENGTH]


def _derived(server_secret: str, purpose: str, key_id: str) -> str:
    # No other derivation from the same secret has a text that begins so: see ``names``.
    text = f"{purpose}/{key_id}".encode()
    digest = hmac.digest(server_secret.encode(), text, "sha256")
    return urlsafe_b64encode(digest).decode().rstrip("=")

"""What an agent has seen on its node, as numbered facts.

The agent appends each fact to its journal (one JSON object a line) before it acts on it, and
reports it until the server has taken it. The server takes each number of a node once, so a
replay after any break changes nothing.

One line: ``{"n": 3, "at": 1767225600.123, "kind": "exited", "exit_code": 1}``. ``n`` counts
1, 2, 3, … per node of an attempt; ``at`` is seconds since the epoch.

============  =====================================================================
kind          further members
============  =====================================================================
started       ``runtime`` how the container will run; ``pid`` the agent's
pulling       the image is being fetched
image         ``id`` of the image that runs, ``digest`` it has in its registry ("" for none)
downloading
progress      ``files`` and ``bytes`` of its channels that the node has so far
training      ``at`` is when the container started
metrics       ``points``: list of [name, value, seconds since the epoch]
restored      ``files`` and ``bytes`` of checkpoints that were brought back, each checked
              against its manifest; ``newest`` when the newest of them was made (epoch), 0 for none
notice        the node is to be taken away: ``deadline`` when (epoch), 0 for as soon as its
              checkpoints are safe; ``reason``: why, for people
stopping      ``reason``: "asked", "max_runtime" or "notice"; ``began``: when it was to stop first
              (epoch), where a user's wish came over a notice
exited        ``exit_code`` 0-255 (128 + n for death by signal n); ``oom`` bool; ``over`` when
              it was over (epoch); ``reason``: why it failed, FailureReason's wording, "" when it
              did not
checkpoint    ``files`` and ``bytes`` that the node has stored of its checkpoints; ``kept_at``
              when it last did (epoch); ``since`` when the oldest change was made that waits
              too long to be kept, 0 when none does; ``trouble`` why, "" when nothing is wrong;
              ``interval``: the node's sync interval (see ``domain.late``)
uploading     ``message``: what the status should tell of it, "" or missing for nothing
ended         ``outcome``: an ``Outcome``; ``reason``: why it failed, "" when it did not
============  =====================================================================

Of ``progress`` and ``checkpoint`` only the last counts; the server keeps no others. Of ``notice``
the last counts too: each leaves less time than the one before.

``ended`` is always the last: everything the node made is then safe in the stores. A node that
fails before its container runs (bad input, nothing to execute) has no ``exited``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a fact tells."""

    STARTED = "started"
    PULLING = "pulling"
    IMAGE = "image"
    DOWNLOADING = "downloading"
    PROGRESS = "progress"
    RESTORED = "restored"
    NOTICE = "notice"
    TRAINING = "training"
    METRICS = "metrics"
    STOPPING = "stopping"
    EXITED = "exited"
    CHECKPOINT = "checkpoint"
    UPLOADING = "uploading"
    ENDED = "ended"


class Outcome(StrEnum):
    """How a node's part of a job ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    """The user's code or input; ``reason`` begins with AlgorithmError or ClientError."""
    STOPPED = "stopped"
    """The container was asked to stop (by a user, by MaxRuntime, because a peer failed)."""
    LOST = "lost"
    """The platform lost the container; ``reason`` begins with InternalServerError."""
    INTERRUPTED = "interrupted"
    """The node is being taken away: the container was not started, or was asked to stop; its
    checkpoints were kept, its results were not; ``reason`` is the notice's."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a journal."""

    n: int
    at: float
    kind: Kind
    detail: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> dict[str, Any]:
        """Return the JSON object that stands in the journal and goes over the wire."""
        return {"n": self.n, "at": self.at, "kind": self.kind.value, **self.detail}

    @classmethod
    def parse(cls, line: Mapping[str, Any]) -> "Fact":
        """Return the fact a journal line holds.

        Raises:
            ValueError: a member is missing, of a wrong type, or names no kind.
        """
        n, at = line.get("n"), line.get("at")
        if not isinstance(n, int) or isinstance(n, bool) or n < 1:
            raise ValueError(f"a fact needs n, a whole number from 1; found {n!r}")
        if not isinstance(at, (int, float)) or isinstance(at, bool):
            raise ValueError(f"fact {n} needs at, seconds since the epoch; found {at!r}")
        detail = {key: value for key, value in line.items() if key not in {"n", "at", "kind"}}
        return cls(n, float(at), Kind(line.get("kind", "")), detail)

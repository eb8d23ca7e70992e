"""Word to a node that it is to be taken away, as it is written into the node's folder.

Whoever takes the node writes it; the agent reads it. One JSON object with the members below, and
blanks behind it: its room is taken when the node is made, so a full disk keeps nobody from writing.
"""

import json
from dataclasses import asdict, dataclass
from typing import Final

SIZE: Final = 4096
"""Bytes of a notice, with the blanks behind it."""
_REASON: Final = 500
"""Longest reason: characters, of which each may be six bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """When a node is taken away, and why."""

    at: float
    """When it was given, in seconds since the epoch."""
    deadline: float
    """When the node is gone, whatever it does until then; 0 for once its checkpoints are safe."""
    reason: str
    """Why, for people."""

    def replaces(self, other: "Notice | None") -> bool:
        """Tell whether this one leaves the node less time than another does."""
        if other is None:
            return True
        return bool(self.deadline) and (not other.deadline or self.deadline < other.deadline)

    def to_bytes(self) -> bytes:
        """Return what stands in the file: ``SIZE`` bytes, the reason cut off where need be."""
        members = {**asdict(self), "reason": self.reason[:_REASON]}
        text = json.dumps(members, ensure_ascii=False).encode("utf-8", "backslashreplace")
        return text.ljust(SIZE - 1) + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> "Notice | None":
        """Return the notice in a file; None when there is none in it."""
        try:
            members = json.loads(data)
            return cls(
                at=float(members["at"]),
                deadline=float(members["deadline"]),
                reason=str(members["reason"]),
            )
        except (ValueError, TypeError, KeyError):
            return None

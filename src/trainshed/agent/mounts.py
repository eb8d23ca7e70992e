"""Folders of the machine that a container finds as channels, as they stand."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder that is a channel as it stands: nothing is copied."""

    channel: str
    source: str
    """A folder of this machine, or ``nfs://host/export/path``."""
    read_only: bool

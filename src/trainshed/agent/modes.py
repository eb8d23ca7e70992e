"""How each channel reaches the container: copied before it starts, or fed while it runs."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from trainshed.domain.plan import NodePlan


class Mode(StrEnum):
    """A channel's ``InputMode``."""

    FILE = "File"
    FAST_FILE = "FastFile"
    PIPE = "Pipe"


def mode_of(channel: Mapping[str, Any], plan: NodePlan) -> Mode:
    """Return what the request asks for: the channel's own mode, else the job's.

    Raises:
        ValueError: it names no mode.
    """
    return Mode(channel.get("InputMode") or plan.input_mode)

"""How each channel reaches the container: copied before it starts, or fed while it runs."""

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from trainshed.agent.node import Node
from trainshed.domain.plan import NodePlan

_FEEDS: Final = "feeds.json"


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


def fed(node: Node) -> Mapping[str, Mode]:
    """Return the channels that are fed while the container runs, by name: Pipe or FastFile.

    What ``bring_inputs`` decided before the container started; nothing, if it has not yet.
    """
    return fed_below(node.folder)


def fed_below(folder: Path) -> Mapping[str, Mode]:
    """Return what ``fed`` does, of the node with this folder."""
    try:
        told = json.loads((folder / _FEEDS).read_text())
    except FileNotFoundError:
        return {}
    return {name: Mode(mode) for name, mode in told.items()}


def decide_fed(node: Node, feeds: Mapping[str, Mode]) -> None:
    """Keep what ``fed`` returns from now on, for every agent of the node."""
    part = Path(f"{node.folder / _FEEDS}.part")
    part.write_text(json.dumps(feeds))
    part.replace(node.folder / _FEEDS)

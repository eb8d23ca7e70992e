"""Lays what the user's container finds at its start, besides its data.

That container starts by itself, at once when this has been done, and perhaps before the agent
beside it: so nothing may be left for later that it would miss.
"""

import contextlib
import os
from pathlib import PurePath
from typing import Final

from trainshed.agent.channels.modes import Mode, fed
from trainshed.agent.node import Node
from trainshed.agent.runtimes.toolkit import ANY_PYTHON, build
from trainshed.agent.runtimes.writable import WRITABLE, open_up
from trainshed.domain import pods
from trainshed.domain.container import ARCHIVE, code_archive

_READABLE: Final = 0o755
_FIFO: Final = 0o666


def lay_for_container(node: Node) -> None:
    """Lay the toolkit, the pipes that will be fed, and open what the container may write to.

    Raises:
        NodeOver: the toolkit can't be built.
    """
    _lay_pipes(node)
    if node.plan.script_mode:
        _lay_toolkit(node)
    open_up(node)


def _lay_pipes(node: Node) -> None:
    """Have the first epoch's pipe of each channel there: who opens it waits for who feeds it."""
    for name, mode in fed(node).items():
        if mode is Mode.PIPE:
            place = node.tree.data / f"{name}_0"
            with contextlib.suppress(FileExistsError):  # a channel's folder; who feeds it says so
                os.mkfifo(place)
                place.chmod(_FIFO)


def _lay_toolkit(node: Node) -> None:
    folder = node.folder / pods.TOOLKIT_FOLDER
    folder.mkdir(exist_ok=True)
    folder.chmod(_READABLE)
    build(folder / "train", ANY_PYTHON)
    if code_archive(node.plan):
        node.tree.code.mkdir(exist_ok=True)
        node.tree.code.chmod(WRITABLE)
        if node.source_archive.exists():
            laid = folder / PurePath(ARCHIVE).name
            part = laid.with_name(f"{laid.name}.part")
            part.unlink(missing_ok=True)
            os.link(node.source_archive, part)
            part.chmod(0o644)
            part.replace(laid)

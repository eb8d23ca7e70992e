"""Where ``CheckpointConfig.LocalPath`` is found by a container that shares this machine's root."""

import os
import sys
from pathlib import Path

from trainshed.agent.checkpoints.place import BadPlace, local_path
from trainshed.agent.node import Node, NodeOver
from trainshed.contract.tree import Tree
from trainshed.domain.facts import Outcome


def mount_of(node: Node) -> tuple[Path, str] | None:
    """Return what is to be bound where, so that the container finds its checkpoints.

    A place that is there stays as it is: it is hidden from the container alone. One that is not
    has to be made on this machine, unless it lies where the container has folders of its own.

    Returns:
        None when nothing is to be bound.

    Raises:
        NodeOver: it can't be bound there.
    """
    config = node.plan.request.get("CheckpointConfig")
    if not config:
        return None
    try:
        path = Path(local_path(config))
        if path == Tree().checkpoints:
            return None
        if not _is_own(path):
            path = Path(os.path.realpath(path))
            local_path({"LocalPath": str(path)})
            _see_that_it_hides_nothing(node, path)
            _make(node, path)
    except BadPlace as bad:
        raise NodeOver(Outcome.FAILED, f"ClientError: {bad}") from bad
    return node.tree.checkpoints, str(path)


def _is_own(path: Path) -> bool:
    """Tell whether the container's root is not this machine's at that place."""
    if path.parts[1] == "opt":
        return path.parts[2] == "ml" or not Path(*path.parts[:3]).exists()
    return not Path(*path.parts[:2]).exists()


def _see_that_it_hides_nothing(node: Node, path: Path) -> None:
    needed = [sys.prefix, sys.base_prefix, str(node.folder), node.plan.environment_path]
    for each in filter(None, needed):
        if Path(os.path.realpath(each)).is_relative_to(path):
            raise BadPlace(
                f"CheckpointConfig.LocalPath: {str(path)!r} would hide {each}, without which the "
                "job cannot run; name a folder of its own"
            )


def _make(node: Node, path: Path) -> None:
    if path.is_dir():
        return
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise BadPlace(
            f"CheckpointConfig.LocalPath: {str(path)!r} cannot be made on this machine "
            f"({error.strerror}); name another, such as {Tree().checkpoints}"
        ) from error
    node.log.say(f"checkpoints: the folder {path} was made on this machine, and stays empty there")

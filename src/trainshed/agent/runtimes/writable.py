"""Lets any user write where a job may write: an image's own user is not known outside of it."""

from pathlib import Path
from typing import Final

from trainshed.agent.node import Node

WRITABLE: Final = 0o777


def open_up(node: Node) -> None:
    """Have the container's folders be anybody's, before it starts."""
    tree = node.tree
    for folder in (tree.input, tree.model, tree.checkpoints, tree.output, tree.output_data):
        folder.chmod(WRITABLE)
    if tree.intermediate.is_dir():
        tree.intermediate.chmod(WRITABLE)
    if node.plan.warm_cache:
        Path(node.plan.warm_cache).chmod(WRITABLE)

"""Has the image on the machine, before data is brought for it."""

from trainshed.agent.node import Node
from trainshed.domain.facts import Kind


def fetch_image(node: Node) -> None:
    """Fetch what the container is made of; return at once when it has been started.

    Raises:
        NodeOver: the image can't be had, or the node was asked to stop.
    """
    if node.journal.last(Kind.TRAINING) is None:
        node.runtime.fetch(node)

"""Carries the results out, however the container ended."""

from trainshed.agent.node import Node, NodeOver
from trainshed.domain.errors import StoreError
from trainshed.domain.facts import Kind, Outcome
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Cancelled, StoreAway


def carry_out(node: Node) -> None:
    """Put what is in model/ and output/data where the request wants it. Repeatable.

    Raises:
        NodeOver: it can't be put there, or nobody wants it any more.
    """
    # 15 ms of tarfile and gzip, paid when the container has ended.
    from trainshed.agent.delivery import Delivery  # noqa: PLC0415

    node.journal.once(Kind.UPLOADING)
    # The container will not run twice, so what it made is held on to for as long as it takes: the
    # store may be a server that is down for the night.
    objects = RemoteObjects.for_node(
        node.plan,
        cancelled=lambda: node.stop.forgotten,
        hurried=lambda: node.stop.impatient,
        complain=node.log.say,
    )
    try:
        Delivery(node, objects).run()
    except Cancelled as cancelled:
        raise NodeOver(Outcome.STOPPED) from cancelled
    except StoreAway as away:
        raise NodeOver(Outcome.LOST, f"InternalServerError: {away}") from away
    except (StoreError, ValueError) as error:
        reason = f"ClientError: Artifact upload failed:{error}"
        raise NodeOver(Outcome.FAILED, reason) from error
    except OSError as error:
        reason = f"InternalServerError: the results could not be read: {error}"
        raise NodeOver(Outcome.LOST, reason) from error

"""Carries the results out, however the container ended."""

from trainshed.agent.node import Node, NodeOver
from trainshed.agent.outputs.unsent import end_unsent, ended_unsent
from trainshed.agent.verdict import ASKED, interrupted, note_stopping
from trainshed.agent.waiting import Endurance
from trainshed.contract import script_mode
from trainshed.domain.errors import StoreError
from trainshed.domain.facts import Kind, Outcome
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Cancelled, StoreAway


def keep_intermediate(node: Node) -> None:
    """Keep what the container wrote last to output/intermediate; repeatable, and never a failure.

    Not before its end is in the journal: the store may be away for a night.
    """
    if (
        script_mode.intermediate_output(node.plan.hyperparameters)
        and node.journal.last(Kind.EXITED) is not None
    ):
        # 5 ms of looking at files, which few jobs ask for.
        from trainshed.agent.outputs.intermediate import intermediate_of  # noqa: PLC0415
        from trainshed.agent.watching.ending import Ending  # noqa: PLC0415

        try:
            for each in intermediate_of(node, Ending()):
                each.conclude()
        except OSError as error:  # a full disk, on which the model lies
            node.log.say(f"output/intermediate: not all of it is kept: {error}")


def carry_out(node: Node) -> None:
    """Put what is in model/ and output/data where the request wants it. Repeatable.

    Raises:
        NodeOver: it can't be put there, or nobody wants it any more.
    """
    # 15 ms of tarfile and gzip, paid when the container has ended.
    from trainshed.agent.outputs.delivery import Delivery  # noqa: PLC0415

    if interrupted(node.journal):
        if not node.stop.asked:
            return  # the next attempt makes the results; the checkpoints are kept
        note_stopping(node.journal, ASKED)
    node.journal.once(Kind.UPLOADING)
    if (over := ended_unsent(node)) is not None:
        raise over

    def tell_of_waiting(what: str) -> None:
        node.log.say(f"the results wait on this node, and nothing of them is lost: {what}")
        node.journal.append(Kind.UPLOADING, message=f"The results wait: {what}")

    # The container will not run twice, so what it made is held on to for as long as it takes, or as
    # somebody stops the job: the store may be a server that is down for the night, or full.
    objects = RemoteObjects.for_node(
        node.plan,
        cancelled=lambda: node.stop.forgotten,
        hurried=Endurance(node).over,
        complain=tell_of_waiting,
    )
    try:
        delivery = Delivery(node, objects)
        delivery.run()
    except Cancelled as cancelled:
        raise NodeOver(Outcome.STOPPED) from cancelled
    except StoreAway as away:
        if node.stop.notice is not None and not node.stop.asked:
            node.log.say(f"the results were not stored before the node was taken away: {away}")
            raise NodeOver(Outcome.INTERRUPTED, node.stop.notice.reason) from away
        given_up = node.stop.asked and not node.stop.impatient
        stopped = "the job was stopped while its results waited: " if given_up else ""
        raise end_unsent(node, Outcome.LOST, f"InternalServerError: {stopped}{away}") from away
    except (StoreError, ValueError) as error:
        reason = f"ClientError: Artifact upload failed:{error}"
        raise end_unsent(node, Outcome.FAILED, reason) from error
    except OSError as error:
        reason = f"InternalServerError: the results could not be read: {error}"
        raise end_unsent(node, Outcome.LOST, reason) from error
    _tell_the_end(node, delivery.clashes_told())


def _tell_the_end(node: Node, message: str) -> None:
    """Replace what was told while the results waited."""
    told = node.journal.last(Kind.UPLOADING)
    before = str(told.detail.get("message", "")) if told else ""
    if message != before:
        node.journal.append(Kind.UPLOADING, message=message)

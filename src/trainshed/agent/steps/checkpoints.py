"""Brings checkpoints back before the container starts, and keeps the last ones after its end."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from trainshed.agent.checkpoints.place import BadPlace, local_path, place_of
from trainshed.agent.node import Node, NodeOver
from trainshed.domain.errors import StoreError
from trainshed.domain.facts import Kind, Outcome
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Cancelled, StoreAway

_PATIENCE_S: Final = 24 * 3600.0
"""As for inputs: a server may be down for a night."""
_BAD: Final = "ClientError: Checkpoint download failed:"


def restore_checkpoints(node: Node) -> None:
    """Bring all that lies under ``CheckpointConfig.S3Uri``; start over unless the container ran.

    Raises:
        NodeOver: it can't be brought, or the node was asked to stop.
    """
    config = node.plan.request.get("CheckpointConfig")
    if not config or node.journal.last(Kind.TRAINING) is not None:
        return
    node.journal.once(Kind.DOWNLOADING)
    node.reporter.start()
    try:
        _restore(node, config)
    except BadPlace as bad:
        raise NodeOver(Outcome.FAILED, f"ClientError: {bad}") from bad
    except Cancelled as cancelled:
        raise NodeOver(Outcome.STOPPED) from cancelled
    except StoreAway as away:
        raise NodeOver(Outcome.LOST, f"InternalServerError: {away}") from away
    except StoreError as error:
        raise NodeOver(Outcome.FAILED, f"{_BAD} {error}") from error


def keep_last_checkpoints(node: Node) -> None:
    """Keep what the container has left; repeatable, and no reason for a node to fail."""
    if node.plan.request.get("CheckpointConfig") and node.journal.last(Kind.EXITED) is not None:
        # 15 ms of loading, which a job without checkpoints never pays.
        from trainshed.agent.checkpoints.companion import Checkpoints  # noqa: PLC0415
        from trainshed.agent.watching.ending import Ending  # noqa: PLC0415

        Checkpoints(node, Ending()).conclude()


def _restore(node: Node, config: Mapping[str, Any]) -> None:
    # 5 ms of loading, which a job without checkpoints never pays.
    from trainshed.agent.checkpoints.kept import Kept  # noqa: PLC0415
    from trainshed.agent.checkpoints.restore import BadCheckpoint, Restore  # noqa: PLC0415

    place, seen_as = place_of(config), local_path(config)

    def cancelled() -> bool:
        return node.stop.called_off

    objects = RemoteObjects.for_node(
        node.plan,
        cancelled=cancelled,
        patience_s=_PATIENCE_S,
        complain=node.log.say,
    )
    folder = node.tree.checkpoints
    _empty(folder)
    kept = Kept(node.folder / "checkpoints.jsonl")
    kept.clear()
    # An image's own user is not known here.
    for_all = node.plan.runtime != "process"
    try:
        restored = Restore(place, objects, folder, kept, for_all=for_all, cancelled=cancelled).run()
    except BadCheckpoint as bad:
        raise NodeOver(Outcome.FAILED, f"{_BAD} {bad}") from bad
    finally:
        kept.close()
    for line in restored.told(f"of {place.folder} brought to {seen_as}"):
        node.log.say(f"checkpoints: {line}")
    node.journal.append(
        Kind.RESTORED, files=restored.files, bytes=restored.size, newest=restored.newest
    )


def _empty(folder: Path) -> None:
    """Remove what an agent that died has brought, perhaps in part."""
    entries = list(folder.iterdir())
    if not entries:
        return
    import shutil  # noqa: PLC0415 - 10 ms, and only after a crash

    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()

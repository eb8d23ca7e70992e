"""Brings the channels and the code in, before the container starts."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from trainshed.agent.channels.items import BadInput, source_of
from trainshed.agent.channels.modes import Mode, decide_fed, fed, mode_of
from trainshed.agent.channels.mounts import Mount, is_mounted, mounts_of
from trainshed.agent.node import Node, NodeOver
from trainshed.agent.steps.layout import is_for
from trainshed.contract import script_mode
from trainshed.domain.container import code_archive
from trainshed.domain.errors import StoreError
from trainshed.domain.facts import Kind, Outcome
from trainshed.stores.objects.addresses import parse
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Cancelled, StoreAway

_PATIENCE_S: Final = 24 * 3600.0
"""A server may be down for a night; an address where nobody will ever answer must end a job."""


def bring_inputs(node: Node) -> None:
    """Stage every File channel and the code archive, and decide which channels are fed instead.

    A second call goes on where the first one came to; none stages when the container began.

    Raises:
        NodeOver: a channel can't be brought in, or the node was asked to stop.
    """
    if node.journal.last(Kind.TRAINING) is not None:
        return
    group = node.plan.instance_group
    channels = [channel for channel in node.plan.channels if is_for(channel, group)]
    archive = _archive_address(node)
    if not channels and not archive:
        return
    try:
        mounts = mounts_of(node.plan)
        _see_that_they_can_be_had(node, mounts)
        staged = _decided(node, [channel for channel in channels if not is_mounted(channel)])
        if staged or archive:
            _stage(node, staged, archive)
    except Cancelled as cancelled:
        raise NodeOver(Outcome.STOPPED) from cancelled
    except BadInput as bad:
        raise NodeOver(Outcome.FAILED, str(bad)) from bad
    except StoreAway as away:
        raise NodeOver(Outcome.LOST, f"InternalServerError: {away}") from away
    except StoreError as error:
        raise NodeOver(Outcome.FAILED, f"ClientError: Data download failed:{error}") from error


def _decided(node: Node, channels: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the channels that are brought as files; keep which others are fed."""
    modes = {channel["ChannelName"]: _checked_mode(channel, node) for channel in channels}
    if Mode.FAST_FILE in modes.values() and (why := _no_view(node)):
        for name, mode in modes.items():
            if mode is Mode.FAST_FILE:
                modes[name] = Mode.FILE
                node.log.say(
                    f"channel {name}: FastFile is not possible here: {why}; its files are copied "
                    "first, as in File mode"
                )
    decide_fed(node, {name: mode for name, mode in modes.items() if mode is not Mode.FILE})
    return [channel for channel in channels if modes[channel["ChannelName"]] is Mode.FILE]


def _see_that_they_can_be_had(node: Node, mounts: Sequence[Mount]) -> None:
    """Refuse what this runtime can't mount, and make the folders that are mounted at."""
    for mount in mounts:
        if mount.is_remote and node.plan.runtime == "process":
            raise BadInput(
                f'ClientError: channel "{mount.channel}": processes of this machine cannot be '
                f"given {mount.source}; mount it on this machine and name its folder in "
                "file_systems, or use a backend with a container engine"
            )
        place = node.tree.channel(mount.channel)
        if not place.is_symlink():
            place.mkdir(parents=True, exist_ok=True)


def _checked_mode(channel: Mapping[str, Any], node: Node) -> Mode:
    mode = mode_of(channel, node.plan)
    if mode is not Mode.PIPE:
        _check_files(channel, mode, node)
    return mode


def _no_view(node: Node) -> str:
    """Return why this machine can't show channels as they lie in the store; "" when it can."""
    if Mode.FAST_FILE in fed(node).values():
        return ""  # it was possible for an agent before us, whose views may be there
    if node.runtime.no_views:
        return node.runtime.no_views
    # 60 ms of a trial mount, and 10 of what makes it.
    from trainshed.agent.feeding import mounting  # noqa: PLC0415

    return mounting.why_not(node.folder, shared=node.plan.runtime != "process")


def _check_files(channel: Mapping[str, Any], mode: Mode, node: Node) -> None:
    """Refuse the data type that Pipe mode alone has; say what else is not done in this mode."""
    name = channel["ChannelName"]
    source = (channel.get("DataSource") or {}).get("S3DataSource") or {}
    if source.get("S3DataType") == "AugmentedManifestFile":
        raise BadInput(
            f'ClientError: channel "{name}": S3DataType AugmentedManifestFile is supported with '
            f"the input mode Pipe only, not {mode}"
        )
    for member in ("CompressionType", "RecordWrapperType"):
        if (channel.get(member) or "None") != "None":
            node.log.say(
                f"channel {name}: {member} {channel[member]} is used in Pipe mode only, and this "
                f"is {mode}: its files stay as they are in the store"
            )


def _stage(node: Node, channels: list[Mapping[str, Any]], archive: str) -> None:
    node.journal.once(Kind.DOWNLOADING)
    node.reporter.start()
    # 14 ms, which a job without data never pays.
    from trainshed.agent.staging.files import Staging  # noqa: PLC0415

    with Staging(node, patience_s=_PATIENCE_S) as staging:
        if archive:
            _fetch_code(node, archive, staging.objects)
        for channel in channels:
            staging.bring(_as_fast_file(node, channel, staging.objects))


def _as_fast_file(
    node: Node, channel: Mapping[str, Any], objects: RemoteObjects
) -> Mapping[str, Any]:
    """Return a channel with the prefix that FastFile would give it, if that is what was asked."""
    if mode_of(channel, node.plan) is not Mode.FAST_FILE:
        return channel
    # Loaded by the channels that need it alone.
    from trainshed.agent.channels.prefix import as_folder  # noqa: PLC0415

    return {**channel, "DataSource": {"S3DataSource": as_folder(source_of(channel), objects)}}


def _archive_address(node: Node) -> str:
    """Return where the code archive lies; "" when it is a folder of the container, or none."""
    if not node.runtime.brings_code(node):
        return ""
    return code_archive(node.plan)


def _fetch_code(node: Node, named: str, objects: RemoteObjects) -> None:
    node.source_archive.unlink(missing_ok=True)
    try:
        objects.fetch(parse(named), node.source_archive)
    except ValueError as error:
        raise BadInput(f"ClientError: {script_mode.SUBMIT_DIRECTORY}: {error}") from error
    except OSError as error:
        raise BadInput(
            f"ClientError: Data download failed:{named} cannot be written to {node.folder}: "
            f"{error.strerror}"
        ) from error
    node.source_archive.chmod(0o644)

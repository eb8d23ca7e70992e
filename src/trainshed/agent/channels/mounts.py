"""Folders of the machine that a container finds as channels, as they stand.

What the service calls an EFS or FSx file system is a folder of this machine here, or what an NFS
server exports; the settings say which (``file_systems``).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from trainshed.agent.channels.items import BadInput
from trainshed.domain.plan import NodePlan

_ELSEWHERE: Final = ("nfs://", "pvc://")
"""What is mounted by the runtime, or by the place, and not found on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder that is a channel as it stands: nothing is copied."""

    channel: str
    source: str
    """A folder of this machine, ``nfs://host/export/path``, or ``pvc://claim/path``."""
    read_only: bool

    @property
    def is_remote(self) -> bool:
        """Whether it is none of this machine's."""
        return self.source.startswith(_ELSEWHERE)


def is_mounted(channel: Mapping[str, Any]) -> bool:
    """Tell whether a channel is a file system's folder, so that nothing is brought for it."""
    return bool((channel.get("DataSource") or {}).get("FileSystemDataSource"))


def mounts_of(plan: NodePlan) -> list[Mount]:
    """Return what of file systems the node's container finds.

    Raises:
        BadInput: a folder is not there, or lies outside of its file system.
    """
    return [_mount_of(channel, plan) for channel in plan.channels if is_mounted(channel)]


def _mount_of(channel: Mapping[str, Any], plan: NodePlan) -> Mount:
    name, source = channel["ChannelName"], channel["DataSource"]["FileSystemDataSource"]
    if name in {".", ".."}:
        raise BadInput(f'ClientError: "{name}" cannot be the name of a channel')
    found = plan.file_systems.get(source["FileSystemId"])
    if found is None:
        known = ", ".join(sorted(plan.file_systems)) or "none"
        raise BadInput(
            f'ClientError: channel "{name}": nothing stands for the file system '
            f"{source['FileSystemId']} here; known: {known} (the setting file_systems)"
        )
    read_only = source["FileSystemAccessMode"] != "rw"
    parts = _below(name, source)
    if found.startswith(_ELSEWHERE):
        return Mount(channel=name, source="/".join([found.rstrip("/"), *parts]),
                     read_only=read_only)  # fmt: skip
    return Mount(channel=name, source=_folder(name, found, parts), read_only=read_only)


def _below(name: str, source: Mapping[str, Any]) -> tuple[str, ...]:
    """Return ``DirectoryPath`` below the file system's top.

    FSx for Lustre names its own mount first, which stands for its top; EFS has none.
    Source: API reference of FileSystemDataSource.
    """
    path = source["DirectoryPath"]
    parts = tuple(part for part in PurePosixPath(path).parts if part != "/")
    if ".." in parts or "\0" in path:
        raise BadInput(
            f'ClientError: channel "{name}": DirectoryPath {path!r} leads out of its file system'
        )
    return parts[1:] if source["FileSystemType"] == "FSxLustre" else parts


def _folder(name: str, top: str, parts: tuple[str, ...]) -> str:
    """Return the folder of this machine, links followed, if it is there and below ``top``."""
    asked = os.path.join(top, *parts)  # noqa: PTH118 - text is bound, not a path of ours
    real, root = os.path.realpath(asked), os.path.realpath(top)
    if real != root and not real.startswith(root.rstrip("/") + "/"):
        raise BadInput(
            f'ClientError: channel "{name}": {asked} is a link that leads out of its file system'
        )
    if not os.path.isdir(real):  # noqa: PTH112
        raise BadInput(
            f'ClientError: channel "{name}": there is no folder {asked} on the machine where the '
            "job runs; make it, or correct DirectoryPath or the setting file_systems"
        )
    return real

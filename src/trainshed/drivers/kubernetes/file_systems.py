"""Channels that are folders of file systems: which volumes stand for them in a pod. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from lightkube.models.core_v1 import (
    NFSVolumeSource,
    PersistentVolumeClaimVolumeSource,
    Volume,
    VolumeMount,
)

from trainshed.contract.tree import Tree
from trainshed.domain.errors import DriverError
from trainshed.domain.plan import NodePlan
from trainshed.drivers.kubernetes.options import KubernetesBackend

_CLAIM: Final = "pvc://"
_NFS: Final = "nfs://"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A channel that the user's container finds mounted; nothing is brought for it."""

    name: str
    source: str
    """``pvc://claim`` or ``nfs://host/export``."""
    folder: str
    """Below its top; "" for the top."""
    read_only: bool

    @property
    def volume(self) -> str:
        """The name of its volume: channels of one file system share one."""
        return f"fs-{hashlib.sha256(self.source.encode()).hexdigest()[:12]}"

    def made(self) -> Volume:
        """Return the volume."""
        if self.source.startswith(_CLAIM):
            claim = PersistentVolumeClaimVolumeSource(claimName=self.source.removeprefix(_CLAIM))
            return Volume(name=self.volume, persistentVolumeClaim=claim)
        where = urlsplit(self.source)
        nfs = NFSVolumeSource(server=where.hostname or "", path=unquote(where.path) or "/")
        return Volume(name=self.volume, nfs=nfs)

    def mount(self) -> VolumeMount:
        """Return where the container finds it."""
        return VolumeMount(
            name=self.volume,
            mountPath=str(Tree().channel(self.name)),
            subPath=self.folder or None,
            readOnly=self.read_only,
        )


def channels(plan: NodePlan, options: KubernetesBackend) -> list[Channel]:
    """Return the channels of a plan that lie on file systems.

    Raises:
        DriverError: nothing stands for one of them, or its folder leads out of it.
    """
    known = sources(plan, options)
    found = []
    for each in plan.channels:
        asked = (each.get("DataSource") or {}).get("FileSystemDataSource")
        if asked:
            found.append(_channel(str(each["ChannelName"]), asked, known))
    return found


def sources(plan: NodePlan, options: KubernetesBackend) -> dict[str, str]:
    """Return what stands for each FileSystemId: the backend's word, then what any place reaches."""
    anywhere = {name: found for name, found in plan.file_systems.items() if found.startswith(_NFS)}
    return {**anywhere, **options.file_systems}


def as_agents_see(plan: NodePlan, options: KubernetesBackend) -> NodePlan:
    """Return the plan with what stands for file systems in the pod."""
    return replace(plan, file_systems=sources(plan, options))


def _channel(name: str, asked: Mapping[str, Any], known: Mapping[str, str]) -> Channel:
    source = known.get(asked["FileSystemId"])
    if source is None:
        raise DriverError(
            f'channel "{name}": nothing stands for the file system {asked["FileSystemId"]} on this '
            f"cluster; known: {', '.join(sorted(known)) or 'none'} (file_systems of the backend)"
        )
    path = str(asked["DirectoryPath"])
    parts = tuple(part for part in PurePosixPath(path).parts if part != "/")
    if ".." in parts or name in {".", ".."}:
        raise DriverError(f'channel "{name}": {path!r} leads out of its file system')
    # FSx for Lustre names its own mount first, which stands for its top; EFS has none.
    # Source: API reference of FileSystemDataSource.
    below = parts[1:] if asked["FileSystemType"] == "FSxLustre" else parts
    return Channel(
        name=name,
        source=source,
        folder="/".join(below),
        read_only=asked["FileSystemAccessMode"] != "rw",
    )

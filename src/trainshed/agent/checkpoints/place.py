"""Where a job's checkpoints are: in the store, and in the container. No I/O."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from trainshed.contract.tree import Tree
from trainshed.stores.objects.addresses import Address, parse

OWN: Final = ".trainshed"
"""The folder below S3Uri where manifests are; no job's own files are kept or found there."""
_NAMED: Final = 5
"""Files that are named where there are many."""
_SYSTEM: Final = ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run",
                  "sbin", "sys", "usr")  # fmt: skip
"""Folders of the root without which no program runs."""


class BadPlace(ValueError):
    """Checkpoints can't be kept where the request wants them; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Place:
    """``CheckpointConfig.S3Uri``, which is a folder: a neighbour's name may begin alike."""

    folder: Address

    @property
    def prefix(self) -> Address:
        """What all objects of the place begin with."""
        key = self.folder.key.rstrip("/")
        if self.folder.scheme == "file" or not key:
            return self.folder.at(key or self.folder.key)
        return self.folder.at(f"{key}/")

    def at(self, path: str) -> Address:
        """Return the address of a file by its path below the container's folder."""
        return self.folder.joined(path)

    @property
    def manifests(self) -> Address:
        """What the addresses of all manifests begin with."""
        folder = self.folder.joined(OWN)
        return folder if folder.scheme == "file" else folder.at(f"{folder.key}/")

    def manifest(self, host: str) -> Address:
        """Return where a host tells what it has kept."""
        return self.folder.joined(OWN, f"{host}.json")

    def storing(self, host: str) -> Address:
        """Return where a host tells what it is about to store."""
        return self.folder.joined(OWN, f"{host}.storing")

    def path_of(self, key: str) -> str:
        """Return where an object goes below the container's folder; "" for a folder's marker.

        Raises:
            BadPlace: it can't lie in a folder.
        """
        head = self.folder.key.rstrip("/")
        path = key[len(head) + 1 :] if head or self.folder.scheme == "file" else key
        if not path:
            return ""
        if _is_bad(path.removesuffix("/")):
            raise BadPlace(
                f"the object {self.folder.at(key)} cannot be a file below a folder, because of an "
                "empty, '.' or '..' part in its name; delete or rename it"
            )
        return "" if path.endswith("/") else path


def place_of(config: Mapping[str, Any]) -> Place:
    """Return the place that a ``CheckpointConfig`` names.

    Raises:
        BadPlace: it is no address, or one that no folder can have.
    """
    try:
        address = parse(config["S3Uri"])
    except ValueError as error:
        raise BadPlace(f"CheckpointConfig.S3Uri: {error}") from error
    if address.scheme != "file" and ("//" in address.key or address.key.startswith("/")):
        raise BadPlace(
            f"CheckpointConfig.S3Uri: {address} has '//' in its key, which no folder can have"
        )
    return Place(address)


def local_path(config: Mapping[str, Any]) -> PurePosixPath:
    """Return where the container finds its checkpoints.

    Raises:
        BadPlace: it is not absolute, or something else lies there.
    """
    text = str(config.get("LocalPath") or Tree().checkpoints)
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts or "\0" in text:
        raise BadPlace(f"CheckpointConfig.LocalPath: {text!r} is no absolute path of a folder")
    path = PurePosixPath("/", *path.parts[1:])
    tree = Tree()
    taken = (tree.base, tree.input, tree.model, tree.output, tree.warm_pool_cache)
    within = any(path.is_relative_to(each) for each in (tree.input, tree.output))
    over = any(PurePosixPath(each).is_relative_to(path) for each in taken)
    if within or over or len(path.parts) < 2 or path.parts[1] in _SYSTEM:
        raise BadPlace(
            f"CheckpointConfig.LocalPath: {text!r} belongs to the system or the platform; name a "
            f"folder of its own, such as {tree.checkpoints}"
        )
    return path


def listed(paths: Collection[str]) -> str:
    """Return some paths as words; of many, only the first."""
    first = ", ".join(sorted(paths)[:_NAMED])
    return first if len(paths) <= _NAMED else f"{first} and {len(paths) - _NAMED} more"


def _is_bad(path: str) -> bool:
    return bool({"", ".", ".."} & set(path.split("/"))) or "\0" in path

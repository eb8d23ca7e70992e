"""What a job made, by paths: ``model/…`` and ``output/…`` in their archives, ``checkpoints/…``."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from trainshed.client import fetch, members
from trainshed.client.api import Api
from trainshed.client.download import Download, bring, prefix_of, unwritable
from trainshed.client.errors import ApiError, ClientError
from trainshed.client.stores import Stores

GROUPS: Final = ("model", "output", "checkpoints")
"""What paths begin with; one that begins with none of them is in the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One of the things a job makes: an archive, or all objects below a prefix."""

    name: str
    uri: str
    """Ends with ``/`` where it is a prefix."""
    size: int
    """Bytes in the store."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a job made."""

    path: str
    """Begins with its group's name."""
    size: int
    """Bytes, unpacked."""


def groups(api: Api, job: Mapping[str, Any]) -> Iterator[Group]:
    """Yield what the job has made so far."""
    for name in GROUPS:
        uri = _uri(job, name)
        if not uri:
            continue
        with suppress(_Missing):
            yield Group(name=name, uri=uri, size=_size(api, uri))


def files(api: Api, group: Group) -> Iterator[Artifact]:
    """Yield the files of a group; an archive is read to its end for that.

    Raises:
        ClientError: the archive is broken.
    """
    if not group.uri.endswith("/"):
        for name, size in members.members(api, group.uri):
            yield Artifact(f"{group.name}/{name}", size)
        return
    prefix = prefix_of(group.uri)
    for entry in Stores(api).entries(group.uri):
        if not entry.key.endswith("/"):
            yield Artifact(f"{group.name}/{entry.key.removeprefix(prefix)}", entry.size)


def contents(api: Api, job: Mapping[str, Any], path: str) -> Iterator[bytes | memoryview]:
    """Yield the content of one file, in pieces.

    Raises:
        ClientError: the job has no such file.
    """
    name, rest = split(path)
    uri = _uri(job, name)
    if not rest or not uri:
        raise _no_file(job, path)
    try:
        if not uri.endswith("/"):
            yield from members.contents(api, uri, rest)
            return
        yield from Stores(api).stream(uri + rest)
    except ApiError as error:
        if error.status != 404:
            raise
        raise _no_group(job, name) if not uri.endswith("/") else _no_file(job, path) from error


def bring_files(
    how: Download, job: Mapping[str, Any], paths: Sequence[str], into: Path
) -> list[Path]:
    """Bring files, folders or whole groups below ``into``, by their paths; return what came.

    An archive comes whole, is unpacked beside, and what was asked for takes its place.

    Args:
        how: from which server.
        job: DescribeTrainingJob's answer.
        paths: such as ``model/weights.bin``, ``checkpoints``; none for all but the checkpoints.
        into: made when missing.

    Raises:
        ClientError: one of them is not there.
    """
    wanted: dict[str, list[str]] = {}
    for name, rest in map(split, paths or [g.name for g in groups(how.api, job)][:2]):
        wanted.setdefault(name, []).append(rest)
    if not wanted:
        raise fetch.no_model(job)
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(into, error) from error
    found: list[Path] = []
    for name, rests in wanted.items():
        uri = _uri(job, name)
        if not uri:
            raise _no_group(job, name)
        found += _brought(how, job, Group(name=name, uri=uri, size=0), rests, into)
    return sorted(set(found))


def split(path: str) -> tuple[str, str]:
    """Return (group, path in it); the path is "" for the whole group."""
    plain = path.strip("/").removeprefix("./")
    name, _, rest = plain.partition("/")
    return (name, rest) if name in GROUPS else ("model", plain)


def _brought(
    how: Download, job: Mapping[str, Any], group: Group, rests: Sequence[str], into: Path
) -> list[Path]:
    place = into / group.name
    try:
        if group.uri.endswith("/"):
            return [
                path for rest in rests for path in _brought_objects(how, job, group, rest, place)
            ]
        if "" in rests:
            return fetch.fetch(how, group.uri, place)
        return _brought_members(how, job, group, rests, place)
    except ApiError as error:
        if error.status != 404:
            raise
        raise _no_group(job, group.name) from error


def _brought_objects(
    how: Download, job: Mapping[str, Any], group: Group, rest: str, place: Path
) -> list[Path]:
    if not rest:
        return fetch.fetch(how, group.uri, place)
    target = place / _inside(rest)
    with suppress(_Missing):
        _size(how.api, group.uri + rest)
        bring(how, group.uri + rest, target)
        return [target]
    try:
        return fetch.fetch(how, f"{group.uri}{rest}/", target)
    except ApiError as error:
        if error.status != 404:
            raise
        raise _no_file(job, f"{group.name}/{rest}") from error


def _brought_members(
    how: Download, job: Mapping[str, Any], group: Group, rests: Sequence[str], place: Path
) -> list[Path]:
    archive = place.parent / f".{PurePosixPath(group.uri).name}"
    bring(how, group.uri, archive)
    found: list[Path] = []
    try:
        with tempfile.TemporaryDirectory(prefix=".trainshed-", dir=place.parent) as scratch:
            unpacked = Path(scratch)
            fetch.unpack(archive, unpacked)
            for rest in rests:
                source, target = unpacked / _inside(rest), place / _inside(rest)
                if not source.is_symlink() and not source.exists():
                    raise _no_file(job, f"{group.name}/{rest}")
                found += _moved(source, target)
    finally:
        archive.unlink(missing_ok=True)
    return found


def _moved(source: Path, target: Path) -> list[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink() or not source.is_dir():
        source.replace(target)
        return [target]
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    return [
        target / path.relative_to(source)
        for path in source.rglob("*")
        if path.is_symlink() or not path.is_dir()
    ]


def _inside(rest: str) -> PurePosixPath:
    path = PurePosixPath(rest)
    if path.is_absolute() or ".." in path.parts:
        raise ClientError(f"{rest!r} is no path of an artifact", "trainshed artifacts ls JOB")
    return path


class _Missing(Exception):
    """Nothing is at an address."""


def _size(api: Api, uri: str) -> int:
    try:
        return Stores(api).size(uri)
    except ApiError as error:
        if error.status != 404:
            raise
        raise _Missing from error


def _uri(job: Mapping[str, Any], name: str) -> str:
    match name:
        case "model":
            return fetch.model_uri(job)
        case "output":
            return fetch.output_uri(job)
        case _:
            return fetch.checkpoints_uri(job)


def _no_group(job: Mapping[str, Any], name: str) -> ClientError:
    if name == "model":
        return fetch.no_model(job)
    title = job["TrainingJobName"]
    return ClientError(f"{title} has no {name}", f"trainshed artifacts ls {title}")


def _no_file(job: Mapping[str, Any], path: str) -> ClientError:
    name = job["TrainingJobName"]
    return ClientError(f"{name} has made no {path}", f"trainshed artifacts ls {name}")

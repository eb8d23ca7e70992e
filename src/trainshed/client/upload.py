"""Brings files and folders into a bucket, several at once, large files in parts."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainshed.client import objects
from trainshed.client.api import Api
from trainshed.client.errors import ApiError, ClientError, ServerUnreachable
from trainshed.client.objects import MAX_PARTS, PART, Progress

_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file or folder that is to be uploaded, counted beforehand so that progress has an end."""

    path: Path
    files: tuple[tuple[str, Path, int], ...]
    """(key below the prefix, file, bytes), sorted by key."""

    @property
    def size(self) -> int:
        """Bytes, all files together."""
        return sum(size for _, _, size in self.files)


def look(path: Path) -> Source:
    """Return what would be uploaded: every file below a folder, links followed, or the one file.

    Raises:
        ClientError: there is nothing at ``path``, or no file below it.
    """
    if path.is_file():
        return Source(path=path, files=((path.name, path, path.stat().st_size),))
    if not path.is_dir():
        raise ClientError(f"no file or folder is at {path}", "check the path")
    found = sorted(_walk(path, path, frozenset()))
    if not found:
        raise ClientError(f"the folder {path} holds no file", "check the path")
    return Source(path=path, files=tuple(found))


def send(
    api: Api, source: Source, *, bucket: str, prefix: str, progress: Progress, part: int = PART
) -> str:
    """Upload everything and return the address, ``s3://bucket/prefix/``.

    Args:
        api: the server.
        source: what ``look`` found.
        bucket: must exist.
        prefix: without a slash at its end.
        progress: told of bytes as they arrive.
        part: files above this size go up in parts of (at least) this size, in bytes.

    Raises:
        ClientError: a file changed meanwhile.
        ApiError, ServerUnreachable: as for any request. Nothing half-sent remains of a file.
    """
    with ThreadPoolExecutor(_AT_ONCE, "upload") as pool:
        waiting: list[Future[None]] = []
        for name, path, size in source.files:
            key = f"{prefix}/{name}"
            if size <= part:
                waiting.append(pool.submit(_send_whole, api, bucket, key, path, progress))
        try:
            for name, path, size in source.files:
                if size > part:
                    pieces = Pieces(path, size, max(part, -(-size // MAX_PARTS)))
                    _send_parts(api, pool, (bucket, f"{prefix}/{name}"), pieces, progress)
            for one in waiting:
                one.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return f"s3://{bucket}/{prefix}/"


@dataclass(frozen=True, slots=True)
class Pieces:
    """A file cut into parts of equal size, the last one shorter."""

    path: Path
    size: int
    length: int

    @property
    def count(self) -> int:
        """How many parts there are."""
        return -(-self.size // self.length)

    def read(self, index: int) -> bytes:
        """Return part ``index``, from 0.

        Raises:
            ClientError: the file is shorter than it was.
        """
        expected = min(self.length, self.size - index * self.length)
        with self.path.open("rb") as file:
            file.seek(index * self.length)
            body = file.read(expected)
        if len(body) != expected:
            raise ClientError(f"{self.path} changed while it was uploaded", "run it again")
        return body


def _send_whole(api: Api, bucket: str, key: str, path: Path, progress: Progress) -> None:
    body = path.read_bytes()
    objects.put(api, bucket, key, body)
    progress(len(body))


def _send_parts(
    api: Api,
    pool: ThreadPoolExecutor,
    place: tuple[str, str],
    pieces: Pieces,
    progress: Progress,
) -> None:
    bucket, key = place
    upload = objects.begin_parts(api, bucket, key)

    def send_one(index: int) -> str:
        body = pieces.read(index)
        etag = objects.put_part(api, bucket, key, upload, index + 1, body)
        progress(len(body))
        return etag

    parts = [pool.submit(send_one, index) for index in range(pieces.count)]
    try:
        etags = [one.result() for one in parts]
        objects.finish_parts(api, bucket, key, upload, etags)
    except BaseException:
        for one in parts:
            one.cancel()
        with suppress(ApiError, ServerUnreachable):
            objects.abort_parts(api, bucket, key, upload)
        raise


def _walk(root: Path, folder: Path, above: frozenset[Path]) -> Iterator[tuple[str, Path, int]]:
    real = folder.resolve()
    if real in above:
        return  # a link to a folder it lies in
    for entry in os.scandir(folder):
        path = folder / entry.name
        if entry.is_dir():
            yield from _walk(root, path, above | {real})
        elif entry.is_file():
            yield path.relative_to(root).as_posix(), path, entry.stat().st_size

"""The files of an image, asked of its engine without running anything of it.

A container is made of the image, never started, and removed again. Its files are asked for one by
one, for nothing is exported as a whole: images for GPUs are larger than many disks have room for.
"""

import base64
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from trainshed.agent.runtimes.docker.engine import Engine, EngineError, Stream

_EXECUTABLE: Final = 0o111
_DIRECTORY, _LINK = 1 << 31, 1 << 27
"""Bits of a file mode as the engine tells it. Source: Go's os.FileMode."""
_LINKS: Final = 16
"""How many links may follow one another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file or a folder of an image."""

    path: str
    """Where it lies, links followed."""
    executable: bool
    """False for folders."""
    size: int
    """Bytes."""


class ImageFiles:
    """The files of one image, while its container is there."""

    def __init__(self, engine: Engine, container: str) -> None:
        self._engine = engine
        self._path = f"/containers/{container}/archive"

    def find(self, path: str) -> Found | None:
        """Return the file or folder at an absolute path, links followed; None when there is none.

        Raises:
            EngineError: the engine does not say.
        """
        for _ in range(_LINKS):
            said = self._about(path)
            if said is None:
                return None
            mode = said["mode"]
            if not mode & _LINK:
                executable = bool(mode & _EXECUTABLE) and not mode & _DIRECTORY
                return Found(path=path, executable=executable, size=said["size"])
            path = str(PurePosixPath(path).parent / said["linkTarget"])
        return None

    def read(self, path: str) -> bytes:
        """Return what is in a file, all of it at once; nothing for what is no plain file.

        Raises:
            EngineError: the engine does not give it.
        """
        with (
            self._engine.stream("GET", self._path, path=path) as stream,
            # Piece by piece: of a folder all that is in it would come.
            tarfile.open(fileobj=_Reader(stream), mode="r|") as archive,
        ):
            member = archive.next()
            content = archive.extractfile(member) if member and member.isfile() else None
            return content.read() if content else b""

    def below(self, path: str, most: int) -> tuple[str, ...]:
        """Return the paths of files and links below a folder.

        Args:
            path: the folder.
            most: bytes of content that are passed over; what lies behind them is not listed.

        Raises:
            EngineError: the engine does not give them.
        """
        if self._about(path) is None:
            return ()
        names = []
        with self._engine.stream("GET", self._path, path=path) as stream:
            reader = _Reader(stream)
            with tarfile.open(fileobj=reader, mode="r|") as archive:
                for member in archive:
                    if not member.isdir():
                        names.append(str(PurePosixPath(path).parent / member.name))
                    if reader.count > most:
                        break
        return tuple(names)

    def _about(self, path: str) -> dict[str, Any] | None:
        """Return what the engine tells of a file, a link for itself; None when there is none."""
        try:
            headers = self._engine.head(self._path, path=path)
        except EngineError as error:
            if error.status == 404:
                return None
            raise
        said: dict[str, Any] = json.loads(base64.b64decode(headers["X-Docker-Container-Path-Stat"]))
        return said


@contextmanager
def opened(engine: Engine, image: str, labels: Mapping[str, str]) -> Iterator[ImageFiles]:
    """Yield the files of an image.

    Args:
        engine: where the image is.
        image: its id.
        labels: what the container bears that is made for this.

    Raises:
        EngineError: the container can't be made or removed.
    """
    body = {
        "Image": image,
        "Entrypoint": ["/"],  # never started; an engine makes no container without a command
        "Labels": dict(labels),
        "HostConfig": {"NetworkMode": "none"},
    }
    container = str(engine.post("/containers/create", body)["Id"])
    try:
        yield ImageFiles(engine, container)
    finally:
        engine.delete(f"/containers/{container}", force="true", v="true")


def described(engine: Engine, name: str) -> dict[str, Any] | None:
    """Return what an engine tells of an image; None when it has none of that name.

    Raises:
        EngineError: the name is none, or the engine does not say.
    """
    try:
        found: dict[str, Any] = engine.get(f"/images/{name}/json")
    except EngineError as error:
        if error.status == 404:
            return None
        raise
    return found


def architecture(engine: Engine) -> str:
    """Return what an engine's machine is built of, in the words of images, such as ``amd64``."""
    return str(engine.get("/version").get("Arch", ""))


class _Reader(io.RawIOBase):
    """A stream as a file that is read forwards."""

    def __init__(self, stream: Stream) -> None:
        self._pieces = iter(stream)
        self._rest = b""
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes; fewer only at the end."""
        parts, length = [self._rest], len(self._rest)
        while length < size and (piece := next(self._pieces, b"")):
            parts.append(piece)
            length += len(piece)
        data = b"".join(parts)
        self._rest = data[size:]
        self.count += min(size, length)
        return data[:size]

"""Looks into an image through the container engine, without running anything of it.

A container is created, its files are asked about one by one, and it is removed. Nothing is
exported as a whole: images for GPUs are larger than many disks have room for.
"""

import base64
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, Final

from trainshed.agent.runtimes.docker.engine import Engine, EngineError, Stream
from trainshed.client.errors import ClientError
from trainshed.client.lint import scripts
from trainshed.client.lint.command import Line, take_apart
from trainshed.client.lint.facts import Config, File, ImageFacts
from trainshed.client.lint.image import started

_READ: Final = 256 * 1024
"""Bytes of a script that are read; a larger file is no script."""
_LISTED: Final = 512 * 1024 * 1024
"""Bytes of /opt/ml that are passed over to list its files."""
_DIRECTORY: Final = 1 << 31
_LINK: Final = 1 << 27
"""Bits of a file's mode, as the engine's JSON has them (those of Go's FileMode)."""
_LINKS: Final = 16
_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where distributions keep the certificates of authorities."""


def look(engine: Engine, name: str) -> ImageFacts:
    """Return what the rules ask of an image.

    Raises:
        ClientError: the engine has no such image.
        EngineError: the engine said no.
    """
    try:
        found = engine.get(f"/images/{name}/json")
    except EngineError as error:
        if error.status != 404:
            raise
        raise ClientError(
            f"there is no folder and no image of the name {name}", f"docker pull {name}"
        ) from error
    with _created(engine, str(found["Id"])) as container:
        return _facts(_Files(engine, container), engine, found, name)


@contextmanager
def _created(engine: Engine, image: str) -> Iterator[str]:
    body = {
        "Image": image,
        "Entrypoint": ["/"],  # never started; an engine makes no container without a command
        "Labels": {"trainshed.lint": image},
        "HostConfig": {"NetworkMode": "none"},
    }
    container = str(engine.post("/containers/create", body)["Id"])
    try:
        yield container
    finally:
        engine.delete(f"/containers/{container}", force="true", v="true")


def _facts(files: "_Files", engine: Engine, found: Mapping[str, Any], name: str) -> ImageFacts:
    config = _config(found.get("Config") or {}, name)
    programs = {}
    for program in ("train", "python3", "mpirun", "sshd"):
        extra = ("/usr/sbin",) if program == "sshd" else ()  # it is started by its path
        if file := files.which(program, (*config.path, *extra)):
            programs[program] = file
    if "python3" not in programs and (file := files.which("python", config.path)):
        programs["python3"] = file
    start, missing = _start(files, config, programs.get("train"))
    python = programs.get("python3")
    version = None if python is None else _version(python.path)
    return ImageFacts(
        config=config,
        architecture=str(found.get("Architecture", "")),
        machine=str(engine.get("/version").get("Arch", "")),
        size=int(found.get("Size", 0)),
        programs=programs,
        start=start,
        missing=missing,
        interpreters=_interpreters(files, config, start),
        under_opt_ml=files.below("/opt/ml"),
        certificates=any(files.stat(path) for path in _BUNDLES),
        mpi4py=python is None or version is None or _mpi4py(files, python.path, version),
        python=version,
    )


def _config(found: Mapping[str, Any], name: str) -> Config:
    pairs = [text.partition("=") for text in found.get("Env") or ()]
    health = (found.get("Healthcheck") or {}).get("Test") or ["NONE"]
    return Config(
        entrypoint=tuple(found.get("Entrypoint") or ()),
        cmd=tuple(found.get("Cmd") or ()),
        user=found.get("User") or "",
        folder=found.get("WorkingDir") or "/",
        volumes=tuple(found.get("Volumes") or ()),
        ports=tuple(found.get("ExposedPorts") or ()),
        healthcheck=health != ["NONE"],
        stop_signal=found.get("StopSignal") or "",
        environment={key: value for key, _, value in pairs},
        name=name,
    )


def _start(files: "_Files", config: Config, train: File | None) -> tuple[File | None, str]:
    """Return the script that is process 1, and the path at which one is missing."""
    if not config.entrypoint:
        return (None, "") if train is None else (files.read(train), "")
    program = files.find(config.entrypoint[0], config)
    if program is None:
        return None, config.entrypoint[0]
    line = started(config.entrypoint)
    if not _names_a_file(line):
        return None, ""
    script = files.find(line.script, config)
    if script is not None:
        return files.read(script), ""
    # Below /opt/ml lies what the job brings; in a shell's text it may be anything.
    brought = str(PurePosixPath(config.folder, line.script)).startswith("/opt/ml")
    return None, "" if brought or take_apart(config.entrypoint).text else line.script


def _names_a_file(line: Line) -> bool:
    return bool(line.script) and not line.script.startswith("-")


def _interpreters(files: "_Files", config: Config, start: File | None) -> dict[str, bool]:
    text = (start.text if start else None) or ""
    path = scripts.interpreter_path(text)
    if not path:
        return {}
    found = {path: files.stat(path) is not None}
    words = scripts.first_line(text)[2:].split()[1:]
    if PurePosixPath(path).name == "env" and words and not words[0].startswith("-"):
        found[words[0]] = files.which(words[0], config.path) is not None
    return found


def _version(path: str) -> tuple[int, int] | None:
    found = re.search(r"(\d+)\.(\d+)$", path)
    return (int(found[1]), int(found[2])) if found else None


def _mpi4py(files: "_Files", python: str, version: tuple[int, int]) -> bool:
    prefix, name = PurePosixPath(python).parents[1], f"python{version[0]}.{version[1]}"
    folders = (
        f"{prefix}/lib/{name}/site-packages",
        f"/usr/local/lib/{name}/dist-packages",
        f"/usr/local/lib/{name}/site-packages",
        "/usr/lib/python3/dist-packages",
    )
    return any(files.stat(f"{folder}/mpi4py") for folder in folders)


class _Files:
    """The files of a container that was created and never started."""

    def __init__(self, engine: Engine, container: str) -> None:
        self._engine = engine
        self._path = f"/containers/{container}/archive"

    def stat(self, path: str) -> File | None:
        """Return the file or folder at a path, links followed; None when nothing is there."""
        for _ in range(_LINKS):
            try:
                header = self._engine.head(self._path, path=path)["X-Docker-Container-Path-Stat"]
            except EngineError as error:
                if error.status == 404:
                    return None
                raise
            found = json.loads(base64.b64decode(header))
            if not found["mode"] & _LINK:
                folder = bool(found["mode"] & _DIRECTORY)
                executable = bool(found["mode"] & 0o111) and not folder
                return File(path=path, executable=executable, size=found["size"])
            path = str(PurePosixPath(path).parent / found["linkTarget"])
        return None

    def which(self, name: str, folders: tuple[str, ...]) -> File | None:
        """Return the program that ``PATH`` finds; one that is not executable if no other is."""
        found = [file for folder in folders if (file := self.stat(f"{folder}/{name}"))]
        return next((file for file in found if file.executable), found[0] if found else None)

    def find(self, word: str, config: Config) -> File | None:
        """Return the file that a word of a command line names."""
        if "/" in word:
            return self.stat(str(PurePosixPath(config.folder, word)))
        return self.which(word, config.path) or self.stat(str(PurePosixPath(config.folder, word)))

    def read(self, file: File) -> File:
        """Return a file with its text, if it is one."""
        if file.size > _READ:
            return file
        with self._engine.stream("GET", self._path, path=file.path) as stream:
            data = b"".join(stream)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            member = archive.next()
            content = archive.extractfile(member) if member and member.isfile() else None
            raw = content.read() if content else b""
        if b"\0" in raw:
            return file
        text = raw.decode("utf-8", "replace")
        return File(path=file.path, executable=file.executable, size=file.size, text=text)

    def below(self, path: str) -> tuple[str, ...]:
        """Return the files and links below a folder; those of the first 512 MB."""
        if self.stat(path) is None:
            return ()
        names = []
        with self._engine.stream("GET", self._path, path=path) as stream:
            reader = _Reader(stream)
            with tarfile.open(fileobj=reader, mode="r|") as archive:
                for member in archive:
                    if not member.isdir():
                        names.append(str(PurePosixPath(path).parent / member.name))
                    if reader.count > _LISTED:
                        break
        return tuple(names)


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

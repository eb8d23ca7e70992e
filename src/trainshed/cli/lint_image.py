"""Gathers what ``trainshed lint`` asks of an image, without running anything of it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Final

from trainshed.agent.runtimes.docker import files
from trainshed.agent.runtimes.docker.engine import Engine
from trainshed.agent.runtimes.docker.files import ImageFiles
from trainshed.client.errors import ClientError
from trainshed.client.lint import scripts
from trainshed.client.lint.command import Line, take_apart
from trainshed.client.lint.facts import Config, File, ImageFacts
from trainshed.client.lint.image import started

_READ: Final = 256 * 1024
"""Bytes of a script that are read; a larger file is no script."""
_LISTED: Final = 512 * 1024 * 1024
"""Bytes of /opt/ml that are passed over to list its files."""
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
    found = files.described(engine, name)
    if found is None:
        raise ClientError(
            f"there is no folder and no image of the name {name}", f"docker pull {name}"
        )
    image, machine = str(found["Id"]), files.architecture(engine)
    with files.opened(engine, image, {"trainshed.lint": image}) as inside:
        return _facts(_Image(inside), found, _config(found.get("Config") or {}, name), machine)


def _facts(image: "_Image", found: Mapping[str, Any], config: Config, machine: str) -> ImageFacts:
    programs = {}
    for program in ("train", "python3", "mpirun", "sshd"):
        extra = ("/usr/sbin",) if program == "sshd" else ()  # it is started by its path
        if file := image.which(program, (*config.path, *extra)):
            programs[program] = file
    if "python3" not in programs and (file := image.which("python", config.path)):
        programs["python3"] = file
    start, missing = _start(image, config, programs.get("train"))
    python = programs.get("python3")
    version = None if python is None else _version(python.path)
    return ImageFacts(
        config=config,
        architecture=str(found.get("Architecture", "")),
        machine=machine,
        size=int(found.get("Size", 0)),
        programs=programs,
        start=start,
        missing=missing,
        interpreters=_interpreters(image, config, start),
        under_opt_ml=image.under_opt_ml(),
        certificates=any(map(image.has, _BUNDLES)),
        mpi4py=python is None or version is None or _mpi4py(image, python.path, version),
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


def _start(image: "_Image", config: Config, train: File | None) -> tuple[File | None, str]:
    """Return the script that is process 1, and the path at which one is missing."""
    if not config.entrypoint:
        return (None, "") if train is None else (image.read(train), "")
    program = image.find(config.entrypoint[0], config)
    if program is None:
        return None, config.entrypoint[0]
    line = started(config.entrypoint)
    if not _names_a_file(line):
        return None, ""
    script = image.find(line.script, config)
    if script is not None:
        return image.read(script), ""
    # Below /opt/ml lies what the job brings; in a shell's text it may be anything.
    brought = str(PurePosixPath(config.folder, line.script)).startswith("/opt/ml")
    return None, "" if brought or take_apart(config.entrypoint).text else line.script


def _names_a_file(line: Line) -> bool:
    return bool(line.script) and not line.script.startswith("-")


def _interpreters(image: "_Image", config: Config, start: File | None) -> dict[str, bool]:
    text = (start.text if start else None) or ""
    path = scripts.interpreter_path(text)
    if not path:
        return {}
    found = {path: image.has(path)}
    words = scripts.first_line(text)[2:].split()[1:]
    if PurePosixPath(path).name == "env" and words and not words[0].startswith("-"):
        found[words[0]] = image.which(words[0], config.path) is not None
    return found


def _version(path: str) -> tuple[int, int] | None:
    found = re.search(r"(\d+)\.(\d+)$", path)
    return (int(found[1]), int(found[2])) if found else None


def _mpi4py(image: "_Image", python: str, version: tuple[int, int]) -> bool:
    prefix, name = PurePosixPath(python).parents[1], f"python{version[0]}.{version[1]}"
    folders = (
        f"{prefix}/lib/{name}/site-packages",
        f"/usr/local/lib/{name}/dist-packages",
        f"/usr/local/lib/{name}/site-packages",
        "/usr/lib/python3/dist-packages",
    )
    return any(image.has(f"{folder}/mpi4py") for folder in folders)


class _Image:
    """Finds files in an image, and reads those that may be scripts."""

    def __init__(self, files: ImageFiles) -> None:
        self._files = files

    def has(self, path: str) -> bool:
        """Tell whether there is anything at a path."""
        return self._files.find(path) is not None

    def stat(self, path: str) -> File | None:
        """Return the file or folder at a path, links followed; None when nothing is there."""
        found = self._files.find(path)
        if found is None:
            return None
        return File(path=found.path, executable=found.executable, size=found.size)

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
        raw = self._files.read(file.path)
        return file if b"\0" in raw else replace(file, text=raw.decode("utf-8", "replace"))

    def under_opt_ml(self) -> tuple[str, ...]:
        """Return the files and links below ``/opt/ml``; those of the first 512 MB."""
        return self._files.below("/opt/ml", _LISTED)

"""Which programs an image has: looked up in its files, without running anything of it.

A container is made of the image and never started; where its files are is asked of the engine.
What was found is kept by the image's id, so each image is looked into once on a machine.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from trainshed.agent.runtimes.docker.engine import Engine, EngineError
from trainshed.agent.runtimes.docker.spec import Image
from trainshed.contract.tree import Tree

_PYTHONS: Final = ("python3", "python")
_EXECUTABLE: Final = 0o111
_LINKS: Final = 16
"""How many links may follow one another."""
_GO_DIR, _GO_LINK = 1 << 31, 1 << 27
"""Bits of a file mode as the engine tells it. Source: Go's os.FileMode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """What an image has on its ``PATH``; "" for what it has not."""

    train: str
    python: str
    """Its own Python, by the name that PATH finds first."""
    code: bool
    """Whether it has code of its own where script mode puts the user's."""


def look(
    engine: Engine, image: Image, folders: Sequence[str], cache: Path, labels: dict[str, str]
) -> Programs:
    """Return what an image has on its path.

    Args:
        engine: where the image is.
        image: it.
        folders: its path.
        cache: folder for what was found.
        labels: what the container bears that is made for this.

    Raises:
        EngineError: it can't be found out.
    """
    key = image.id.removeprefix("sha256:")
    kept = cache / "programs" / f"{key}.json"
    known = _kept_in(kept)
    path = ":".join(folders)
    if path in known:
        return Programs(**known[path])
    found = _looked_up(engine, image, folders, labels)
    kept.parent.mkdir(parents=True, exist_ok=True)
    unfinished = kept.with_name(f"{key}.{labels.get('trainshed.node', '')}.new")
    unfinished.write_text(json.dumps({**known, path: asdict(found)}))
    unfinished.replace(kept)
    return found


def _kept_in(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):  # a power cut may leave an empty file
        return {}
    return found


def _looked_up(
    engine: Engine, image: Image, folders: Sequence[str], labels: dict[str, str]
) -> Programs:
    body = {
        "Image": image.id,
        "Entrypoint": ["/"],  # never started; an engine makes no container without a command
        "Labels": labels,
        "HostConfig": {"NetworkMode": "none"},
    }
    container = str(engine.post("/containers/create", body)["Id"])
    try:
        return Programs(
            train=_first(engine, container, folders, ["train"]),
            python=_first(engine, container, folders, _PYTHONS),
            code=_about(engine, container, str(Tree().code)) is not None,
        )
    finally:
        engine.delete(f"/containers/{container}", force="true", v="true")


def _first(engine: Engine, container: str, folders: Sequence[str], names: Sequence[str]) -> str:
    for name in names:
        for folder in folders:
            path = f"{folder.rstrip('/')}/{name}"
            if _is_program(engine, container, path):
                return path
    return ""


def _is_program(engine: Engine, container: str, path: str) -> bool:
    for _ in range(_LINKS):
        said = _about(engine, container, path)
        if said is None:
            return False
        if not said["mode"] & _GO_LINK:
            return not said["mode"] & _GO_DIR and bool(said["mode"] & _EXECUTABLE)
        path = str(PurePosixPath(path).parent / said["linkTarget"])
    return False


def _about(engine: Engine, container: str, path: str) -> dict[str, Any] | None:
    """Return what the engine tells of a file; None when there is none."""
    try:
        headers = engine.head(f"/containers/{container}/archive", path=path)
    except EngineError as error:
        if error.status == 404:
            return None
        raise
    said: dict[str, Any] = json.loads(base64.b64decode(headers["X-Docker-Container-Path-Stat"]))
    return said

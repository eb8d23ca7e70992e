"""Which programs an image has: looked up in its files, without running anything of it.

What was found is kept by the image's id, so each image is looked into once on a machine.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from trainshed.agent.runtimes.docker import files
from trainshed.agent.runtimes.docker.engine import Engine
from trainshed.agent.runtimes.docker.spec import Image
from trainshed.contract.tree import Tree

_PYTHONS: Final = ("python3", "python")


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
    with files.opened(engine, image.id, labels) as inside:
        return Programs(
            train=_first(inside, folders, ["train"]),
            python=_first(inside, folders, _PYTHONS),
            code=inside.find(str(Tree().code)) is not None,
        )


def _first(inside: files.ImageFiles, folders: Sequence[str], names: Sequence[str]) -> str:
    for name in names:
        for folder in folders:
            path = f"{folder.rstrip('/')}/{name}"
            found = inside.find(path)
            if found is not None and found.executable:
                return path
    return ""

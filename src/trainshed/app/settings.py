"""What a server can be told: one file, read once. Everything has a default that works.

# trainshed.toml
account = "123456789012"
region = "eu-central-1"
file_roots = ["/data"]

[backends.local]
max_nodes = 8

[backends.local.images]
"*pytorch*" = "/opt/envs/torch"
"*" = "python"
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import msgspec

from trainshed.domain.errors import TrainshedError

DEFAULT_PORT: Final = 7070


class SettingsError(TrainshedError):
    """The settings file can't be used; the message says where and why."""


class LocalBackend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nodes that are processes of this machine."""

    max_nodes: Annotated[int, msgspec.Meta(ge=1)] = max(4, 2 * (os.cpu_count() or 1))
    """Nodes that may run at once; further jobs wait. A process without load costs little, so the
    default is twice the processors."""
    images: Annotated[dict[str, str], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: {"*": "python"}
    )
    """Image name pattern (``*`` and ``?``) to what runs in its place: a folder that holds
    ``bin/python`` (a virtual environment, a conda environment), an interpreter's path, or
    ``python``, the interpreter that runs this server. First match wins."""


class Backends(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configured places, by name."""

    local: LocalBackend = LocalBackend()


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a server can be told."""

    account: Annotated[str, msgspec.Meta(pattern=r"^\d{12}$")] = "123456789012"
    """The account id in ARNs."""
    region: Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] = "us-east-1"
    """The region that ``trainshed aws-env`` exports; requests for any other are served too."""
    file_roots: tuple[str, ...] = ()
    """Folders below which jobs may read and write ``file://`` addresses; none by default."""
    backends: Backends = Backends()


def load(path: Path | None) -> Settings:
    """Return the settings in ``path``, or the defaults when it is None.

    Raises:
        SettingsError: the file can't be read, is no TOML, or holds what no setting is.
    """
    if path is None:
        return Settings()
    try:
        settings = msgspec.toml.decode(path.read_bytes(), type=Settings)
    except OSError as error:
        raise SettingsError(f"settings file {path}: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {path}: {error}") from error
    for root in settings.file_roots:
        if not Path(root).is_absolute():
            raise SettingsError(f"settings file {path}: file_roots: {root!r} is not absolute")
    return settings


def interpreter(environment: str) -> str:
    """Return the path that an image's environment stands for (``python`` is this one)."""
    return sys.executable if environment == "python" else environment


def inherited_environment() -> dict[str, str]:
    """Return what the server was started with; jobs of the process runtime build on it."""
    return dict(os.environ)

"""Writes a backend into a settings file that people write: nothing else in it changes."""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainshed.app import kinds
from trainshed.app.kinds import Further
from trainshed.app.settings import SettingsError, load

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def table(name: str, kind: str, options: Mapping[str, Any]) -> str:
    """Return the backend's table as TOML."""
    lines = [f"[backends.{name}]", f"kind = {_value(kind)}"]
    return "\n".join([*lines, *(f"{_key(key)} = {_value(of)}" for key, of in options.items())])


def checked(name: str, kind: str, options: Mapping[str, Any]) -> Further:
    """Return the backend as the server would have it.

    Raises:
        SettingsError: it is none; the message says which option is wrong.
    """
    if name in kinds.OWN_NAMES:
        raise SettingsError(f"{name!r} is a name that has its kind already; choose another")
    try:
        return kinds.further({name: {"kind": kind, **options}})[name]
    except ValueError as error:
        raise SettingsError(str(error)) from error


def add_backend(path: Path, name: str, kind: str, options: Mapping[str, Any]) -> None:
    """Append the backend to the file, which is made when it is not there.

    Raises:
        SettingsError: the file can't be used, or has the backend already; it is as it was.
    """
    # Where the file is a link, what it points to is written.
    target = path.resolve()
    try:
        text = target.read_text() if target.exists() else ""
        known = tomllib.loads(text).get("backends", {})
    except (OSError, ValueError) as error:
        raise SettingsError(f"settings file {path}: {error}") from error
    if name in known:
        raise SettingsError(f"settings file {path} has a [backends.{name}] already")
    before = f"{text.rstrip()}\n\n" if text.strip() else ""
    _write(target, f"{before}{table(name, kind, options)}\n")


def _write(target: Path, text: str) -> None:
    """Write the file whole, once it was found to be good."""
    new = target.with_name(f".{target.name}.new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        load(new)
        new.replace(target)
    except OSError as error:
        raise SettingsError(f"settings file {target}: {error.strerror}") from error
    finally:
        new.unlink(missing_ok=True)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _value(of: Any) -> str:  # noqa: ANN401 - a value of TOML
    match of:
        case str() | bool() | int() | float():
            return json.dumps(of, ensure_ascii=False)  # TOML's own spelling of all four
        case Mapping():
            inside = ", ".join(f"{_key(str(name))} = {_value(each)}" for name, each in of.items())
            return f"{{ {inside} }}"
        case _:
            return f"[{', '.join(map(_value, of))}]"

"""Reads what is typed after options: durations, pairs, hyperparameters, data."""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import typer

from trainshed.client.order import CHANNEL_OPTIONS
from trainshed.domain import sizes

DEFAULT_CHANNEL: Final = "training"
"""The channel of data that comes without a name, as in the SageMaker SDK."""
A_HYPERPARAMETER: Final = "a hyperparameter like lr=0.1"

_PIECE = re.compile(r"(\d+(?:\.\d+)?)\s*(d|h|m|s)")
_UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_CHANNEL = re.compile(r"[A-Za-z0-9._-]{1,64}")


def duration(text: str) -> timedelta:
    """Return ``2h``, ``1d12h``, ``90m``, ``1.5h``, or plain seconds, in whole seconds.

    Raises:
        typer.BadParameter: it is none, or shorter than a second.
    """
    plain = text.strip().lower()
    pieces = _PIECE.findall(plain)
    if re.fullmatch(r"\d{1,9}", plain):
        seconds = float(plain)
    elif pieces and _PIECE.sub("", plain).strip() == "":
        seconds = sum(float(number) * _UNITS[unit] for number, unit in pieces)
    else:
        raise typer.BadParameter(f"{text!r} is no duration like 45s, 90m, 2h or 1d12h")
    if not 1 <= seconds < 1e9:
        raise typer.BadParameter(f"{text!r} is not between a second and 30 years")
    return timedelta(seconds=int(seconds))


def size(text: str) -> str:
    """Return a size of memory such as ``4g``; ``k`` is 1024, as for Docker.

    Raises:
        typer.BadParameter: it is none, or nothing.
    """
    try:
        sizes.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return text.strip()


def pairs(texts: Iterable[str], what: str) -> dict[str, str]:
    """Return ``key=value`` texts as a mapping; a later one wins.

    Raises:
        typer.BadParameter: a text has no ``=`` or nothing before it.
    """
    found = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise typer.BadParameter(f"{text!r} is not {what}")
        found[key] = value
    return found


def value(text: str) -> Any:  # noqa: ANN401
    """Return a hyperparameter's value: what JSON makes of the text, else the text itself."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text


def hyperparameters(texts: Iterable[str], arguments: Sequence[str]) -> dict[str, Any]:
    """Return ``k=v`` texts and a script's own ``--k v`` arguments as one mapping.

    Script mode hands hyperparameters to the script as ``--key value``, so that is all that can be
    said with arguments.

    Raises:
        typer.BadParameter: an argument is no ``--key value`` or ``--key=value``.
    """
    found = pairs(texts, A_HYPERPARAMETER)
    rest = list(arguments)
    while rest:
        key, sign, text = rest.pop(0).partition("=")
        if not key.startswith("-") or not key.strip("-"):
            raise typer.BadParameter(
                f"{key!r}: arguments reach the script as '--key value' pairs only"
            )
        if not sign:
            if not rest or (rest[0].startswith("--") and len(rest[0]) > 2):
                raise typer.BadParameter(f"{key!r} needs a value: write '{key} true'")
            text = rest.pop(0)
        found[key.lstrip("-")] = text
    return {key: value(text) for key, text in found.items()}


def data(texts: Iterable[str]) -> dict[str, str]:
    """Return ``name=PATH_OR_URI`` texts as channels; without a name it is ``training``.

    Raises:
        typer.BadParameter: a channel may not be called so, or two are called the same.
    """
    return {name: place for name, (place, _) in channels(texts).items()}


def channels(texts: Iterable[str]) -> dict[str, tuple[str, dict[str, str]]]:
    """Return ``name=PATH_OR_URI[:option=value,…]`` texts as channel to (place, options).

    Raises:
        typer.BadParameter: as for ``data``, or an option is none of ``CHANNEL_OPTIONS``.
    """
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for whole in texts:
        text, options = (whole, {}) if Path(whole).exists() else _options(whole)
        name, sign, place = text.partition("=")
        if not sign or "/" in name or Path(text).exists():
            name, place = DEFAULT_CHANNEL, text
        if not _CHANNEL.fullmatch(name) or not place:
            raise typer.BadParameter(f"{text!r} is not data like train=./data")
        if name in found:
            raise typer.BadParameter(f"the channel {name!r} is given twice")
        found[name] = place, options
    return found


def one_of(text: str, values: Sequence[str], what: str) -> str:
    """Return the one of ``values`` that was meant, whatever its case.

    Raises:
        typer.BadParameter: it is none of them.
    """
    for known in values:
        if known.lower() == text.lower():
            return known
    raise typer.BadParameter(f"{what} {text!r} is none of {', '.join(values)}")


def _options(text: str) -> tuple[str, dict[str, str]]:
    """Return a channel without its options, and those."""
    place, _, behind = text.rpartition(":")
    if not place or not re.match(r"[a-z]+=", behind) or "/" in behind:
        return text, {}  # the colon is one of the path's or the address's own
    found = pairs(behind.split(","), "an option like mode=Pipe")
    for option, given in found.items():
        if option not in CHANNEL_OPTIONS:
            known = ", ".join(CHANNEL_OPTIONS)
            raise typer.BadParameter(f"{text!r}: no option is called {option!r}, only {known}")
        if CHANNEL_OPTIONS[option]:
            found[option] = one_of(given, CHANNEL_OPTIONS[option], f"{option} of {place}:")
    if "shuffle" in found and not re.fullmatch(r"[0-9]{1,18}", found["shuffle"]):
        raise typer.BadParameter(f"shuffle of {place}: {found['shuffle']!r} is no whole number")
    return place, found


def metrics(texts: Iterable[str]) -> dict[str, str]:
    """Return ``name=regex`` texts as metric definitions.

    Raises:
        typer.BadParameter: an expression cannot be compiled, or has no group for the value.
    """
    found = pairs(texts, "a metric like loss=loss=([0-9.]+)")
    for name, regex in found.items():
        try:
            groups = re.compile(regex).groups
        except re.error as error:
            raise typer.BadParameter(f"{regex!r} of {name}: {error}") from error
        if not groups:
            raise typer.BadParameter(f"{regex!r} of {name} has no (group) around the value")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(constant)

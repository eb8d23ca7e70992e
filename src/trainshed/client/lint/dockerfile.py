"""Reads what a Dockerfile says about how its image starts, and what it copies there.

Own code: the library for it on PyPI (dockerfile-parse, last released in 2023) knows no heredocs and
tells no line of a stage's instruction. Only what a rule asks for is read: the last stage, and the
stages of the same file it builds on. What the base image says is not known.

Source: Dockerfile reference (parser directives, escapes, heredocs, environment replacement, shell
and exec form).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from trainshed.client.lint.facts import Config

_DIRECTIVE = re.compile(r"#\s*(\w+)\s*=\s*(\S+)\s*$")
_HEREDOC = re.compile(r"<<(-?)([\"']?)([A-Za-z_][A-Za-z0-9_]*)\2")
_VARIABLE = re.compile(
    r"\\\$|\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?:(?P<sign>:[-+])(?P<other>[^}]*))?\})"
)
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""", re.DOTALL)
_QUOTED = re.compile(r"""\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'""", re.DOTALL)
_REPLACED: Final = frozenset(
    {"ADD", "COPY", "ENV", "EXPOSE", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
)
"""Instructions in which variables are replaced before they are carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction, its lines joined."""

    line: int
    """Number of its first line."""
    name: str
    """In capitals."""
    text: str
    heredoc: bool = False
    """Whether lines that follow are its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One COPY or ADD."""

    line: int
    sources: tuple[str, ...]
    target: str
    """Absolute; ends in ``/`` when it is certainly a folder."""
    stage: str = ""
    """``--from``; "" when it is the folder of the Dockerfile."""
    mode: str = ""
    """``--chmod``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a Dockerfile's last stage says."""

    base: str
    """The image it is built from; "" when there is no FROM."""
    config: Config
    copies: tuple[Copy, ...] = ()
    runs: tuple[str, ...] = ()
    """The texts of RUN."""

    def sources_of(self, path: str) -> Iterator[str]:
        """Yield where a file of the image may come from, relative to the Dockerfile's folder.

        The last copy comes first, for it wins.
        """
        for copy in reversed(self.copies):
            if not copy.stage:
                yield from _origins(copy, PurePosixPath(path))


@dataclass(slots=True, kw_only=True)
class _Stage:
    """A stage while it is read."""

    base: str
    values: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    """Instruction to its text; the last one counts."""
    own: set[str] = field(default_factory=set)
    """Instructions that stand in this stage itself."""
    places: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    volumes: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)


def read(text: str, name: str = "Dockerfile") -> Recipe:
    """Return what a Dockerfile says; what is not understood is passed over.

    Args:
        text: its content.
        name: what places are called by.
    """
    stages: dict[str, _Stage] = {}
    general: dict[str, str] = {}
    stage = _Stage(base="")
    for found in instructions(text):
        if found.name == "FROM":
            stage = _begin(found.text, stages, general)
        elif found.name == "ARG" and not stages:
            _argument(found.text, general, {})
        else:
            _take(stage, found, general)
            stage.own.add(found.name)
            stage.places[found.name] = f"{name}:{found.line}"
    return Recipe(
        base=stage.base,
        config=_config(stage, name),
        copies=tuple(stage.copies),
        runs=tuple(stage.runs),
    )


def instructions(text: str) -> Iterator[Instruction]:
    """Yield the instructions, comments gone, continued lines joined, heredocs passed over."""
    escape, lines = _escape(text), text.splitlines()
    number = 0
    while number < len(lines):
        first = number
        joined, number = _joined(lines, number, escape)
        head, _, rest = joined.strip().partition(" ")
        if not head:
            continue
        ends = _HEREDOC.findall(rest) if head.upper() in {"RUN", "COPY", "ADD"} else []
        body: list[str] = []
        for dash, _, word in ends:
            while number < len(lines):
                line = lines[number]
                number += 1
                if (line.lstrip("\t") if dash else line) == word:
                    break
                body.append(line)
        content = "\n".join([rest.strip(), *body]) if head.upper() == "RUN" else rest.strip()
        yield Instruction(line=first + 1, name=head.upper(), text=content, heredoc=bool(ends))


def _escape(text: str) -> str:
    for line in text.splitlines():
        found = _DIRECTIVE.match(line.strip())
        if found is None:
            break
        if found[1].lower() == "escape":
            return found[2]
    return "\\"


def _joined(lines: Sequence[str], number: int, escape: str) -> tuple[str, int]:
    """Return the instruction that begins at a line, and the number of the line after it."""
    parts: list[str] = []
    while number < len(lines):
        line = lines[number].replace("\t", " ").rstrip()
        number += 1
        if line.lstrip().startswith("#") or (parts and not line.strip()):
            if parts:
                continue
            return "", number
        if not line.endswith(escape):
            return "".join([*parts, line]), number
        parts.append(line[: -len(escape)])
    return "".join(parts), number


def _begin(text: str, stages: dict[str, _Stage], general: Mapping[str, str]) -> _Stage:
    words = [word for word in _replaced(text, general).split() if not word.startswith("--")]
    base = words[0] if words else ""
    parent = stages.get(base.lower())
    stage = _Stage(base=base)
    if parent is not None:
        stage = _Stage(
            base=parent.base,
            environment=dict(parent.environment),
            said=dict(parent.said),
            places=dict(parent.places),
            folder=parent.folder,
            volumes=list(parent.volumes),
            ports=list(parent.ports),
            copies=list(parent.copies),
            runs=list(parent.runs),
        )
    names = [words[2]] if len(words) > 2 and words[1].upper() == "AS" else []
    for name in (*names, str(len(stages))):
        stages[name.lower()] = stage
    return stage


def _take(stage: _Stage, found: Instruction, general: Mapping[str, str]) -> None:
    text = found.text
    if found.name in _REPLACED:
        text = _replaced(text, {**stage.values, **stage.environment})
    match found.name:
        case "ARG":
            _argument(text, stage.values, general)
        case "ENV":
            stage.environment.update(_pairs(text))
        case "WORKDIR":
            stage.folder = str(PurePosixPath(stage.folder, _plain(text)))
        case "VOLUME":
            stage.volumes += _list(text) or text.split()
        case "EXPOSE":
            stage.ports += text.split()
        case "RUN":
            stage.runs.append(text)
        case "COPY" | "ADD":
            stage.copies += _copy(found, text, stage.folder)
        case _:
            stage.said[found.name] = text
            if found.name == "ENTRYPOINT" and "CMD" not in stage.own:
                stage.said.pop("CMD", None)  # a CMD that came with the base is forgotten


def _config(stage: _Stage, name: str) -> Config:
    said = stage.said
    return Config(
        entrypoint=_command(said.get("ENTRYPOINT", "")),
        cmd=_command(said.get("CMD", "")),
        user=_plain(said.get("USER", "")),
        folder=stage.folder,
        volumes=tuple(stage.volumes),
        ports=tuple(stage.ports),
        healthcheck=said.get("HEALTHCHECK", "NONE").strip().upper() != "NONE",
        stop_signal=_plain(said.get("STOPSIGNAL", "")),
        environment=stage.environment,
        places=stage.places,
        name=name,
    )


def _argument(text: str, values: dict[str, str], general: Mapping[str, str]) -> None:
    name, sign, default = text.partition("=")
    if sign:
        values[name.strip()] = _replaced(_plain(default), values)
    elif name.strip() in general:
        values[name.strip()] = general[name.strip()]


def _copy(found: Instruction, text: str, folder: str) -> Iterator[Copy]:
    options: dict[str, str] = {}
    while text.startswith("--"):
        option, _, text = text.partition(" ")
        key, _, value = option.partition("=")
        options[key] = value
        text = text.lstrip()
    words = _list(text) or [_plain(word) for word in _WORD.findall(text)]
    if len(words) < 2:
        return
    target = str(PurePosixPath(folder, words[-1]))
    if words[-1].endswith(("/", "/.")) or words[-1] in {".", "./"} or len(words) > 2:
        target = target.rstrip("/") + "/"
    yield Copy(
        line=found.line,
        sources=() if found.heredoc else tuple(words[:-1]),
        target=target,
        stage=options.get("--from", ""),
        mode=options.get("--chmod", ""),
    )


def _origins(copy: Copy, path: PurePosixPath) -> Iterator[str]:
    target = PurePosixPath(copy.target)
    for source in copy.sources:
        origin = PurePosixPath(source.lstrip("/"))
        if path == target and not copy.target.endswith("/"):
            yield str(origin)
        if target in path.parents:
            below = path.relative_to(target)
            if below == PurePosixPath(origin.name):
                yield str(origin)
            if any(sign in source for sign in "*?[") and len(below.parts) == 1:
                if PurePosixPath(below.name).match(origin.name):
                    yield str(origin.parent / below)
            else:
                yield str(origin / below)


def _command(text: str) -> tuple[str, ...]:
    """Return an ENTRYPOINT's or a CMD's words as Docker keeps them."""
    words = _list(text)
    if words is not None:
        return tuple(words)
    return ("/bin/sh", "-c", text) if text else ()


def _list(text: str) -> list[str] | None:
    """Return the list that the exec form is; None when it is the shell form."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    ok = isinstance(found, list) and all(isinstance(word, str) for word in found)
    return found if ok else None


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    words = _WORD.findall(text)
    if words and "=" not in words[0]:
        name, _, value = text.strip().partition(" ")
        yield name, value.strip()
        return
    for word in words:
        name, _, value = word.partition("=")
        yield _plain(name), _plain(value)


def _plain(text: str) -> str:
    """Return a word without its quotes and escapes."""
    return _QUOTED.sub(lambda found: found[1] or found[2] or found[3] or "", text.strip())


def _replaced(text: str, values: Mapping[str, str]) -> str:
    """Return a text with its variables replaced; one that is not known stays as it is."""

    def value(found: re.Match[str]) -> str:
        name = found["plain"] or found["name"]
        if name is None:
            return found[0]
        known = values.get(name, "")
        match found["sign"]:
            case ":-":
                return known or found["other"]
            case ":+":
                return found["other"] if known else ""
            case _:
                return known if name in values else found[0]

    return _VARIABLE.sub(value, text)

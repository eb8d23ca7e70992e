"""Reads a command line: which interpreter runs which script, with which of its own options."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import PurePosixPath
from typing import Final

SHELLS: Final = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh"})
INITS: Final = frozenset({"tini", "tini-static", "dumb-init", "docker-init", "catatonit"})
"""Programs that exist to be process 1 and start another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A command line, taken apart."""

    program: str
    """Its first word's last part, such as ``python3``."""
    options: tuple[str, ...] = ()
    """What stands between an interpreter and its script."""
    script: str = ""
    """The script that an interpreter runs, or the program itself where it is no interpreter."""
    text: str = ""
    """What a shell is given with ``-c``."""
    module: str = ""
    """What Python is given with ``-m``."""

    @property
    def is_python(self) -> bool:
        """Whether a Python interpreter is started."""
        return self.program.rstrip("0123456789.") in {"python", "pypy"}

    @property
    def is_shell(self) -> bool:
        """Whether a shell is started."""
        return self.program in SHELLS

    @property
    def is_bare(self) -> bool:
        """Whether it is an interpreter without anything to run."""
        told = self.script or self.text or self.module
        return (self.is_python or self.is_shell) and not told and "-c" not in self.options

    @property
    def unbuffered(self) -> bool:
        """Whether Python was told with ``-u`` to write at once."""
        return any(_short(option) and "u" in option for option in self.options)


def take_apart(words: Sequence[str]) -> Line:
    """Return a command line taken apart; an init program in front is passed over."""
    words = without_init(words)
    if words and PurePosixPath(words[0]).name == "env":
        words = list(dropwhile(lambda word: word.startswith("-") or "=" in word, words[1:]))
    if not words:
        return Line(program="")
    name = PurePosixPath(words[0]).name
    line = Line(program=name, script=words[0])
    if not (line.is_python or line.is_shell):
        return line
    options: list[str] = []
    rest = list(words[1:])
    while rest and rest[0].startswith("-"):
        options.append(rest.pop(0))
        if options[-1] in {"-m", "-c"} or (line.is_shell and _short(options[-1], "c")):
            word = rest[0] if rest else ""
            return Line(
                program=name,
                options=tuple(options),
                text=word if line.is_shell else "",
                module=word if options[-1] == "-m" else "",
            )
        if options[-1] in {"-W", "-X", "-o", "-O"} and rest and options[-1] != "-O":
            options.append(rest.pop(0))
    return Line(program=name, options=tuple(options), script=rest[0] if rest else "")


def without_init(words: Sequence[str]) -> list[str]:
    """Return the words after an init program and its options."""
    rest = list(words)
    if not rest or PurePosixPath(rest[0]).name not in INITS:
        return rest
    rest.pop(0)
    while rest and rest[0].startswith("-"):
        rest.pop(0)
    return rest


def _short(option: str, letter: str = "") -> bool:
    """Tell whether an option is of single letters (among them the one given)."""
    return option.startswith("-") and not option.startswith("--") and letter in option

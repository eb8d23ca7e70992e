"""Rules about the script that is process 1: whether it can be started, and how it takes SIGTERM."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from trainshed.client.lint.command import Line, take_apart
from trainshed.client.lint.facts import Config, File
from trainshed.client.lint.findings import Finding, Rule, Severity
from trainshed.client.lint.image import BUFFERED, is_unbuffered

NOT_EXECUTABLE: Final = Rule(
    code="TS201",
    severity=Severity.ERROR,
    title="the program is not executable",
    sagemaker="the container does not start: permission denied, or not found on PATH",
    here="",
    mend="RUN chmod +x on it in the Dockerfile",
)
CARRIAGE_RETURNS: Final = Rule(
    code="TS202",
    severity=Severity.ERROR,
    title="Windows line ends in a script",
    sagemaker=(
        "the carriage return counts as part of the interpreter's name, or of each command: "
        '"no such file or directory", exit code 127'
    ),
    here="",
    mend="save it with Unix line ends (dos2unix), and hold it so: `*.sh text eol=lf` in "
    ".gitattributes",
)
NO_FIRST_LINE: Final = Rule(
    code="TS203",
    severity=Severity.ERROR,
    title="a script without a first line that names its interpreter",
    sagemaker='the kernel cannot start it: "exec format error"',
    here="",
    mend="begin it with #!/bin/sh, #!/bin/bash or #!/usr/bin/env python3, at the very first byte",
)
NO_INTERPRETER: Final = Rule(
    code="TS204",
    severity=Severity.ERROR,
    title="the script's interpreter is not in the image",
    sagemaker='the container does not start: "no such file or directory", though the script exists',
    here="",
    mend="name one that is there, or install it",
)
NO_EXEC: Final = Rule(
    code="TS205",
    severity=Severity.WARNING,
    title="a shell stays process 1",
    sagemaker=(
        "the shell gets SIGTERM and does not pass it on: the program is killed after 120 s with "
        "no chance to save"
    ),
    here="",
    mend='begin the last command with exec: exec python -u train.py "$@"',
)
NO_SIGTERM: Final = Rule(
    code="TS206",
    severity=Severity.NOTE,
    title="SIGTERM is not handled",
    sagemaker=(
        "at a stop, the time limit or a spot interruption the program has 120 s; what is in "
        "/opt/ml/model by then is what is uploaded"
    ),
    here="",
    mend="signal.signal(signal.SIGTERM, ...): save the model and end; or save it after each epoch",
)
WORD_REFUSED: Final = Rule(
    code="TS207",
    severity=Severity.ERROR,
    title="argparse refuses the argument `train`",
    sagemaker="the program ends at once: unrecognized arguments: train, exit code 2",
    here="",
    mend="use parse_known_args(), or take a positional argument",
)

RULES: Final = (
    NOT_EXECUTABLE,
    CARRIAGE_RETURNS,
    NO_FIRST_LINE,
    NO_INTERPRETER,
    NO_EXEC,
    NO_SIGTERM,
    WORD_REFUSED,
)

_TRAP = re.compile(r"^\s*trap\s", re.MULTILINE)
_EXEC = re.compile(r"(?:^|[;&|({]|\b(?:then|do|else)\b)\s*exec\s+[^<>&\d\s]")
_BEFORE = re.compile(r"^(?:exec\s+)?(?:[A-Za-z_]\w*=\S*\s+)*")
"""What may stand before a command's own name."""
_LAUNCHERS: Final = frozenset(
    {"torchrun", "mpirun", "accelerate", "deepspeed", "Rscript", "julia", "java", "node"}
)
_TOOLS: Final = frozenset({"pip", "venv", "ensurepip", "setup.py"})
"""What Python runs on the way to something else."""
_WRAPPER: Final = 500
"""Characters: a shorter Python program that ends in ``sys.exit(...)`` was made by an installer, and
starts a program that lies elsewhere."""


def of_start(
    file: File, line: Line, config: Config, *, interpreters: Mapping[str, bool]
) -> Iterator[Finding]:
    """Return what the script that is process 1 will trip over.

    Args:
        file: the script.
        line: the command line that starts it.
        config: the image's.
        interpreters: path to whether it is in the image; one that is not named is not judged.
    """
    direct = not (line.is_python or line.is_shell)
    if direct and not file.executable:
        yield NOT_EXECUTABLE.at(file.path, "its mode has no x")
    if file.text is None:
        return
    if direct:
        yield from _first_line(file, interpreters)
    language = line if not direct else interpreter_of(file.text)
    if language.is_shell:
        yield from _shell(file, config)
    elif language.is_python:
        if direct and not is_unbuffered(config, language.unbuffered):
            yield BUFFERED.at(f"{file.path}:1", first_line(file.text))
        yield from of_python_signals(file)


def interpreter_of(text: str) -> Line:
    """Return the command line that a script's first line names; without a program if it has none.

    The kernel hands over at most one argument, spaces and all.
    """
    if not text.startswith("#!"):
        return Line(program="")
    return take_apart([*first_line(text)[2:].split(), "SCRIPT"])


def first_line(text: str) -> str:
    """Return a text's first line."""
    return text.partition("\n")[0].rstrip("\r").strip()


def interpreter_path(text: str) -> str:
    """Return the path that a script's first line names; "" when it names none."""
    words = first_line(text)[2:].split() if text.startswith("#!") else []
    return words[0] if words else ""


def of_python_signals(file: File) -> Iterator[Finding]:
    """Return whether a Python program leaves SIGTERM to its default, which is to die at once."""
    text = file.text or ""
    is_wrapper = len(text) < _WRAPPER and "sys.exit(" in text
    if "SIGTERM" not in text and not is_wrapper and parsed(text) is not None:
        yield NO_SIGTERM.at(file.path, "no signal.signal(signal.SIGTERM, ...)")


def parsed(text: str) -> ast.Module | None:
    """Return a Python program's tree; None when this Python can't read it."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _first_line(file: File, interpreters: Mapping[str, bool]) -> Iterator[Finding]:
    text = file.text or ""
    if not text.startswith("#!"):
        found = first_line(text)[:60] or "an empty first line"
        yield NO_FIRST_LINE.at(f"{file.path}:1", found)
        return
    if text.partition("\n")[0].endswith("\r"):
        if not interpreter_of(text).is_shell:  # whose scripts are looked through in any case
            yield from of_line_ends(file)
        return
    path = interpreter_path(text)
    if not interpreters.get(path, True):
        yield NO_INTERPRETER.at(f"{file.path}:1", first_line(text))
    words = first_line(text)[2:].split()
    if PurePosixPath(path).name == "env" and len(words) > 1:
        name = next((word for word in words[1:] if not word.startswith("-")), "")
        if not interpreters.get(name, True):
            yield NO_INTERPRETER.at(f"{file.path}:1", first_line(text))


def of_line_ends(file: File) -> Iterator[Finding]:
    """Return the first line of a shell's script that ends the Windows way."""
    for number, line in enumerate((file.text or "").split("\n"), 1):
        if line.endswith("\r"):
            yield CARRIAGE_RETURNS.at(f"{file.path}:{number}", line.strip()[:100])
            return


def _shell(file: File, config: Config) -> Iterator[Finding]:
    text = file.text or ""
    yield from of_line_ends(file)
    code = [(i, line.strip()) for i, line in enumerate(text.splitlines(), 1) if _is_code(line)]
    launched = [(i, shown, _launched(shown)) for i, shown in code]
    for number, shown, line in launched:
        if line is None or not line.is_python or "PYTHONUNBUFFERED" in text:
            continue
        if not is_unbuffered(config, line.unbuffered):
            yield BUFFERED.at(f"{file.path}:{number}", shown[:100])
    last = [(number, shown) for number, shown, line in launched if line is not None]
    if last and not _TRAP.search(text) and not any(_EXEC.search(shown) for _, shown in code):
        number, shown = last[-1]
        yield NO_EXEC.at(f"{file.path}:{number}", shown[:100])


def _launched(text: str) -> Line | None:
    """Return a line of a shell's script taken apart, if it starts what trains."""
    line = take_apart(_BEFORE.sub("", text).split())
    if line.program in _LAUNCHERS:
        return line
    runs = line.script or line.module
    return line if line.is_python and runs and runs not in _TOOLS else None


def _is_code(line: str) -> bool:
    stripped = line.strip()
    return bool(stripped) and not stripped.startswith("#")

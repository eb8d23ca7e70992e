"""Rules about how an image starts: ENTRYPOINT, CMD, USER and what else its configuration says.

They hold for an image that is built and for the Dockerfile of one that is not.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Final

from trainshed.client.lint.command import INITS, Line, take_apart, without_init
from trainshed.client.lint.facts import Asked, Config, hidden_part
from trainshed.client.lint.findings import Finding, Rule, Severity

SHELL_FORM: Final = Rule(
    code="TS101",
    severity=Severity.WARNING,
    title="ENTRYPOINT in shell form",
    sagemaker=(
        "a shell is process 1 and gets SIGTERM in place of the program, unless it happens to "
        "replace itself; `train` and ContainerArguments never reach the program"
    ),
    here="",
    mend='write it as a list: ENTRYPOINT ["python", "-u", "/opt/program/train.py"]',
)
ONLY_INIT: Final = Rule(
    code="TS102",
    severity=Severity.ERROR,
    title="ENTRYPOINT is an init program with nothing to start",
    sagemaker="CMD is replaced by `train`, so the init program looks for a program of that name",
    here="",
    mend="name the program in ENTRYPOINT itself, without the init program",
)
INIT: Final = Rule(
    code="TS103",
    severity=Severity.WARNING,
    title="ENTRYPOINT begins with an init program",
    sagemaker="documented as unusable: the argument `train` confuses it",
    here="it works as it does with `docker run IMAGE train`",
    mend="let the program itself be process 1, in exec form",
)
NOTHING: Final = Rule(
    code="TS104",
    severity=Severity.ERROR,
    title="nothing to start",
    sagemaker="`train` is looked for on PATH and not found: the job fails with exit code 127",
    here="the same, and without Python the image cannot run script mode either",
    mend='set ENTRYPOINT, or put an executable `train` on PATH, or send "ContainerEntrypoint"',
)
SCRIPT_MODE_ONLY: Final = Rule(
    code="TS105",
    severity=Severity.WARNING,
    title="no ENTRYPOINT and no `train`",
    sagemaker="the job fails with exit code 127, unless the request has ContainerEntrypoint",
    here="script mode works, for the toolkit is mounted as `train`; anything else fails as there",
    mend="pip install sagemaker-training in the image, or set ENTRYPOINT",
)
CMD: Final = Rule(
    code="TS106",
    severity=Severity.WARNING,
    title="CMD is never run",
    sagemaker="the image is started with the one argument `train`, which replaces CMD",
    here="",
    mend='move it to ENTRYPOINT, or send it as "ContainerEntrypoint" and "ContainerArguments"',
)
ARGUMENT: Final = Rule(
    code="TS107",
    severity=Severity.NOTE,
    title="the program gets an argument `train`",
    sagemaker="ENTRYPOINT is started with one more word, `train`; whether it minds was not seen",
    here="",
    mend='ignore the word, or send "ContainerArguments" to replace it',
)
BARE: Final = Rule(
    code="TS108",
    severity=Severity.ERROR,
    title="ENTRYPOINT is an interpreter alone",
    sagemaker="CMD is replaced by `train`, so the interpreter looks for a file of that name",
    here="",
    mend="name the script in ENTRYPOINT, too",
)
VOLUME: Final = Rule(
    code="TS111",
    severity=Severity.WARNING,
    title="VOLUME in /opt/ml",
    sagemaker="the job's own folders are mounted there; what the image has in them is not seen",
    here="",
    mend="take the VOLUME out; the folders are there without it",
)
FOLDER: Final = Rule(
    code="TS112",
    severity=Severity.WARNING,
    title="WORKDIR is a folder that a mount hides",
    sagemaker="the program starts in the job's own folder, where nothing of the image lies",
    here="",
    mend="use a folder outside /opt/ml, or /opt/ml/code",
)
USER: Final = Rule(
    code="TS113",
    severity=Severity.WARNING,
    title="USER is not root",
    sagemaker=(
        "the folders below /opt/ml are root's: the model cannot be written; the SDK's version 3 "
        "begins with a chmod there, which fails"
    ),
    here="a container may write them as any user",
    mend="run as root, or step down in the program after the folders were made ready",
)
PORTS: Final = Rule(
    code="TS114",
    severity=Severity.NOTE,
    title="EXPOSE means nothing to training",
    sagemaker="no port is published",
    here="",
    mend="nothing, if the image also serves",
)
HEALTH: Final = Rule(
    code="TS115",
    severity=Severity.NOTE,
    title="HEALTHCHECK means nothing to training",
    sagemaker="nobody looks at the container's health; only its exit code counts",
    here="",
    mend="end with a code other than 0 when something is wrong",
)
STOP_SIGNAL: Final = Rule(
    code="TS116",
    severity=Severity.WARNING,
    title="STOPSIGNAL is not SIGTERM",
    sagemaker="SIGTERM is what is documented, then SIGKILL after 120 s; others are not promised",
    here="a container gets the signal of its image, as by `docker stop`",
    mend="take STOPSIGNAL out and end on SIGTERM",
)
BUFFERED: Final = Rule(
    code="TS117",
    severity=Severity.WARNING,
    title="Python's output is held back",
    sagemaker=(
        "Python writes to a pipe in blocks of 8 kB: lines and metrics arrive late, and are lost "
        "when the job is killed"
    ),
    here="the same in a container; without one, PYTHONUNBUFFERED is set",
    mend="ENV PYTHONUNBUFFERED=1, or python -u",
)

RULES: Final = (
    SHELL_FORM,
    ONLY_INIT,
    INIT,
    NOTHING,
    SCRIPT_MODE_ONLY,
    CMD,
    ARGUMENT,
    BARE,
    VOLUME,
    FOLDER,
    USER,
    PORTS,
    HEALTH,
    STOP_SIGNAL,
    BUFFERED,
)
_INTERACTIVE: Final = frozenset({"sh", "bash", "ash", "dash", "zsh"})
"""A CMD of one such word comes from a base image; nobody means it to train."""


def of_config(config: Config, asked: Asked, *, has_train: bool = False) -> Iterator[Finding]:
    """Return what an image's configuration will trip over.

    Whether there is anything to start is for ``of_start``: a Dockerfile alone cannot tell.

    Args:
        config: how it starts.
        asked: the job; an entrypoint of its own takes the image's place.
        has_train: whether the image has a ``train`` on PATH, as far as is known.
    """
    if asked.entrypoint is None:
        yield from _entrypoint(config, asked, has_train)
        yield from _cmd(config, has_train)
        yield from _buffered(config)
    yield from _opt_ml(config)
    yield from _ignored(config)


def of_start(
    config: Config, asked: Asked, *, has_train: bool, has_python: bool
) -> Iterator[Finding]:
    """Return whether an image that is known whole has anything to start."""
    if config.entrypoint or has_train or asked.entrypoint is not None:
        return
    found = "no ENTRYPOINT, and no `train` on PATH"
    if has_python:
        yield SCRIPT_MODE_ONLY.at(config.name, found)
    else:
        yield NOTHING.at(config.name, f"{found}, and no python3")


def _entrypoint(config: Config, asked: Asked, has_train: bool) -> Iterator[Finding]:
    where, words = config.place("ENTRYPOINT"), config.entrypoint
    if not words:
        return
    shown = "ENTRYPOINT " + show(words)
    if PurePosixPath(words[0]).name in INITS:
        if without_init(words):
            yield INIT.at(where, shown)
        elif not has_train:
            yield ONLY_INIT.at(where, shown)
    line = take_apart(words)
    if line.is_shell and line.text:
        hint = " (a list needs double quotes)" if line.text.lstrip().startswith("[") else ""
        yield SHELL_FORM.at(where, f"ENTRYPOINT {' '.join(line.text.split())}{hint}")
    elif line.is_bare and asked.arguments is None:
        yield BARE.at(where, shown)
    elif without_init(words) and asked.arguments is None:
        yield ARGUMENT.at(where, shown)


def _cmd(config: Config, has_train: bool) -> Iterator[Finding]:
    words = config.cmd
    if not words or (has_train and not config.entrypoint):
        return
    line = take_apart(words)
    bare = len(words) == 1 and (line.program in _INTERACTIVE or line.is_python)
    if not bare:
        yield CMD.at(config.place("CMD"), "CMD " + show(words))


def _buffered(config: Config) -> Iterator[Finding]:
    text = take_apart(config.entrypoint).text
    line = started(config.entrypoint)
    if line.is_python and not line.is_bare and not is_unbuffered(config, line.unbuffered):
        found = f"ENTRYPOINT {text or show(config.entrypoint)}"
        yield BUFFERED.at(config.place("ENTRYPOINT"), found)


def started(words: Sequence[str]) -> Line:
    """Return what a command line starts: of a shell's text, its first command."""
    line = take_apart(words)
    return take_apart(line.text.removeprefix("exec ").split()) if line.text else line


def is_unbuffered(config: Config, option: bool = False) -> bool:
    """Tell whether Python writes at once: by its option, or by the image's environment."""
    return option or bool(config.environment.get("PYTHONUNBUFFERED"))


def _opt_ml(config: Config) -> Iterator[Finding]:
    for volume in config.volumes:
        if PurePosixPath(volume).parts[:3] == ("/", "opt", "ml"):
            yield VOLUME.at(config.place("VOLUME"), f"VOLUME {volume}")
    if hidden_part(config.folder):
        yield FOLDER.at(config.place("WORKDIR"), f"WORKDIR {config.folder}")
    name = config.user.partition(":")[0]
    if name not in {"", "root", "0"} and not name.startswith("$"):
        yield USER.at(config.place("USER"), f"USER {config.user}")


def _ignored(config: Config) -> Iterator[Finding]:
    if config.ports:
        yield PORTS.at(config.place("EXPOSE"), "EXPOSE " + " ".join(config.ports))
    if config.healthcheck:
        yield HEALTH.at(config.place("HEALTHCHECK"), "HEALTHCHECK")
    if config.stop_signal not in {"", "SIGTERM", "TERM", "15"}:
        yield STOP_SIGNAL.at(config.place("STOPSIGNAL"), f"STOPSIGNAL {config.stop_signal}")


def show(words: Sequence[str]) -> str:
    """Return an instruction's words as its list form reads, shortened."""
    text = "[" + ", ".join(f'"{word}"' for word in words) + "]"
    return text if len(text) <= 100 else text[:97] + "..."

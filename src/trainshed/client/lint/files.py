"""Rules about what lies in an image: under ``/opt/ml``, on ``PATH``, and for whom it was built."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from trainshed.client.lint import image, program, scripts
from trainshed.client.lint.facts import Asked, ImageFacts, hidden_part
from trainshed.client.lint.findings import Finding, Rule, Severity

HIDDEN: Final = Rule(
    code="TS211",
    severity=Severity.ERROR,
    title="files where a mount hides them",
    sagemaker="the job's own folder is mounted over them: the program does not see them",
    here="",
    mend="put them outside /opt/ml, or in /opt/ml/code; data comes by a channel",
)
RESERVED: Final = Rule(
    code="TS212",
    severity=Severity.WARNING,
    title="files in a reserved folder",
    sagemaker="/opt/ml is the service's: what the image has in it may become invisible",
    here="they are seen, for only input, model, output and checkpoints are mounted",
    mend="put them outside /opt/ml, or in /opt/ml/code",
)
ENTRYPOINT_MISSING: Final = Rule(
    code="TS213",
    severity=Severity.ERROR,
    title="the program that ENTRYPOINT names is not in the image",
    sagemaker="the container does not start: exit code 127",
    here="",
    mend="copy it to that path, or correct the path",
)
ARCHITECTURE: Final = Rule(
    code="TS214",
    severity=Severity.ERROR,
    title="built for another processor",
    sagemaker='most training instances are amd64: "exec format error" where they differ',
    here='"exec format error" on this machine, unless it emulates the other',
    mend="docker build --platform linux/amd64",
)
NO_SSHD: Final = Rule(
    code="TS215",
    severity=Severity.WARNING,
    title="mpirun without sshd",
    sagemaker="MPI over several nodes goes by SSH, which the image must bring: the job waits, "
    "and fails",
    here="it works: Trainshed brings mpirun its own way to the other nodes",
    mend="install openssh-server",
)
NO_MPIRUN: Final = Rule(
    code="TS216",
    severity=Severity.ERROR,
    title="MPI is asked for, and mpirun is missing",
    sagemaker="mpirun is not found: the job fails",
    here="",
    mend="install Open MPI, or take sagemaker_mpi_enabled out",
)
NO_MPI4PY: Final = Rule(
    code="TS217",
    severity=Severity.ERROR,
    title="MPI is asked for, and mpi4py is missing",
    sagemaker="scripts are run with `python -m mpi4py`: No module named mpi4py",
    here="the script is started without it, and the log says so",
    mend="pip install mpi4py in the image, or name it in requirements.txt",
)
SIZE: Final = Rule(
    code="TS218",
    severity=Severity.WARNING,
    title="the image is larger than the volume that is asked for",
    sagemaker="data, model and checkpoints share the volume; an image of that size leaves it full",
    here="none: images lie in the engine's own storage",
    mend="ask for a larger VolumeSizeInGB, or make the image smaller",
)
NO_AUTHORITIES: Final = Rule(
    code="TS219",
    severity=Severity.NOTE,
    title="no certificates of authorities",
    sagemaker=(
        "https fails for whatever uses the system's bundle (curl, git, urllib); boto3, requests "
        "and pip bring their own"
    ),
    here="",
    mend="install ca-certificates",
)
OLD_PYTHON: Final = Rule(
    code="TS220",
    severity=Severity.WARNING,
    title="Python is too old for script mode",
    sagemaker="current versions of sagemaker-training ask for 3.8",
    here="the toolkit that is mounted needs Python 3.8 or newer",
    mend="install a newer Python, first on PATH",
)
NO_PYTHON: Final = Rule(
    code="TS221",
    severity=Severity.ERROR,
    title="script mode is asked for, and there is no Python",
    sagemaker="`train` and the script cannot run",
    here="the same: the toolkit runs on the image's own Python",
    mend="install python3, or name the program in ContainerEntrypoint",
)

RULES: Final = (
    HIDDEN,
    RESERVED,
    ENTRYPOINT_MISSING,
    ARCHITECTURE,
    NO_SSHD,
    NO_MPIRUN,
    NO_MPI4PY,
    SIZE,
    NO_AUTHORITIES,
    OLD_PYTHON,
    NO_PYTHON,
)
OLDEST: Final = (3, 8)
"""The Python that our toolkit is written for."""


def of_image(facts: ImageFacts, asked: Asked) -> Iterator[Finding]:
    """Return everything that an image will trip over, its configuration included."""
    config, programs = facts.config, facts.programs
    train = programs.get("train")
    has_train = train is not None and train.executable
    has_python = "python3" in programs
    judged = list(image.of_config(config, asked, has_train=has_train))
    if facts.start is not None:
        judged += program.of_word(facts.start, config, asked)
    yield from program.without_doubt(judged)
    if train is None or has_train:
        yield from image.of_start(config, asked, has_train=has_train, has_python=has_python)
    if asked.entrypoint is None:
        yield from _start(facts)
    yield from _under_opt_ml(facts)
    yield from _machine(facts, asked)
    yield from _mpi(facts, asked)
    yield from _python(facts, asked)
    if not facts.certificates:
        yield NO_AUTHORITIES.at(config.name, "no bundle in /etc/ssl or /etc/pki")


def _start(facts: ImageFacts) -> Iterator[Finding]:
    config = facts.config
    if facts.missing:
        yield ENTRYPOINT_MISSING.at(config.place("ENTRYPOINT"), facts.missing)
    if facts.start is not None:
        line = image.started(config.entrypoint or ("train",))
        yield from scripts.of_start(facts.start, line, config, interpreters=facts.interpreters)


def _under_opt_ml(facts: ImageFacts) -> Iterator[Finding]:
    hidden: dict[str, list[str]] = {}
    reserved = []
    for path in facts.under_opt_ml:
        if part := hidden_part(path):
            hidden.setdefault(part, []).append(path)
        elif PurePosixPath(path).parts[3:4] != ("code",):
            reserved.append(path)
    for paths in hidden.values():
        yield HIDDEN.at(facts.config.name, several(paths))
    if reserved:
        yield RESERVED.at(facts.config.name, several(reserved))


def several(paths: list[str]) -> str:
    """Return paths in one line: the first, and how many more."""
    more = len(paths) - 1
    return sorted(paths)[0] + (f" and {more} more" if more else "")


def _machine(facts: ImageFacts, asked: Asked) -> Iterator[Finding]:
    if facts.architecture != facts.machine:
        found = f"the image is {facts.architecture}, this machine {facts.machine}"
        yield ARCHITECTURE.at(facts.config.name, found)
    if 0 < asked.volume < facts.size:
        found = f"{facts.size / 1e9:.1f} GB in a volume of {asked.volume / 1e9:.1f} GB"
        yield SIZE.at(facts.config.name, found)


def _mpi(facts: ImageFacts, asked: Asked) -> Iterator[Finding]:
    name = facts.config.name
    has_mpirun = "mpirun" in facts.programs
    if has_mpirun and "sshd" not in facts.programs:
        yield NO_SSHD.at(name, f"mpirun is {facts.programs['mpirun'].path}")
    if asked.mpi and not has_mpirun:
        yield NO_MPIRUN.at(name, "sagemaker_mpi_enabled")
    if asked.mpi and not facts.mpi4py and asked.entry_point.endswith(".py"):
        yield NO_MPI4PY.at(name, "sagemaker_mpi_enabled")


def _python(facts: ImageFacts, asked: Asked) -> Iterator[Finding]:
    name, python = facts.config.name, facts.programs.get("python3")
    if python is None and asked.entry_point:
        yield NO_PYTHON.at(name, f"the script is {asked.entry_point}")
    if python is not None and facts.python is not None and facts.python < OLDEST:
        version = ".".join(map(str, facts.python))
        yield OLD_PYTHON.at(name, f"{python.path} is {version}")

"""What the rules look at: how an image starts, what lies in it, and what the request asks for.

Values only. Who gathers them (from a Dockerfile, from a container engine, from a request) is no
business of the rules, so every rule can be tried on values made by hand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from trainshed.contract import script_mode

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What Docker gives a container whose image sets no PATH."""
HIDDEN: Final = ("input", "model", "output", "checkpoints")
"""Folders of ``/opt/ml`` over which a job's own are mounted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How an image starts: from ``docker image inspect``, or as far as a Dockerfile says."""

    entrypoint: tuple[str, ...] = ()
    """In exec form; the shell form reads ``/bin/sh -c TEXT``, as Docker keeps it."""
    cmd: tuple[str, ...] = ()
    user: str = ""
    folder: str = "/"
    """WORKDIR."""
    volumes: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    healthcheck: bool = False
    stop_signal: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    """Instruction to where it stands, such as ``Dockerfile:7``."""
    name: str = ""
    """What to call the place of an instruction that has none."""

    def place(self, instruction: str) -> str:
        """Return where an instruction stands."""
        return self.places.get(instruction, self.name)

    @property
    def path(self) -> tuple[str, ...]:
        """The folders of ``PATH``, in order."""
        return tuple(filter(None, self.environment.get("PATH", DEFAULT_PATH).split(":")))


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of an image or of a folder of code."""

    path: str
    """Where it lies; what a finding calls it."""
    executable: bool
    size: int = 0
    text: str | None = None
    """Its first 256 KiB; None when it is no text or was not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What was looked up in an image, without running it."""

    config: Config
    architecture: str = "amd64"
    """As Docker calls it."""
    machine: str = "amd64"
    """The architecture of the machine that would run it."""
    size: int = 0
    """Bytes."""
    programs: Mapping[str, File] = field(default_factory=dict)
    """Program name to the file that PATH finds; one that is not executable only if no other is."""
    start: File | None = None
    """The script that ENTRYPOINT names, else ``train``; None when there is neither."""
    missing: str = ""
    """The path that ENTRYPOINT names and nothing is at."""
    interpreters: Mapping[str, bool] = field(default_factory=dict)
    """Path of an interpreter that a script's first line names, to whether it is there."""
    under_opt_ml: tuple[str, ...] = ()
    """Paths of all files and links below ``/opt/ml``."""
    certificates: bool = True
    """Whether there is a bundle of the authorities that sign certificates."""
    mpi4py: bool = True
    """Whether Python would find it."""
    python: tuple[int, int] | None = None
    """Version of the Python that PATH finds; None when there is none, or it can't be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is known of the job that is to run; nothing need be."""

    image: str = ""
    entry_point: str = ""
    """``sagemaker_program``, or what was named in its place."""
    hyperparameters: Mapping[str, Any] | None = None
    """Values read, as script mode reads them; None when they are not known."""
    metrics: tuple[tuple[str, str], ...] = ()
    """Name and regex."""
    entrypoint: tuple[str, ...] | None = None
    """ContainerEntrypoint."""
    arguments: tuple[str, ...] | None = None
    """ContainerArguments."""
    isolated: bool = False
    volume: int = 0
    """Bytes of the volume that is asked for; 0 when it is not known."""

    @property
    def mpi(self) -> bool:
        """Whether MPI is asked for."""
        return bool((self.hyperparameters or {}).get("sagemaker_mpi_enabled"))


def asked_by(request: Mapping[str, Any]) -> Asked:
    """Return what a CreateTrainingJob request says; members of a wrong form count as not given."""
    algorithm = _mapping(request.get("AlgorithmSpecification"))
    given = _mapping(request.get("HyperParameters"))
    environment = _mapping(request.get("Environment"))
    values = script_mode.read(given)
    program = environment.get(script_mode.PROGRAM.upper()) or values.get(script_mode.PROGRAM)
    definitions = algorithm.get("MetricDefinitions")
    size = _mapping(request.get("ResourceConfig")).get("VolumeSizeInGB")
    return Asked(
        image=str(algorithm.get("TrainingImage") or ""),
        entry_point=str(program or ""),
        hyperparameters=values,
        metrics=tuple(
            (str(item.get("Name", "")), str(item.get("Regex", "")))
            for item in map(_mapping, definitions if isinstance(definitions, list) else ())
        ),
        entrypoint=_words(algorithm.get("ContainerEntrypoint")),
        arguments=_words(algorithm.get("ContainerArguments")),
        isolated=request.get("EnableNetworkIsolation") is True,
        volume=size * 2**30 if isinstance(size, int) else 0,
    )


def hidden_part(path: str) -> str:
    """Return the folder such as ``/opt/ml/model`` whose mount hides a path; "" when none does."""
    parts = PurePosixPath(path).parts[1:]
    found = parts[:2] == ("opt", "ml") and len(parts) > 2 and parts[2] in HIDDEN
    return f"/opt/ml/{parts[2]}" if found else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _words(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return None
    return tuple(map(str, value))

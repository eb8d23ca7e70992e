"""A job to run once on each runtime, and what was seen of it.

A job's program is ``main``: Python text that ``python3`` runs from the channel ``program``, where
``probe`` lies beside it. With ``source`` it is in script mode; with neither the image's own program
runs, or what ``algorithm`` names.
"""

import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

BUCKET = "journeys"
PYTHON = "trainshed-test/python:base"
"""An image with Python and nothing else."""
TRAIN = "trainshed-test/contract-train"
"""An image with a ``train`` of its own, which is the probe."""
LOOK = "import probe\nprobe.save()\n"
TREE = "/opt/ml/input/data/program"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job of the suite."""

    name: str
    main: str = ""
    source: Mapping[str, str] = field(default_factory=dict)
    """Files of sourcedir.tar.gz."""
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    image: str = PYTHON
    algorithm: Mapping[str, Any] = field(default_factory=dict)
    """Members of AlgorithmSpecification beside the image and what runs ``main``."""
    channels: Sequence[Mapping[str, Any]] = ()
    objects: Mapping[str, bytes] = field(default_factory=dict)
    """What lies in the bucket before it starts, by key."""
    nodes: int = 1
    request: Mapping[str, Any] = field(default_factory=dict)
    """Further members of CreateTrainingJob."""
    meanwhile: "Callable[[Any, str], None] | None" = None
    """Done with (shed, job name) once the job was created."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen of a job once it was over. Plain values: it is kept in a file."""

    runtime: str
    name: str
    at_first: Mapping[str, Any]
    """What Describe told right after the creation."""
    told: Mapping[str, Any]
    """What Describe told in the end."""
    late_stop: str
    """What StopTrainingJob answered when the job was over."""
    lines: Mapping[str, Sequence[str]]
    """By host."""
    streams: Sequence[str]
    objects: Mapping[str, bytes]
    """What lay below the job's folder in the output path, by the rest of the key."""

    @property
    def status(self) -> tuple[str, str]:
        """TrainingJobStatus and SecondaryStatus."""
        return self.told["TrainingJobStatus"], self.told["SecondaryStatus"]

    @property
    def reason(self) -> str:
        return str(self.told["FailureReason"])

    @property
    def model(self) -> dict[str, bytes]:
        """The files of model.tar.gz."""
        return unpacked(self.objects["output/model.tar.gz"])

    @property
    def output(self) -> dict[str, bytes]:
        """The files of output.tar.gz."""
        return unpacked(self.objects["output/output.tar.gz"])

    @property
    def looks(self) -> dict[str, dict[str, Any]]:
        """What the program saw, by host."""
        return {
            name.removeprefix("seen-").removesuffix(".json"): json.loads(text)
            for name, text in self.output.items()
            if name.startswith("seen-")
        }

    @property
    def look(self) -> dict[str, Any]:
        """What the program on the first host saw."""
        return self.looks["algo-1"]

    def config(self, name: str, host: str = "algo-1") -> Any:
        """Return the content of a config file, as the program found it."""
        return json.loads(self.looks[host]["files"][f"config/{name}.json"])

    def data(self, host: str = "algo-1") -> dict[str, bytes]:
        """Return the files of all channels but the program's own, by path."""
        files = self.looks[host]["files"]
        return {
            path.removeprefix("data/"): text.encode("latin-1")
            for path, text in files.items()
            if path.startswith("data/") and not path.startswith("data/program")
        }


def unpacked(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]


def packed(files: Mapping[str, str]) -> bytes:
    """Return a tar.gz of files."""
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return found.getvalue()


def channel(name: str, prefix: str, *, source: Any = (), **changes: Any) -> dict[str, Any]:
    """Return a channel of the bucket's objects below a prefix."""
    place = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}", **dict(source)}
    return {"ChannelName": name, "DataSource": {"S3DataSource": place}, **changes}

"""What has been brought home from a server: a file that survives every end of who writes it.

One line of JSON each: where it began, how far the list of jobs was read, a model that is complete
beside its place and about to take it, a model that has. A line that was torn by a crash counts as
none.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from trainshed.client.errors import ClientError
from trainshed.stores.flushing import flush_folder

_NAME: Final = ".trainshed-pull.jsonl"
_INCOMING: Final = ".trainshed-incoming"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A job's model, here."""

    job: str
    created: float
    """Seconds since the epoch: two jobs of one name are told apart by it."""
    status: str
    model: str
    """Where it came from."""
    folder: str
    """Below the folder that is followed into; "" when the job has no model."""
    files: int
    bytes: int
    """Of the files."""
    problem: str = ""
    """Why there is no model; "" when there is."""


class State:
    """What was brought into one folder."""

    def __init__(self, folder: Path, file: IO[bytes]) -> None:
        """Take a file that is locked; see ``opened``."""
        self.folder = folder
        self.began: float | None = None
        """Jobs that were over before are not brought. Seconds since the epoch; None at first."""
        self.read: float = 0.0
        """Every job that was over by then has been brought. Seconds since the epoch."""
        self.arriving: Arrival | None = None
        """Complete in ``incoming``, or already in its place; nobody may have been told."""
        self._file = file
        self._known: set[tuple[str, float]] = set()
        whole = file.read()
        self._torn = bool(whole) and not whole.endswith(b"\n")
        for line in whole.split(b"\n")[:-1]:
            self._take(_parsed(line))

    @property
    def incoming(self) -> Path:
        """Where a model is put together before it takes its place."""
        return self.folder / _INCOMING

    def knows(self, job: Mapping[str, Any]) -> bool:
        """Tell whether a listed job was brought."""
        return (job["TrainingJobName"], float(job["CreationTime"])) in self._known

    def begin(self, since: float) -> None:
        """Take note that jobs are brought that are over from a time on."""
        self._add({"began": since})

    def read_to(self, time: float) -> None:
        """Take note that there is nothing to bring from before a time."""
        self.read = max(self.read, time)

    def will_place(self, arrival: Arrival) -> None:
        """Take note that a model is complete in ``incoming``."""
        self._add({"arriving": asdict(arrival)})

    def placed(self, arrival: Arrival) -> None:
        """Take note that a model has its place, and that who wanted to know was told."""
        self._add({"arrived": asdict(arrival), "read": self.read})

    def _add(self, entry: dict[str, Any]) -> None:
        text = json.dumps(entry) + "\n"
        self._file.write(("\n" + text if self._torn else text).encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._torn = False
        self._take(entry)

    def _take(self, entry: dict[str, Any]) -> None:
        if "began" in entry:
            self.began = self.read = float(entry["began"])
        if "arriving" in entry:
            self.arriving = Arrival(**entry["arriving"])
        if "arrived" in entry:
            arrival = Arrival(**entry["arrived"])
            self._known.add((arrival.job, arrival.created))
            self.arriving = None
            self.read_to(float(entry["read"]))


@contextmanager
def opened(folder: Path) -> Iterator[State]:
    """Yield what was brought into a folder, made when missing; nobody else may have it meanwhile.

    Raises:
        ClientError: somebody else has it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / _NAME).open("a+b")
        flush_folder(folder)
    except OSError as error:
        raise ClientError(
            f"{folder} cannot be written: {error.strerror}", "name another with --to"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ClientError(
                f"another trainshed pull --follow brings models to {folder}",
                "name another folder with --to, or end that one",
            ) from error
        file.seek(0)
        yield State(folder, file)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}  # torn by a crash
    return entry if isinstance(entry, dict) else {}

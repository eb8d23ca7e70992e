"""``trainshed doctor``: whether this machine can do the work, and what to do where it cannot."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import typer

import trainshed
from trainshed.agent.runtimes.process import Degree, ProcessRuntime
from trainshed.app import clock
from trainshed.cli import exits, output, session
from trainshed.cli.options import DataDir, Output
from trainshed.cli.output import Format
from trainshed.client import server

_ENOUGH_DISK: Final = 5 * 10**9
"""Bytes: a job's data, model and scratch fit for a small model; below it jobs fail at the end."""


class Level(StrEnum):
    """How a check came out."""

    OK = "ok"
    INFO = "info"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    level: Level
    subject: str
    found: str
    remedy: str = ""


def doctor(shown_as: Output = Format.TABLE, data_dir: DataDir = None) -> None:
    """Check this machine: exit code 1 when something is in the way of running jobs."""
    checks = list(_checks(session.folder(data_dir)))
    if shown_as in {Format.JSON, Format.JSONL}:
        listed = [
            {"level": c.level, "subject": c.subject, "found": c.found, "remedy": c.remedy}
            for c in checks
        ]
        print(output.dumps(listed, indent=2 if shown_as is Format.JSON else None))
    else:
        for check in checks:
            print(f"{check.level:<5} {check.subject:<11} {check.found}")
            if check.remedy:
                print(f"{'':<17} do: {check.remedy}")
    if any(check.level is Level.FAIL for check in checks):
        raise typer.Exit(exits.ERROR)


def _checks(place: Path) -> Iterator[Check]:
    yield Check(
        level=Level.OK,
        subject="python",
        found=f"{sys.version.split()[0]} at {sys.executable} (trainshed {trainshed.__version__})",
    )
    yield _isolation()
    yield _memory()
    yield _folder(place)
    yield _disk(place)
    yield _clock()
    yield from _server(place)
    yield from _further()


def _isolation() -> Check:
    runtime = ProcessRuntime(python=sys.executable)
    match runtime.degree:
        case Degree.NAMESPACES:
            found = "each job has its own /opt/ml, host name and process ids (bubblewrap)"
            return Check(level=Level.OK, subject="isolation", found=found)
        case Degree.MOUNTS:
            found = f"each job has its own /opt/ml, but sees all processes: {runtime.why}"
            return Check(level=Level.INFO, subject="isolation", found=found)
        case Degree.BARE:
            return Check(
                level=Level.WARN,
                subject="isolation",
                found=f"jobs have no /opt/ml, only SM_* variables: {runtime.why}",
                remedy="install bubblewrap, and allow unprivileged user namespaces",
            )


def _memory() -> Check:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found = f"{output.plural(os.cpu_count() or 1, 'processor')}, {output.size(total)} of memory"
    return Check(level=Level.OK, subject="machine", found=found)


def _existing(place: Path) -> Path:
    return next(path for path in (place, *place.parents) if path.exists())


def _folder(place: Path) -> Check:
    found = _existing(place)
    if found.is_dir() and os.access(found, os.W_OK | os.X_OK):
        return Check(level=Level.OK, subject="data folder", found=str(place))
    return Check(
        level=Level.FAIL,
        subject="data folder",
        found=f"{place} cannot be written",
        remedy="name another with --data-dir or TRAINSHED_DATA_DIR",
    )


def _disk(place: Path) -> Check:
    free = shutil.disk_usage(_existing(place)).free
    found = f"{output.size(free)} free"
    if free >= _ENOUGH_DISK:
        return Check(level=Level.OK, subject="disk", found=found)
    remedy = "free space, or name a folder on another disk with --data-dir"
    return Check(level=Level.WARN, subject="disk", found=found, remedy=remedy)


def _clock() -> Check:
    # No server to compare with is needed: requests are refused when a clock is off, and a clock
    # that was never set stands before the day this program was installed.
    installed = datetime.fromtimestamp(Path(trainshed.__file__).stat().st_mtime, UTC)
    now = clock.now()
    if now >= installed:
        found = now.isoformat(timespec="seconds")
        return Check(level=Level.OK, subject="clock", found=found)
    return Check(
        level=Level.WARN,
        subject="clock",
        found=f"{now:%Y-%m-%d %H:%M} is before this program was installed",
        remedy="set the clock, or switch on NTP",
    )


def _server(place: Path) -> Iterator[Check]:
    found = server.find(place, clock.now)
    if found is not None:
        text = f"{found.url} (process {found.pid}, version {found.version})"
        yield Check(level=Level.OK, subject="server", found=text)
        return
    text = "not running; it starts by itself when a command needs it"
    yield Check(level=Level.INFO, subject="server", found=text)
    port = server.DEFAULT_PORT
    if server.port_is_free(port):
        yield Check(level=Level.OK, subject="port", found=f"{port} is free")
    else:
        text = f"{port} is taken; the server will use another"
        yield Check(level=Level.INFO, subject="port", found=text)


def _further() -> Iterator[Check]:
    if find_spec("sklearn") is not None:
        yield Check(level=Level.OK, subject="demo", found="scikit-learn is there")
    else:
        yield Check(
            level=Level.INFO,
            subject="demo",
            found="scikit-learn is missing; only 'trainshed demo' needs it",
            remedy="pip install 'trainshed[demo]'",
        )
    yield _socket("docker", Path("/var/run/docker.sock"), os.environ.get("DOCKER_HOST", ""))
    kube = os.environ.get("KUBECONFIG", "") or str(Path.home() / ".kube" / "config")
    there = any(Path(path).is_file() for path in kube.split(os.pathsep))
    found = f"configured by {kube}" if there else "not configured; jobs run without it"
    yield Check(level=Level.INFO, subject="kubernetes", found=found)


def _socket(subject: str, path: Path, configured: str) -> Check:
    if configured:
        return Check(level=Level.INFO, subject=subject, found=f"DOCKER_HOST is {configured}")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            found = "not running; jobs run without it"
        else:
            found = f"answers at {path}"
    return Check(level=Level.INFO, subject=subject, found=found)

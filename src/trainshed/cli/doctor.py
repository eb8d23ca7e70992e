"""``trainshed doctor``: whether this machine can do the work, and what to do where it cannot."""

import json
import os
import shutil
import subprocess
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
from trainshed.app import clock, settings
from trainshed.cli import exits, output, session
from trainshed.cli.options import DataDir, Output
from trainshed.cli.output import Format
from trainshed.client import server
from trainshed.domain import sizes

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
    yield from _further(place)


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
    found = f"{output.plural(os.cpu_count() or 1, 'processor')}, {sizes.written(total)} of memory"
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
    found = f"{sizes.written(free)} free"
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
        backends = ", ".join(f"{name} ({kind})" for name, kind in found.backends.items())
        text = f"{backends}; jobs go to {found.backend} unless they say where"
        yield Check(level=Level.OK, subject="backends", found=text)
        return
    text = "not running; it starts by itself when a command needs it"
    yield Check(level=Level.INFO, subject="server", found=text)
    port = server.DEFAULT_PORT
    if server.port_is_free(port):
        yield Check(level=Level.OK, subject="port", found=f"{port} is free")
    else:
        text = f"{port} is taken; the server will use another"
        yield Check(level=Level.INFO, subject="port", found=text)


def _further(place: Path) -> Iterator[Check]:
    if find_spec("sklearn") is not None:
        yield Check(level=Level.OK, subject="demo", found="scikit-learn is there")
    else:
        yield Check(
            level=Level.INFO,
            subject="demo",
            found="scikit-learn is missing; only 'trainshed demo' needs it",
            remedy="pip install 'trainshed[demo]'",
        )
    try:
        yield from _engine(_configured(place))
    except settings.SettingsError as error:
        remedy = "correct the file; docs/settings.md has what it may hold"
        yield Check(level=Level.FAIL, subject="settings", found=str(error), remedy=remedy)
    kube = os.environ.get("KUBECONFIG", "") or str(Path.home() / ".kube" / "config")
    there = any(Path(path).is_file() for path in kube.split(os.pathsep))
    found = f"configured by {kube}" if there else "not configured; jobs run without it"
    yield Check(level=Level.INFO, subject="kubernetes", found=found)


def _configured(place: Path) -> str:
    """Return the engine that the server's settings name; "" when they name none.

    Raises:
        SettingsError: the settings can't be read.
    """
    found = server.find(place, clock.now)
    usual = place / "trainshed.toml"
    config = found.config if found else (usual if usual.is_file() else None)
    docker = settings.load(config).backends.docker
    return docker.engine if docker else ""


def _engine(configured: str) -> Iterator[Check]:
    """Yield what the container engine is and has, or why no job can run in a container."""
    if not settings.engine_socket(configured, dict(os.environ)):
        yield Check(
            level=Level.INFO,
            subject="docker",
            found="no container engine runs here; jobs run as processes",
            remedy="for images, install Docker or Podman and start it",
        )
        return
    # As agents do it: with the same library, the same rights and the same places to look.
    command = [sys.executable, "-I", "-m", "trainshed.agent", "--prepare", "docker"]
    asked = subprocess.run(
        [*command, *filter(None, [configured])], capture_output=True, text=True, check=False
    )
    said = " ".join(asked.stderr.split())
    if asked.returncode:
        yield Check(level=Level.WARN, subject="docker", found=said, remedy=_engine_remedy(said))
        return
    found = json.loads(asked.stdout)
    has = f"{output.plural(found['cpus'], 'processor')}, {sizes.written(found['memory'])} of memory"
    text = f"version {found['version']} at {found['engine']}, {has}"
    yield Check(level=Level.OK, subject="docker", found=text)
    if found["gpus"]:
        text = f"containers can have {output.plural(found['gpus'], 'GPU')}"
        yield Check(level=Level.OK, subject="gpus", found=text)
    else:
        yield Check(
            level=Level.INFO,
            subject="gpus",
            found="containers can have none",
            remedy="where there are some: install the NVIDIA driver and nvidia-container-toolkit",
        )
    if found["address"]:
        text = f"containers find the server at {found['address']}"
        yield Check(level=Level.OK, subject="network", found=text)
    else:
        yield Check(
            level=Level.WARN,
            subject="network",
            found=said,
            remedy="free that subnet, or name another address in [backends.docker] container_host",
        )


def _engine_remedy(said: str) -> str:
    if "may not be used by this user" in said:
        return "sudo usermod -aG docker $USER, then log in again"
    return "start the engine, or name its socket: engine of [backends.docker], or DOCKER_HOST"

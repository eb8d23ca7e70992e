"""The engine as an onlooker sees it: what is there of a server's jobs, and a hand that kills."""

import json
import subprocess
from pathlib import Path
from typing import Any


def docker(*words: str) -> str:
    """Return what the docker command prints."""
    ran = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, (words, ran.stdout, ran.stderr)
    return ran.stdout


def containers(data: Path, **labels: str) -> list[dict[str, Any]]:
    """Return the containers, running or not, of the server that serves ``data``.

    ``labels`` narrow them: ``job="name"``, ``host="algo-2"``.
    """
    filters = [f"--filter=label=trainshed.{name}={value}" for name, value in labels.items()]
    listed = docker("ps", "--all", "--quiet", "--filter=label=trainshed.folder", *filters).split()
    found = []
    for each in listed:
        ran = subprocess.run(["docker", "inspect", each], capture_output=True, check=False)
        found += json.loads(ran.stdout) if ran.returncode == 0 else []  # or gone meanwhile
    below = str(data / "nodes") + "/"
    return [
        each for each in found if each["Config"]["Labels"]["trainshed.folder"].startswith(below)
    ]


def networks(job_prefix: str) -> list[str]:
    """Return the networks that were made for jobs whose names begin so."""
    shown = '{{.Name}} {{.Label "trainshed.job"}}'
    listed = docker("network", "ls", "--filter=label=trainshed.attempt", f"--format={shown}")
    pairs = [line.split() for line in listed.splitlines()]
    return [name for name, job in pairs if job.startswith(job_prefix)]


def processes(data: Path) -> list[str]:
    """Return the command lines that name a server's folder: its own, its agents', its spares'."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace")
        except OSError:  # it ended meanwhile
            continue
        if str(data) in words:
            found.append(words.replace("\0", " "))
    return found


def kill(container: dict[str, Any]) -> None:
    """Kill every process of a container, as the kernel does for want of memory."""
    docker("kill", str(container["Id"]))
